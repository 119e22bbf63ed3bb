"""Fetch the browser libraries that are kept in static/vendor, and check them.

Run once to add or upgrade one; the files are committed, so serving needs neither npm nor a network.

    python scripts/vendor.py          fetch, verify, copy
    python scripts/vendor.py --check  only compare what is there with the lock
"""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

VENDOR = Path(__file__).resolve().parent.parent / "static" / "vendor"
LOCK = VENDOR / "lock.json"


@dataclass(frozen=True, slots=True)
class Package:
    """A pinned npm package; `files` are the paths inside it that are kept, by their bare name."""

    name: str
    version: str
    integrity: str
    files: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return VENDOR / f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}"


PACKAGES = (
    Package(
        "@xterm/xterm",
        "6.0.0",
        "sha512-TQwDdQGtwwDt+2cgKDLn0IRaSxYu1tSUjgKarSDkUM0ZNiSRXFpjxEsvc/Zgc5kq5omJ+V0a8/kIM2WD3sMOYg==",
        ("lib/xterm.mjs", "css/xterm.css", "LICENSE"),
    ),
    Package(
        "@xterm/addon-fit",
        "0.11.0",
        "sha512-jYcgT6xtVYhnhgxh3QgYDnnNMYTcf8ElbxxFzX0IZo+vabQqSPAjC3c1wJrKB5E19VwQei89QCiZZP86DCPF7g==",
        ("lib/addon-fit.mjs", "LICENSE"),
    ),
    Package(
        "@xterm/addon-search",
        "0.16.0",
        "sha512-9OeuBFu0/uZJPu+9AHKY6g/w0Czyb/Ut0A5t79I4ULoU4IfU5BEpPFVGQxP4zTTMdfZEYkVIRYbHBX1xWwjeSA==",
        ("lib/addon-search.mjs", "LICENSE"),
    ),
    Package(
        "@xterm/addon-unicode11",
        "0.9.0",
        "sha512-FxDnYcyuXhNl+XSqGZL/t0U9eiNb/q3EWT5rYkQT/zuig8Gz/VagnQANKHdDWFM2lTMk9ly0EFQxxxtZUoRetw==",
        ("lib/addon-unicode11.mjs", "LICENSE"),
    ),
)


def fetch(package: Package, folder: Path) -> None:
    """Download by the npm client, compare with the pinned hash, copy the kept files."""
    spec = f"{package.name}@{package.version}"
    command = [
        "npm",
        "pack",
        "--ignore-scripts",
        "--json",
        "--pack-destination",
        str(folder),
        spec,
    ]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    archive = folder / report[0]["filename"].replace("@", "").replace("/", "-")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != package.integrity:
        raise SystemExit(f"{spec} is not the package that was pinned: sha512-{digest}")
    package.folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        for name in package.files:
            member = tar.extractfile(f"package/{name}")
            if member is None:
                raise SystemExit(f"{spec} has no file {name}.")
            (package.folder / Path(name).name).write_bytes(member.read())


def digests() -> dict[str, str]:
    """SHA-256 of every vendored file, by its path below static/vendor."""
    return {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for package in PACKAGES
        for path in sorted(package.folder.iterdir())
    }


def main() -> None:
    if sys.argv[1:] == ["--check"]:
        if json.loads(LOCK.read_text()) != digests():
            raise SystemExit("static/vendor differs from its lock. Run scripts/vendor.py.")
        return
    with tempfile.TemporaryDirectory() as folder:
        for package in PACKAGES:
            fetch(package, Path(folder))
    LOCK.write_text(json.dumps(digests(), indent=2) + "\n")


if __name__ == "__main__":
    main()
