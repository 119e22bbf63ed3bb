"""The classifier, on answers as engines give them."""

import pytest

from sessions.errors import (
    ContainerLostError,
    ContainerPausedError,
    EngineUnavailableError,
    ImageNotFoundError,
    SandboxError,
    SandboxUnavailableError,
)
from sessions.sandbox.failure import classify, is_gone_already

LOST = [
    (404, "No such container: 4f2a"),
    (404, "No such exec instance: 77aa"),
    (409, "Container 4f2a is not running"),
    (409, "Container 4f2a is restarting, wait until the container is running"),
    (409, "removal of container 4f2a: container is marked for removal and cannot be started"),
    (500, "OCI runtime exec failed: exec failed: cannot exec in a stopped container: unknown"),
    (500, "OCI runtime exec failed: exec failed: procReady not received: unknown"),
    (500, "ttrpc: closed: unknown"),
]


@pytest.mark.parametrize(("status", "explanation"), LOST)
def test_a_container_that_cannot_run_anything_is_lost(status: int, explanation: str) -> None:
    assert type(classify(status, explanation)) is ContainerLostError


def test_a_paused_container_is_not_lost() -> None:
    error = classify(409, "Container 4f2a is paused, unpause the container before exec")
    assert type(error) is ContainerPausedError


@pytest.mark.parametrize("status", [None, 502, 503, 504])
def test_no_answer_means_no_engine(status: int | None) -> None:
    assert type(classify(status, "anything")) is EngineUnavailableError


@pytest.mark.parametrize(
    "explanation",
    [
        "No such image: berth/nothing:latest",
        "pull access denied for berth/nothing, repository does not exist",
        "manifest unknown: manifest unknown",
    ],
)
def test_a_missing_image_is_the_callers_mistake(explanation: str) -> None:
    error = classify(404, explanation)
    assert type(error) is ImageNotFoundError
    assert error.param == "image"


@pytest.mark.parametrize(
    ("status", "explanation", "says"),
    [
        (500, "mkdir /var/lib/docker/overlay2/x: no space left on device", "disk is full"),
        (400, "invalid reference format", "invalid reference format"),
        (500, "", "no explanation"),
    ],
)
def test_any_other_refusal_is_neither_lost_nor_unavailable(
    status: int, explanation: str, says: str
) -> None:
    error = classify(status, explanation)
    assert isinstance(error, SandboxError)
    assert not isinstance(error, SandboxUnavailableError)
    assert says in error.message


def test_gone_already_is_told_from_refused() -> None:
    assert is_gone_already(404, "No such container: 4f2a")
    assert is_gone_already(409, "removal of container 4f2a is already in progress")
    assert not is_gone_already(409, "volume is in use")
    assert not is_gone_already(500, "driver failed to remove root filesystem")
    assert not is_gone_already(None, "")
