"""One call of code: brings it to the kernel, waits, and ends as the code did.

Runs in the image's own Python as an ordinary command, which a Stop or the time limit kills; the
kernel takes that for an interrupt. Its standard output is handed over: the code prints right to it,
and what is to be said of the interpreter goes there as well, so that it stands in its place.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
from typing import Any


def say(text: str) -> None:
    os.write(1, ("[" + text + "]\n").encode())


def open_call(path: str, request: dict[str, Any], output: int) -> socket.socket:
    """Raises: OSError."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    data = json.dumps(request).encode()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", output))]
    connection.sendmsg([struct.pack(">I", len(data))], rights)
    connection.sendall(data)
    return connection


def run(path: str, call_id: str, code: str, *, is_known: bool) -> int:
    """`is_known` tells whether earlier code may be relied on; then a new interpreter is told of."""
    try:
        request = {"call_id": call_id, "code": code, "is_known": is_known}
        connection = open_call(path, request, 1)
    except OSError as error:
        say("The interpreter does not answer: " + str(error.strerror))
        return 1
    try:
        for line in connection.makefile():
            told = json.loads(line)
            if "code" in told:
                return int(told["code"]) & 255
            if "died" in told:
                return died(int(told["died"]))
    except (OSError, ValueError):
        pass
    say("The interpreter was ended. Variables and imports are gone.")
    return 128 + signal.SIGKILL


def died(status: int) -> int:
    how = "exit code " + str(status)
    if status > 128:
        number = status - 128
        names = {one.value: one.name for one in signal.Signals}
        how = "killed by " + names.get(number, "signal " + str(number))
    say("The interpreter ended (" + how + "). Variables and imports are gone.")
    return status


def settle(path: str) -> int:
    """Wait until no code runs. Raises: OSError."""
    connection = open_call(path, {"settle": True}, 1)
    told = json.loads(connection.makefile().readline() or "{}")
    return 0 if told.get("settled") else 1


def main() -> None:
    path = os.environ["BERTH_SOCKET"]
    if "BERTH_CODE" not in os.environ:
        sys.exit(settle(path))
    is_known = bool(os.environ.get("BERTH_IS_KNOWN"))
    call_id = os.environ["BERTH_CALL"]
    sys.exit(run(path, call_id, os.environ["BERTH_CODE"], is_known=is_known))
