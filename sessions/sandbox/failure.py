"""What an answer of the Docker engine means: a pure classifier, no SDK in sight.

"The command failed" is a result and never comes through here. This is about the engine itself,
the image, and the container as a whole.
"""

from sessions.errors import (
    ContainerLostError,
    ContainerPausedError,
    EngineUnavailableError,
    ImageNotFoundError,
    SandboxError,
)

_NO_IMAGE = ("no such image", "pull access denied", "manifest unknown", "not found: manifest")
_NO_CONTAINER = (
    "no such container",
    "no such exec",
    "no container with",
    "is not running",
    "is restarting",
    "marked for removal",
    "container not running",
    "process not running",
    "process has already finished",
    "stopped state",
    "cannot exec in a stopped",
    "procready not received",
    "ttrpc: closed",
    "exec_id not found",
    "task not found",
    "no running task",
)
_ENGINE_STATUSES = frozenset({502, 503, 504})


def classify(status: int | None, explanation: str) -> SandboxError:
    """`status` is the HTTP status of the engine's answer, None when it did not answer at all."""
    text = explanation.strip() or "no explanation given"
    lower = text.lower()
    if status is None or status in _ENGINE_STATUSES:
        return EngineUnavailableError(f"The Docker engine does not answer: {text}")
    if any(mark in lower for mark in _NO_IMAGE):
        return ImageNotFoundError(f"The Docker engine has no such image: {text}", param="image")
    if "is paused" in lower:
        return ContainerPausedError("The container is paused.")
    if any(mark in lower for mark in _NO_CONTAINER):
        return ContainerLostError(f"The container is gone: {text}")
    if "no space left on device" in lower:
        return SandboxError(f"The Docker engine's disk is full: {text}")
    return SandboxError(f"The Docker engine refused: {text}")


def is_gone_already(status: int | None, explanation: str) -> bool:
    """True when a removal failed only because there is nothing left to remove."""
    if status == 404:
        return True
    return status == 409 and "already in progress" in explanation.lower()
