"""The host's side of a container's Python kernel (sandbox/interpreter/): start it, send it code,
see that nothing of it runs.

The kernel is a command of the guest as any other, under an id that says which it is: whoever asks
for it, after a restart as well, attaches to the one that runs. When it has ended the next has the
next number.
"""

import asyncio
import base64
import binascii
import json
import re
import secrets
import time
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from sessions.errors import CommandForgottenError
from sessions.sandbox import interpreter
from sessions.sandbox.base import Exec, ExecEnded, ExecRequest, Sandbox
from sessions.sandbox.setup import Setup

_SOURCES = Path(interpreter.__file__).parent
START_S = 60.0
MAX_FAILURES = 3
"""Kernels that end as they start, before it is given up."""
MAX_SAID_BYTES = 16 * 1024
NOT_FOUND = 127
MAX_SHOWN_BYTES = 3 * 1024 * 1024
MAX_PICTURES = 8
_MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff"}

_FIND = """\
for python in python3 python; do
  command -v "$python" >/dev/null 2>&1 || continue
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 8))' && exec "$python" "$@"
done
echo 'Python 3.8 or later is needed to run code, and this image has none.' >&2
exit 127
"""
# A folder of the code's own must not come before the standard library.
_RUN_KERNEL = (
    "import sys; sys.path.pop(0); import os; "
    'exec(compile(os.environ["BERTH_KERNEL"], "<berth kernel>", "exec")); main()'
)
_RUN_CLIENT = (
    'import os; exec(compile(os.environ.pop("BERTH_CLIENT"), "<berth client>", "exec")); main()'
)


class NoKernelError(Exception):
    """No code can be run there; the sentence says why."""


@cache
def _source(name: str) -> str:
    return (_SOURCES / f"{name}.py").read_text()


