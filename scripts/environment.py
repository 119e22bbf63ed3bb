"""The Python environment: uv, then exactly what uv.lock says."""

import shutil
import subprocess
import sys
from pathlib import Path

from scripts import stamps
from scripts.host import ROOT, VAR, VENV_PYTHON, SetupError, apt_install, run_shown, say

UV_VERSION = "0.13.8"
TOOLS = VAR / "tools"


def ensure_environment(*, dev: bool) -> None:
    """With `dev`, what lint and tests need as well. Raises: SetupError."""
    key = stamps.content_key([ROOT / "uv.lock", ROOT / "pyproject.toml"])
    name = "environment-dev" if dev else "environment"
    has_stamp = any(stamps.is_current(n, key) for n in {name, "environment-dev"})
    if has_stamp and VENV_PYTHON.exists():
        return
    say("installing the Python packages of uv.lock")
    sync = [ensure_uv(), "sync", "--frozen", "--inexact", "--compile-bytecode"]
    if not dev:
        sync.append("--no-dev")
    if not VENV_PYTHON.exists():
        sync += ["--python", sys.executable]
    run_shown(sync, environment={"UV_PYTHON_DOWNLOADS": "never"})
    stamps.mark(name, key)


def ensure_uv() -> str:
    """The path of a uv that runs."""
    for candidate in (shutil.which("uv"), str(TOOLS / "bin" / "uv")):
        if candidate and _runs([candidate, "--version"]):
            return candidate
    say(f"installing uv {UV_VERSION} into {TOOLS}")
    _make_tools_environment()
    run_shown([str(TOOLS / "bin" / "pip"), "install", "--quiet", f"uv=={UV_VERSION}"])
    return str(TOOLS / "bin" / "uv")


def _make_tools_environment() -> None:
    """Debian ships `venv` without the pip it installs; that is a package of its own."""
    if not _runs([sys.executable, "-c", "import ensurepip, venv"]):
        apt_install(_venv_package())
    shutil.rmtree(TOOLS, ignore_errors=True)
    if not _runs([sys.executable, "-m", "venv", str(TOOLS)]):
        raise SetupError(
            f"{sys.executable} cannot make a virtual environment. "
            f"Run: sudo apt-get install {_venv_package()}"
        )


def _venv_package() -> str:
    name = Path(sys.executable).resolve().name
    return f"{name}-venv" if name.startswith("python3") else "python3-venv"


def _runs(argv: list[str]) -> bool:
    try:
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
