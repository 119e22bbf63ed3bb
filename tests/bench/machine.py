"""The machine in words that fit any machine like it, and the commit that was measured."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import psutil


def _output(*argv: str) -> str:
    program = shutil.which(argv[0])
    if program is None:
        return ""
    result = subprocess.run([program, *argv[1:]], capture_output=True, text=True, check=False)
    return result.stdout.strip()


def describe() -> str:
    gib = round(psutil.virtual_memory().total / 2**30)
    docker = _output("docker", "version", "--format", "{{.Server.Version}}") or "unknown"
    cgroup = "2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "1"
    return (
        f"{os.cpu_count()} cores, {gib} GiB, Linux {platform.release().split('-')[0]}, "
        f"Docker {docker}, cgroup v{cgroup}, Python {platform.python_version()}"
    )


def commit() -> str:
    name = _output("git", "rev-parse", "--short=12", "HEAD")
    changed = _output("git", "status", "--porcelain", "--", "sessions", "webapp", "tests/bench")
    return f"{name}+changes" if changed else name