class PythonKernel:
    """Of one container at a time. Every method raises SandboxError, its subclasses."""

    def __init__(self) -> None:
        self.setup = Setup()
        """Of the container: whose commands the kernel and its clients are, and their variables."""
        self._number = 1
        self._socket = self._python = ""

    async def ensure(self, sandbox: Sandbox, shell: str) -> None:
        """Returns once it takes code. Raises: NoKernelError."""
        self._socket = ""
        failures = 0
        while not self._socket:
            began_at = time.monotonic()
            exec_ = await sandbox.exec(self._request(shell))
            try:
                async with asyncio.timeout(START_S):
                    self._socket, self._python, end, errors = await _greeted(exec_)
            except CommandForgottenError:
                self._number += 1
                continue
            except TimeoutError as error:
                await exec_.stop()
                raise NoKernelError("The interpreter did not start in time.") from error
            if end is None:
                continue
            if end.ending.exit_code == NOT_FOUND:
                raise NoKernelError(errors)
            self._number += 1
            # One that ended earlier tells so at once, however long it lived.
            has_just_run = (time.monotonic() - began_at) * 1000 >= end.duration_ms
            failures += has_just_run
            if failures >= MAX_FAILURES:
                raise NoKernelError(f"The interpreter did not start. {errors}")

    def _request(self, shell: str) -> ExecRequest:
        return ExecRequest(
            exec_id=f"python.kernel.{self._number}",
            argv=(shell, "-c", _FIND, shell, "-c", _RUN_KERNEL),
            env={
                **self.setup.env,
                "BERTH_KERNEL": _source("kernel"),
                "BERTH_WORKER": _source("worker"),
            },
            user=self.setup.user,
            stdin=True,
            keep_log=False,
        )

    def client(
        self, call_id: str, code: str, *, is_known: bool
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        """Arguments and environment of the command that runs `code`."""
        argv, env = self._client()
        known = {"BERTH_IS_KNOWN": "1"} if is_known else {}
        return argv, {**env, "BERTH_CALL": call_id, "BERTH_CODE": code, **known}

    def _client(self) -> tuple[tuple[str, ...], dict[str, str]]:
        argv = (self._python, "-I", "-S", "-c", _RUN_CLIENT)
        return argv, {"BERTH_CLIENT": _source("client"), "BERTH_SOCKET": self._socket}

    async def settle(self, sandbox: Sandbox, shell: str, call_id: str) -> None:
        """Returns once nothing of the call runs, at the price of the interpreter if need be.
        Raises: NoKernelError where none ever ran."""
        if not self._socket:
            await self.ensure(sandbox, shell)
        if await self._is_quiet(sandbox, call_id):
            return
        kernel = await sandbox.exec(self._request(shell))
        await kernel.stop()
        await _end_of(kernel)

    async def _is_quiet(self, sandbox: Sandbox, call_id: str) -> bool:
        """What the kernel says once it has ended the code; it has a few seconds to."""
        argv, env = self._client()
        request = ExecRequest(
            f"{call_id}.settle",
            argv,
            env=env,
            user=self.setup.user,
            timeout_s=5,
            keep_log=False,
        )
        end = await _end_of(await sandbox.exec(request))
        return end.ending.kind == "exit" and end.ending.exit_code == 0

    async def shown(self, sandbox: Sandbox, shell: str, call_id: str) -> list[str]:
        """The pictures of a call, as `data:` URLs. Raises: NoKernelError."""
        if not self._socket:
            # The code ran under an earlier process of ours, or not at all.
            await self.ensure(sandbox, shell)
        path = str(PurePosixPath(self._socket).parent / "shown" / call_id)
        request = ExecRequest(
            exec_id=f"{call_id}.shown",
            argv=(shell, "-c", '[ ! -f "$0" ] || cat "$0"', path),
            user=self.setup.user,
            timeout_s=20,
            keep_log=False,
        )
        data = bytearray()
        exec_ = await sandbox.exec(request)
        async for piece in exec_:
            if not isinstance(piece, ExecEnded) and piece.stream == "stdout":
                data += piece.data
                await exec_.ack("stdout", piece.offset + len(piece.data))
                if len(data) > MAX_SHOWN_BYTES:
                    await exec_.stop()
                    return []
        return pictures(bytes(data))


async def _greeted(exec_: Exec) -> tuple[str, str, ExecEnded | None, str]:
    """The socket it listens on and its Python, or its end and what it complained of. Asks for a
    word of its own: what one that has ended once said is still there."""
    word = secrets.token_hex(8)
    await exec_.write_stdin(f"{word}\n".encode())
    said = {"stdout": b"", "stderr": b""}
    async for piece in exec_:
        if isinstance(piece, ExecEnded):
            return "", "", piece, _text(said["stderr"])
        said[piece.stream] = (said.get(piece.stream, b"") + piece.data)[-MAX_SAID_BYTES:]
        if piece.stream == "stdout":
            await exec_.ack("stdout", piece.offset + len(piece.data))
        answer = rf"ready {word} (/[!-~]{{1,107}}) (/[^\n\0]{{1,1000}})\n"
        if found := re.search(answer, said["stdout"].decode("utf-8", "replace")):
            await exec_.detach()
            return found[1], found[2], None, ""
    raise AssertionError("an exec ends with its end")


def _text(said: bytes) -> str:
    return said.decode("utf-8", "replace").strip()


async def _end_of(exec_: Exec) -> ExecEnded:
    async for piece in exec_:
        if isinstance(piece, ExecEnded):
            return piece
    raise AssertionError("an exec ends with its end")


def pictures(data: bytes) -> list[str]:
    """What a container says that its code showed, as far as it is pictures."""
    try:
        found: Any = json.loads(data or b"[]")
    except (ValueError, RecursionError):
        return []
    made = []
    for one in found[:MAX_PICTURES] if isinstance(found, list) else ():
        kind, text = (one.get("kind"), one.get("data")) if isinstance(one, dict) else ("", "")
        if kind in _MAGIC and isinstance(text, str) and _is_picture(kind, text):
            made.append(f"data:image/{kind};base64,{text}")
    return made


def _is_picture(kind: str, text: str) -> bool:
    try:
        return base64.b64decode(text, validate=True).startswith(_MAGIC[kind])
    except (ValueError, binascii.Error):
        return False
