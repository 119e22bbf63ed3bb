"""Commands that a program runs in a container by itself: what it sends, and what it gets."""

import base64
import binascii
import codecs
import shlex
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from sessions.api.errors import ApiError
from sessions.api.schema import Identified, RequestPart, Resource
from sessions.errors import InvalidInputError
from sessions.events.types import CallEnded, Output, OutputDropped
from sessions.models import Session
from sessions.providers.base import CommandResult
from sessions.providers.responses_input import outcome
from sessions.responses.ids import CONTAINER, format_id
from sessions.responses.resource import live_url
from sessions.runtime.execs import ExecSpec
from sessions.sandbox.limits import MIB, Limits
from sessions.sandbox.setup import check_env

MAX_COMMAND_BYTES = 128 * 1024
"""All words together; the kernel takes no longer one."""
MAX_WORDS = 4096
MAX_STDIN_BYTES = 16 * MIB
DEFAULT_OUTPUT_BYTES = 1 * MIB
MAX_OUTPUT_BYTES = 16 * MIB
MAX_CWD_LENGTH = 4096

Encoding = Literal["text", "base64"]


class ExecOptions(RequestPart):
    """What is run, however one gets to see it."""

    command: str | list[str] = Field(
        description="Of a shell, or words that run as they are: a program and its arguments."
    )
    cwd: str | None = Field(None, max_length=MAX_CWD_LENGTH, description="`/workspace` without.")
    env: dict[str, str] | None = Field(None, description="Beside those of the container.")
    timeout_ms: int | None = Field(None, ge=1, description="The session's own without one.")


class RunExec(ExecOptions):
    stdin: str | None = Field(None, description="Without it standard input is empty.")
    encoding: Encoding = Field("text", description="Of `stdin`, and of what is printed.")
    max_output_bytes: int = Field(
        DEFAULT_OUTPUT_BYTES,
        ge=0,
        le=MAX_OUTPUT_BYTES,
        description="Of each stream; the first ones are kept. A stream of events has all.",
    )
    stream: bool = False


class ContainerExec(Identified):
    object: Literal["container.exec"] = "container.exec"
    container_id: str
    status: Literal["in_progress", "completed"]
    stdout: str | None
    stderr: str | None
    stdout_truncated: bool
    stderr_truncated: bool
    outcome: dict[str, Any] | None = Field(description="As in the output of a shell call.")
    ending: dict[str, Any] | None = Field(description="How it ended, whatever it was.")
    duration_ms: int | None
    live_url: str


class ExecEvent(Resource):
    """One of a stream."""

    model_config = {"extra": "allow"}

    type: str
    sequence_number: int


def spec_of(session: Session, body: ExecOptions, *, stdin: bytes | None = None) -> ExecSpec:
    """Raises: ApiError."""
    text, argv = _command(body.command)
    cwd = body.cwd or "/workspace"
    if not cwd.startswith("/"):
        raise _invalid("cwd", "it begins with a slash.")
    try:
        env = check_env(body.env or {})
    except InvalidInputError as error:
        raise ApiError(400, error.message, param=error.param, code="invalid_value") from error
    return ExecSpec(
        text=text,
        argv=argv,
        cwd=cwd,
        env=env,
        timeout_s=_timeout_s(session, body.timeout_ms),
        stdin=stdin,
    )


def _command(command: str | list[str]) -> tuple[str, tuple[str, ...]]:
    """The text a person reads, and the words that run; none for a shell's command."""
    words = [command] if isinstance(command, str) else command
    if not words or not words[0].strip():
        raise _invalid("command", "there is nothing to run.")
    if len(words) > MAX_WORDS or sum(len(word.encode()) + 1 for word in words) > MAX_COMMAND_BYTES:
        raise _invalid("command", f"at most {MAX_COMMAND_BYTES >> 10} KiB are taken.")
    if isinstance(command, str):
        return command, ()
    return shlex.join(command), tuple(command)


def _timeout_s(session: Session, asked_ms: int | None) -> float:
    longest = Limits.from_json(session.limits).command_timeout_s
    if asked_ms is None:
        return longest
    if asked_ms > longest * 1000:
        message = f"Invalid 'timeout_ms': at most {longest * 1000:.0f} may be asked for here."
        raise ApiError(400, message, param="timeout_ms", code="above_maximum")
    return asked_ms / 1000


def stdin_of(body: RunExec) -> bytes | None:
    """Raises: ApiError."""
    if body.stdin is None:
        return None
    if body.encoding == "text":
        data = body.stdin.encode()
    else:
        try:
            data = base64.b64decode(body.stdin, validate=True)
        except (binascii.Error, ValueError) as error:
            raise _invalid("stdin", "it is not base64.") from error
    if len(data) > MAX_STDIN_BYTES:
        raise _invalid("stdin", f"at most {MAX_STDIN_BYTES >> 20} MiB are taken.")
    return data


def _invalid(param: str, what: str) -> ApiError:
    return ApiError(400, f"Invalid '{param}': {what}", param=param, code="invalid_value")


class Printed:
    """What a command printed, in the encoding that was asked for, up to so many bytes a stream."""

    def __init__(self, encoding: Encoding, max_bytes: int) -> None:
        self._encoding = encoding
        self._max_bytes = max_bytes
        self._kept = {"stdout": bytearray(), "stderr": bytearray()}
        self._is_cut = {"stdout": False, "stderr": False}

    async def hear(self, body: Output | OutputDropped) -> None:
        kept = self._kept[body.stream]
        if isinstance(body, OutputDropped) or self._is_cut[body.stream]:
            self._is_cut[body.stream] = True
            return
        room = self._max_bytes - len(kept)
        self._is_cut[body.stream] = len(body.content) > room
        kept += body.content[:room]

    def text(self, stream: str) -> str:
        if self._encoding == "base64":
            return base64.b64encode(self._kept[stream]).decode()
        return self._kept[stream].decode("utf-8", "replace")

    def is_cut(self, stream: str) -> bool:
        return self._is_cut[stream]


class PieceText:
    """The same piece by piece; a character that lies in two pieces comes with the second."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._decoders = {
            name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")
        }

    def of(self, stream: str, data: bytes, *, is_last: bool = False) -> str:
        if self._encoding == "base64":
            return base64.b64encode(data).decode()
        return self._decoders[stream].decode(data, final=is_last)

    def skip(self, stream: str) -> None:
        self._decoders[stream].reset()


def exec_resource(
    session: Session,
    call_id: str,
    *,
    printed: Printed | None = None,
    cut: Mapping[str, bool] | None = None,
    ended: CallEnded | None = None,
) -> ContainerExec:
    """Without `printed` for a stream, which had it already."""
    cut = cut or {}

    def is_cut(stream: str) -> bool:
        return printed.is_cut(stream) if printed is not None else cut.get(stream, False)

    return ContainerExec(
        id=call_id,
        container_id=format_id(CONTAINER, session.id),
        status="in_progress" if ended is None else "completed",
        stdout=printed.text("stdout") if printed else None,
        stderr=printed.text("stderr") if printed else None,
        stdout_truncated=is_cut("stdout"),
        stderr_truncated=is_cut("stderr"),
        outcome=outcome_of(ended.ending) if ended else None,
        ending=ended.ending if ended else None,
        duration_ms=ended.duration_ms if ended else None,
        live_url=live_url(session.id),
    )


def outcome_of(ending: dict[str, Any]) -> dict[str, Any]:
    return outcome(CommandResult("", "", "", ending, 0))
