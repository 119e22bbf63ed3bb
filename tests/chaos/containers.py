"""What an installation has in the engine, and what runs in it."""

import json
import subprocess
import uuid
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import psutil

from tests.chaos.engine import IMAGE, Engine
from tests.chaos.workload import BEGAN, ENDED

SESSION_LABEL = "berth.session"
READ_MARKS = """
import json, pathlib, sys
files = [path for name in sys.argv[1:] for path in pathlib.Path("/seen").glob("*/" + name)]
print(json.dumps({str(path): path.read_text() for path in files}))
"""


def labelled(engine: Engine, name: str) -> dict[str, str]:
    """Session by container's name, for each container of the installation."""
    rows = engine.docker(
        "ps", "-a", "--no-trunc",
        "--filter", f"label=berth.installation={name}",
        "--format", f'{{{{.Names}}}} {{{{.Label "{SESSION_LABEL}"}}}}',
    )  # fmt: skip
    pairs = (line.partition(" ") for line in rows.splitlines())
    return {container: session for container, _, session in pairs}


def volumes(engine: Engine, name: str) -> list[str]:
    return engine.docker(
        "volume", "ls", "-q", "--filter", f"label=berth.installation={name}"
    ).split()


def remove_all(engine: Engine, name: str) -> None:
    if ids := list(labelled(engine, name)):
        engine.docker("rm", "-f", *ids)
    if found := volumes(engine, name):
        engine.docker("volume", "rm", *found)


def engine_id(engine: Engine, name: str) -> str:
    """By which the kernel's groups are called; empty when it is gone."""
    try:
        return engine.docker("inspect", "--format", "{{.Id}}", name).strip()
    except subprocess.CalledProcessError:
        return ""


def marks(
    engine: Engine, volume_of: Mapping[uuid.UUID, str]
) -> dict[uuid.UUID, dict[str, Counter[str]]]:
    """How often each command wrote its name, by session and file: read past the product."""
    ids = list(volume_of)
    mounts = [f"--volume={volume_of[one]}:/seen/{one}:ro" for one in ids]
    text = engine.docker(
        "run",
        "--rm",
        "--network=none",
        "--user=0",
        *mounts,
        IMAGE,
        "python3",
        "-c",
        READ_MARKS,
        BEGAN,
        ENDED,
    )
    contents = json.loads(text)
    return {
        one: {
            file: Counter(contents.get(f"/seen/{one}/{file}", "").split())
            for file in (BEGAN, ENDED)
        }
        for one in ids
    }


def processes_in(container_id: str) -> list[psutil.Process]:
    """By cgroup, so that nothing in the container can hide."""
    found = []
    for process in psutil.process_iter():
        try:
            if container_id in Path(f"/proc/{process.pid}/cgroup").read_text():
                found.append(process)
        except OSError:
            continue
    return found


def channels_in(container_id: str) -> list[psutil.Process]:
    """The programs that handed a channel to the guest."""
    return [one for one in processes_in(container_id) if verb_of(one) == "connect"]


def verb_of(process: psutil.Process) -> str:
    """`serve` for the guest, `connect` for a channel's program, else its command line."""
    try:
        argv = process.cmdline()
    except psutil.NoSuchProcess:
        return "gone"
    for program, verb in pairwise(argv):
        if program.endswith("/guest/__main__.py"):
            return verb
    # What connects becomes this, to wait in less memory.
    return "connect" if argv[-2:] == ["/.berth/bin/sleep", "infinity"] else " ".join(argv[-4:])


def thaw(container_id: str) -> None:
    """Let its processes run, whatever the engine says: by cgroup, of either version."""
    for state, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
        for path in Path("/sys/fs/cgroup").glob(f"**/{container_id}/{state}"):
            path.write_text(value)
