"""The doctor's verdicts, on engines as they describe themselves."""

import dataclasses

from sessions.sandbox.base import EngineInfo
from sessions.sandbox.enforcement import Check, engine_checks, image_checks, is_usable

STRONG = EngineInfo(
    version="28.2.2",
    api_version="1.50",
    storage_driver="overlay2",
    backing_filesystem="extfs",
    cgroup_version="2",
    security_options=("name=apparmor", "name=seccomp,profile=builtin", "name=userns"),
    runtimes=("runc", "runsc"),
)


def states(engine: EngineInfo) -> dict[str, str]:
    return {check.name: check.state for check in engine_checks(engine)}


def test_the_strongest_engine_lacks_only_a_disk_quota() -> None:
    assert [name for name, state in states(STRONG).items() if state != "ok"] == ["disk quota"]


def test_doctor_says_which_of_the_two_holds_the_disk_limit() -> None:
    (watchdog,) = [check for check in engine_checks(STRONG) if check.name == "disk quota"]
    assert "watchdog" in watchdog.detail
    assert "overlay2 on extfs" in watchdog.detail
    hard = dataclasses.replace(STRONG, backing_filesystem="xfs", has_disk_quota=True)
    (quota,) = [check for check in engine_checks(hard) if check.name == "disk quota"]
    assert (quota.state, quota.detail) == ("ok", "hard, by the file system (overlay2 on xfs)")


def test_limits_the_kernel_lacks_are_named() -> None:
    weak = dataclasses.replace(STRONG, unenforced_limits=("swap", "pids"))
    found = states(weak)
    assert (found["swap limit"], found["pids limit"]) == ("weak", "weak")
    assert (found["memory limit"], found["cpu limit"]) == ("ok", "ok")


def test_no_or_an_empty_seccomp_profile_is_weak() -> None:
    for options in ((), ("name=seccomp,profile=unconfined",)):
        engine = dataclasses.replace(STRONG, security_options=options)
        assert states(engine)["seccomp"] == "weak"


def test_a_plain_engine_is_usable_and_says_what_it_lacks() -> None:
    plain = dataclasses.replace(
        STRONG, security_options=("name=seccomp,profile=default",), runtimes=("runc",)
    )
    found = states(plain)
    assert found["seccomp"] == "ok"
    for name in ("AppArmor or SELinux", "user namespaces", "runtime", "disk quota"):
        assert found[name] == "weak", name
    assert is_usable(engine_checks(plain))


def test_an_engine_too_old_is_not_usable() -> None:
    assert not is_usable(engine_checks(dataclasses.replace(STRONG, api_version="1.40")))
    assert is_usable(engine_checks(dataclasses.replace(STRONG, api_version="1.41")))


def test_a_missing_image_names_the_command() -> None:
    missing, present = image_checks(["berth/sandbox", "own/image"], ["own/image"])
    assert missing == Check("image", "missing", "berth/sandbox is not built: run `make images`")
    assert present.state == "ok"
