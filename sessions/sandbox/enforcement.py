"""What this machine enforces on a session, judged from what its engine says of itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sessions.sandbox.base import EngineInfo

OLDEST_API = (1, 41)
STRONG_RUNTIMES = ("kata", "runsc", "sysbox")

State = Literal["ok", "weak", "missing"]
"""`weak`: Berth works, but something is not enforced. `missing`: Berth does not work."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    state: State
    detail: str


def engine_checks(engine: EngineInfo) -> list[Check]:
    return [
        _version(engine),
        *_limits(engine),
        Check("network", "ok", "none in any container but loopback"),
        _seccomp(engine),
        _mandatory_access(engine),
        _user_namespace(engine),
        _runtime(engine),
        _disk(engine),
    ]


def image_checks(wanted: Sequence[str], present: Sequence[str]) -> Iterator[Check]:
    for image in wanted:
        if image in present:
            yield Check("image", "ok", image)
        else:
            yield Check("image", "missing", f"{image} is not built: run `make images`")


def is_usable(checks: Sequence[Check]) -> bool:
    return all(check.state != "missing" for check in checks)


def _version(engine: EngineInfo) -> Check:
    detail = f"{engine.version}, API {engine.api_version}, cgroup v{engine.cgroup_version}"
    if _numbers(engine.api_version) < OLDEST_API:
        return Check("engine", "missing", f"{detail}: API 1.41 (Docker 20.10) is needed")
    return Check("engine", "ok", detail)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _limits(engine: EngineInfo) -> Iterator[Check]:
    """The few limits the engine may lack; command time and output are Berth's own work."""
    consequences = {
        "memory": "a session can take all memory of the machine",
        "swap": "a session over its memory limit may swap before it is stopped",
        "cpu": "a session can use all processors",
        "pids": "a session can start processes without bound",
    }
    for limit, consequence in consequences.items():
        if limit in engine.unenforced_limits:
            yield Check(f"{limit} limit", "weak", f"not enforced by this kernel: {consequence}")
        else:
            yield Check(f"{limit} limit", "ok", "enforced by the kernel")
    yield Check("time and output limits", "ok", "enforced by Berth")


def _seccomp(engine: EngineInfo) -> Check:
    option = next((o for o in engine.security_options if "name=seccomp" in o), "")
    if not option:
        return Check("seccomp", "weak", "not available: every system call is allowed")
    profile = option.partition("profile=")[2] or "default"
    if profile == "unconfined":
        return Check("seccomp", "weak", "the engine runs containers unconfined")
    return Check("seccomp", "ok", f"profile {profile}")


def _mandatory_access(engine: EngineInfo) -> Check:
    found = [name for name in ("apparmor", "selinux") if _has(engine, name)]
    if found:
        return Check("AppArmor or SELinux", "ok", ", ".join(found))
    return Check("AppArmor or SELinux", "weak", "neither is active in this engine")


def _user_namespace(engine: EngineInfo) -> Check:
    if _has(engine, "userns") or _has(engine, "rootless"):
        return Check("user namespaces", "ok", "root in a container is nobody outside")
    return Check(
        "user namespaces",
        "weak",
        "not remapped; commands run as uid 1000 without capabilities all the same",
    )


def _runtime(engine: EngineInfo) -> Check:
    strong = [r for r in engine.runtimes if any(name in r for name in STRONG_RUNTIMES)]
    listed = ", ".join(engine.runtimes)
    if strong:
        return Check("runtime", "ok", f"{listed}; sessions use the engine's default")
    return Check("runtime", "weak", f"{listed}: containers share this machine's kernel")


def _disk(engine: EngineInfo) -> Check:
    where = f"{engine.storage_driver} on {engine.backing_filesystem or 'an unknown filesystem'}"
    if engine.has_disk_quota:
        return Check("disk quota", "ok", f"hard, by the file system ({where})")
    return Check(
        "disk quota",
        "weak",
        f"none ({where}): Berth's watchdog in the container ends whoever writes beyond the limit, "
        "as a rule within 2 s",
    )


def _has(engine: EngineInfo, name: str) -> bool:
    return any(option.startswith(f"name={name}") for option in engine.security_options)
