"""Runs inside berth/sandbox-slim: gathers a Python that needs nothing of the image it runs in.

    python3 guest_bundle.py SOURCES TARGET

TARGET gets `lib/` (dynamic loader as `ld.so`, shared libraries, standard library), `bin/python3`,
`bin/sleep` (what `guest connect` becomes while it waits) and `guest/` (the guest's sources).
"""

import compileall
import py_compile
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

# The guest never installs, draws, tests or talks TLS; libcrypto alone is 5 MB.
LEFT_OUT = (
    "__pycache__",
    "_test*",
    "_xx*",
    "_crypt.*",
    "_ctypes_test.*",
    "_curses*",
    "_dbm.*",
    "_hashlib.*",
    "_sqlite3.*",
    "_ssl.*",
    "config-3*",
    "curses",
    "dbm",
    "dist-packages",
    "distutils",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "nis.*",
    "ossaudiodev.*",
    "pydoc_data",
    "readline.*",
    "sitecustomize.py",
    "sqlite3",
    "test",
    "tests",
    "tkinter",
    "turtle.py",
    "turtledemo",
    "venv",
    "xxlimited*",
)


def copy_standard_library(target: Path) -> Path:
    """Returns the folder, which keeps its name: Python looks for `lib/python3.N`."""
    source = Path(sysconfig.get_path("stdlib"))
    folder = target / "lib" / source.name
    # Links are followed: some of Debian's files point outside of the folder.
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    return folder


def copy_programs(target: Path) -> list[Path]:
    folder = target / "bin"
    folder.mkdir(parents=True)
    sources = {"python3": sys.executable, "sleep": shutil.which("sleep") or "/bin/sleep"}
    for name, source in sources.items():
        shutil.copy2(Path(source).resolve(), folder / name)
    return [folder / name for name in sources]


def shared_libraries(binary: Path) -> dict[str, Path]:
    """What the loader would map for `binary`: file name to path; the loader itself as `ld.so`."""
    listing = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    found: dict[str, Path] = {}
    for line in listing.splitlines():
        words = line.split()
        if "=>" in words:
            if words[2] == "not":
                raise FileNotFoundError(f"{binary} needs {words[0]}, which is not installed")
            found[words[0]] = Path(words[2])
        elif words and words[0].startswith("/"):
            found["ld.so"] = Path(words[0])
    return found


def copy_shared_libraries(target: Path, binaries: list[Path]) -> None:
    for binary in binaries:
        for name, path in shared_libraries(binary).items():
            if not (target / "lib" / name).exists():
                shutil.copy2(path.resolve(), target / "lib" / name)


def copy_guest(sources: Path, target: Path) -> None:
    shutil.copytree(sources, target / "guest", ignore=shutil.ignore_patterns("__pycache__"))


def compile_all(folder: Path) -> None:
    """The volume is read-only later, and never changes: compiled files need no check either."""
    is_done = compileall.compile_dir(
        folder, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    if not is_done:
        raise RuntimeError(f"{folder} does not compile")


def main(sources: Path, target: Path) -> None:
    standard_library = copy_standard_library(target)
    programs = copy_programs(target)
    extensions = sorted((standard_library / "lib-dynload").glob("*.so"))
    copy_shared_libraries(target, [*programs, *extensions])
    copy_guest(sources, target)
    compile_all(standard_library)
    compile_all(target / "guest")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
