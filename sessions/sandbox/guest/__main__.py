"""Run as a folder, `python3 -I -S <folder>/__main__.py`, by any Python from 3.11 on.

serve [--socket PATH] [--workspace DIR] [--run-dir DIR] [--uid N] [--gid N]
      [--scratch DIR] [--disk-limit BYTES] [--skills DIR]
connect [--socket PATH]
"""

# ruff: noqa: PTH100, PTH120
# pathlib and contextlib would cost the guest memory.

import os
import sys

_PACKAGE = "sessions.sandbox.guest"
_DEFAULTS = {
    "socket": "/run/berth/guest.sock",
    "workspace": "/workspace",
    "run-dir": "/run/berth",
    "uid": "1000",
    "gid": "1000",
    "scratch": "/",
    "disk-limit": "",
    "skills": "/.skills",
}


def _become_package() -> None:
    """Let this folder, wherever it lies, be imported under the name it has in the project."""
    parts = _PACKAGE.split(".")
    for size in range(1, len(parts) + 1):
        package = type(sys)(".".join(parts[:size]))
        package.__path__ = []
        sys.modules[package.__name__] = package
    sys.modules[_PACKAGE].__path__ = [os.path.dirname(os.path.abspath(__file__))]


def _options(words: list[str]) -> dict[str, str]:
    options = dict(_DEFAULTS)
    for flag, value in zip(words[::2], words[1::2], strict=True):
        if flag.removeprefix("--") not in options:
            raise SystemExit("berth guest: unknown option " + flag)
        options[flag.removeprefix("--")] = value
    return options


def main(argv: list[str]) -> None:
    _become_package()
    verb, options = (argv[1:2] or [""])[0], _options(argv[2:])
    # Only what the verb needs is imported: the one who connects stays small.
    if verb == "serve":
        from sessions.sandbox.guest.serve import serve

        serve(options)
    elif verb == "connect":
        from sessions.sandbox.guest.connect import connect

        connect(options["socket"])
    else:
        raise SystemExit(__doc__)


main(sys.argv)
