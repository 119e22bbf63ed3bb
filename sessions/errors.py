"""Every error Berth raises on purpose.

    BerthError
    ├── InvalidInputError            the caller sent something that cannot be done (400)
    │   └── FileTooLargeError        an upload over the limit (413)
    ├── NotFoundError                no such thing, or not yours (404)
    ├── ConflictError                the thing is in another state than the caller thinks (409)
    ├── NotPermittedError            the key may not do this (403)
    ├── TooManyRequestsError         a limit is reached; `retry_after_s` says until when (429)
    ├── LeaseLostError               another runner writes this session now
    ├── SandboxError
    │   ├── SandboxUnavailableError  nothing can be asked of the sandbox at the moment (503)
    │   │   ├── EngineUnavailableError   the Docker engine does not answer
    │   │   │   └── ContainerPausedError
    │   │   └── ContainerLostError       the container is gone
    │   ├── CommandForgottenError    it ended so long ago that the guest only knows its id
    │   ├── ImageNotFoundError       the engine has no such image
    │   ├── SetupFailedError         a command that sets the container up did (422)
    │   ├── ProtocolError            the guest broke the protocol; its channel is closed
    │   └── FileAccessError          (an OSError as well)
    │       ├── EntryNotFoundError       FileNotFoundError
    │       ├── EntryExistsError         FileExistsError
    │       ├── OutsideWorkspaceError    PermissionError: a path or symlink leads out
    │       ├── WrongEntryKindError      a folder where a file is needed, or the reverse
    │       └── DiskFullError            no space left for the write
    └── ProviderError                the model could not answer; `hint` says what a person can do
        ├── ModelNotReadyError       the model is still being downloaded or loaded
        ├── AuthenticationFailedError
        ├── ModelRefusedError        unknown model, or not allowed for this key
        ├── ContextOverflowError     the conversation no longer fits the model
        ├── QuotaExceededError       the account behind the key has nothing left
        └── ProviderUnavailableError rate limits, 5xx or no connection, after all retries

Each class carries a stable `code`. HTML, websocket and JSON are rendered from it at the edges.
"""

import math
from typing import Literal


class BerthError(Exception):
    """Base of all errors with a sentence a person can read and a stable code."""

    code = "error"
    status = 500

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class InvalidInputError(BerthError, ValueError):
    code = "invalid_input"
    status = 400


class FileTooLargeError(InvalidInputError):
    code = "file_too_large"
    status = 413


class NotFoundError(BerthError, LookupError):
    code = "not_found"
    status = 404


class ConflictError(BerthError):
    code = "conflict"
    status = 409


class UploadOffsetError(ConflictError):
    """A piece of an upload does not begin where the one before ended."""

    code = "wrong_offset"

    def __init__(self, offset: int) -> None:
        super().__init__(f"The next byte of this upload is number {offset}.", param="offset")
        self.offset = offset


class UploadBusyError(ConflictError):
    code = "upload_busy"


class ChecksumError(InvalidInputError):
    code = "checksum_mismatch"


class NotPermittedError(BerthError):
    code = "missing_scope"
    status = 403

    def __init__(self, scope: str) -> None:
        super().__init__(
            "You have insufficient permissions for this operation. "
            f"Missing scopes: {scope}. Use an API key that has this scope."
        )
        self.scope = scope


class TooManyRequestsError(BerthError):
    code = "rate_limit_exceeded"
    status = 429

    def __init__(
        self, message: str, *, kind: Literal["requests", "tokens"], retry_after_s: float
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after_s = max(1, math.ceil(retry_after_s))
        """Whole seconds, at least one."""


class LeaseLostError(BerthError):
    code = "lease_lost"
    status = 409


class SandboxError(BerthError):
    code = "sandbox_error"
    status = 502


class SandboxUnavailableError(SandboxError):
    code = "sandbox_unavailable"
    status = 503


class EngineUnavailableError(SandboxUnavailableError, ConnectionError):
    code = "engine_unavailable"


class ContainerPausedError(EngineUnavailableError):
    """Somebody paused it. It goes on, with all that runs in it, when they let it: as with an engine
    that is away, nothing is lost by waiting."""

    code = "container_paused"


class ContainerLostError(SandboxUnavailableError):
    code = "container_lost"


class CommandForgottenError(SandboxError):
    code = "command_forgotten"


class ImageNotFoundError(SandboxError):
    code = "image_not_found"
    status = 400


class SetupFailedError(SandboxError):
    code = "setup_failed"
    status = 422


class ProtocolError(SandboxError):
    code = "protocol_error"


class FileAccessError(SandboxError, OSError):
    code = "file_error"
    status = 400


class EntryNotFoundError(FileAccessError, FileNotFoundError):
    code = "entry_not_found"
    status = 404


class EntryExistsError(FileAccessError, FileExistsError):
    code = "entry_exists"
    status = 409


class OutsideWorkspaceError(FileAccessError, PermissionError):
    code = "outside_workspace"
    status = 403


class WrongEntryKindError(FileAccessError):
    code = "wrong_entry_kind"


class DiskFullError(FileAccessError):
    code = "disk_full"
    status = 507


class ProviderError(BerthError):
    """The model could not answer. `hint` is one sentence on what to do about it."""

    code = "provider_error"
    status = 502

    def __init__(self, message: str, *, hint: str = "", param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.hint = hint


class ModelNotReadyError(ProviderError):
    code = "model_not_ready"
    status = 503


class AuthenticationFailedError(ProviderError):
    code = "authentication_failed"


class ModelRefusedError(ProviderError):
    code = "model_refused"


class ContextOverflowError(ProviderError):
    code = "context_overflow"


class QuotaExceededError(ProviderError):
    code = "quota_exceeded"


class ProviderUnavailableError(ProviderError):
    code = "provider_unavailable"
