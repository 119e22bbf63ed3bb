"""The worker: runs code, call after call, in one namespace, as a notebook does.

A child of the kernel (kernel.py), in the image's own Python, 3.8 or later. What the code prints, its
own processes included, goes right to the descriptor that came with the call. The value of a last
expression is shown, `await` needs no function, tracebacks begin where the code does. Pictures
(figures of matplotlib, whatever has `_repr_png_`) are left in a file named after the call.
"""

# ruff: noqa: PTH103, PTH105, PTH107, PTH118, PTH123, PTH208, T201
# pathlib would cost each interpreter memory, and code prints.

from __future__ import annotations

import ast
import asyncio
import base64
import builtins
import contextlib
import importlib.util
import inspect
import io
import json
import linecache
import os
import signal
import socket
import struct
import sys
import threading
import traceback
import types
from typing import Any

MAX_PICTURES = 8
MAX_PICTURE_BYTES = 1 << 20
MAX_PICTURES_BYTES = 2 << 20
"""Of one call, all together."""
KEPT_FILES = 8
_LENGTH = struct.Struct(">I")
_AWAITS = getattr(ast, "PyCF_ALLOW_TOP_LEVEL_AWAIT", 0x2000)


class Live(io.TextIOWrapper):
    """Everything is seen at once, in its order with what processes print."""

    def write(self, text: str) -> int:  # type: ignore[explicit-override]  # its module is not in every image
        written = super().write(text)
        self.flush()
        return written


def open_stream(number: int) -> Live:
    raw = os.fdopen(number, "wb", closefd=False)
    return Live(raw, encoding="utf-8", errors="backslashreplace", newline="\n")


class Pictures:
    """What a call shows."""

    def __init__(self) -> None:
        self._found: list[dict[str, str]] = []
        self._bytes = 0

    def add(self, data: object, kind: str) -> None:
        if not isinstance(data, bytes):
            return
        is_too_large = (
            len(data) > MAX_PICTURE_BYTES or self._bytes + len(data) > MAX_PICTURES_BYTES
        )
        if is_too_large or len(self._found) >= MAX_PICTURES:
            print(f"[A picture of {len(data):,} bytes is left out; save it to a file.]")
            return
        self._bytes += len(data)
        self._found.append({"kind": kind, "data": base64.b64encode(data).decode()})

    def save(self, folder: str, call_id: str) -> None:
        found, self._found, self._bytes = self._found, [], 0
        if not found:
            return
        shown = os.path.join(folder, "shown")
        os.makedirs(shown, mode=0o700, exist_ok=True)
        files = [os.path.join(shown, name) for name in os.listdir(shown)]
        files.sort(key=os.path.getmtime)
        for path in files[: -KEPT_FILES + 1]:
            os.remove(path)
        path = os.path.join(shown, call_id)
        with open(path + "~", "w", encoding="ascii") as file:
            json.dump(found, file)
        os.replace(path + "~", path)


class PyplotHook:
    """`show` of matplotlib, which is imported by the code or not at all, shows and closes its
    figures, as notebooks do: the next plot begins anew."""

    def __init__(self, show: Any) -> None:
        self._show = show

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "matplotlib.pyplot":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        loader: Any = spec and spec.loader
        if loader is None:
            return spec
        run = loader.exec_module

        def exec_module(module: Any) -> None:
            run(module)
            module.show = lambda *args, **options: self._show()

        loader.exec_module = exec_module
        return spec


class Interpreter:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._pictures = Pictures()
        self._number = 0
        self._loop: Any = None
        self._main = types.ModuleType("__main__")
        self._main.__dict__["__builtins__"] = builtins
        sys.modules["__main__"] = self._main
        builtins.display = self.display  # type: ignore[attr-defined]
        sys.argv = [""]
        sys.path.insert(0, "")
        sys.meta_path.insert(0, PyplotHook(self.show_figures))
        os.environ.setdefault("MPLBACKEND", "Agg")

    def run(self, call_id: str, code: str) -> int:
        """Its exit status."""
        try:
            status = self._run(code)
        except BaseException:  # noqa: BLE001 - whatever code raises
            status = self._told()
        try:
            self.show_figures()
            self._pictures.save(self._folder, call_id)
        except BaseException:  # noqa: BLE001 - figures are the code's own objects
            status = self._told()
        return status

    def _run(self, code: str) -> int:
        self._number += 1
        name = "<python-" + str(self._number) + ">"
        # For tracebacks, and for `inspect`; nothing else has these lines.
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        tree = ast.parse(code, name)
        last: Any = tree.body[-1] if tree.body else None
        is_shown = isinstance(last, ast.Expr) and not _is_silenced(code)
        if is_shown:
            tree.body.pop()
        if tree.body:
            self._evaluate(compile(tree, name, "exec", _AWAITS, True))
        if is_shown:
            value = self._evaluate(
                compile(ast.Expression(last.value), name, "eval", _AWAITS, True)
            )
            if value is not None:
                self._main.__dict__["_"] = value
                self.display(value)
        return 0

    def _evaluate(self, code: Any) -> Any:
        value = eval(code, self._main.__dict__)  # noqa: S307 - the point of it
        if code.co_flags & inspect.CO_COROUTINE:
            return self._awaited(value)
        return value

    def _awaited(self, coroutine: Any) -> Any:
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        task = self._loop.create_task(coroutine)
        try:
            return self._loop.run_until_complete(task)
        except KeyboardInterrupt:
            # Nothing of a call that was interrupted goes on in a later one.
            for one in asyncio.all_tasks(self._loop):
                one.cancel()
            self._loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
            raise

    def _told(self) -> int:
        """What was raised, without the frames of this file; the exit status it stands for."""
        kind, error, trace = sys.exc_info()
        try:
            if isinstance(error, SystemExit):
                return _exit_status(error.code)
            while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(
                "<python-"
            ):
                trace = trace.tb_next
            lines = traceback.format_exception(kind, error, trace)
            sys.stderr.write("".join(lines))
        except BaseException as other:  # noqa: BLE001 - its own words may raise, or be endless
            os.write(
                2, ("[An error that cannot be shown: " + type(other).__name__ + "]\n").encode()
            )
        return 130 if isinstance(error, KeyboardInterrupt) else 1

    def display(self, *values: Any) -> None:
        """Show values as a notebook does: as pictures where they are some, else by their repr."""
        for value in values:
            if not self._is_picture(value):
                print(repr(value))

    def _is_picture(self, value: Any) -> bool:
        figure = sys.modules.get("matplotlib.figure")
        if figure is not None and isinstance(value, figure.Figure):
            self._draw(value)
            return True
        if isinstance(value, type):
            return False
        for name, kind in (("_repr_png_", "png"), ("_repr_jpeg_", "jpeg")):
            make = getattr(value, name, None)
            data = make() if callable(make) else None
            if isinstance(data, tuple):
                data = data[0]
            if isinstance(data, bytes):
                self._pictures.add(data, kind)
                return True
        return False

    def show_figures(self) -> None:
        pyplot: Any = sys.modules.get("matplotlib.pyplot")
        for number in list(pyplot.get_fignums()) if hasattr(pyplot, "get_fignums") else ():
            self._draw(pyplot.figure(number))

    def _draw(self, figure: Any) -> None:
        data = io.BytesIO()
        if figure.get_axes() or getattr(figure, "lines", None) or getattr(figure, "texts", None):
            figure.savefig(data, format="png", bbox_inches="tight")
            self._pictures.add(data.getvalue(), "png")
        pyplot: Any = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None:
            pyplot.close(figure)


def _is_silenced(code: str) -> bool:
    """A semicolon at the end says that the value is not wanted."""
    return code.rstrip().endswith(";")


def _exit_status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 255
    print(code, file=sys.stderr)
    return 1


# Its end of the kernel's channel


def _read_exactly(channel: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = channel.recv(size - len(data))
        if not piece:
            os._exit(0)  # the kernel is gone
        data += piece
    return data


def _receive(channel: socket.socket) -> tuple[Any, int]:
    head, ancillary, _flags, _address = channel.recvmsg(_LENGTH.size, socket.CMSG_SPACE(4))
    if len(head) < _LENGTH.size:
        os._exit(0)
    (output,) = struct.unpack("i", ancillary[0][2][:4])
    return json.loads(_read_exactly(channel, _LENGTH.unpack(head)[0])), output


def _let_go(null: int) -> None:
    """Of the call's output: what still prints from now on is not part of it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):  # the code may have put anything there
            stream.flush()
    os.dup2(null, 1)
    os.dup2(null, 2)


def serve(channel: socket.socket, folder: str) -> None:
    def ignore(*_: Any) -> None:
        """Between calls there is nothing to interrupt."""

    signal.signal(signal.SIGINT, ignore)
    null = os.open(os.devnull, os.O_WRONLY)
    interpreter = Interpreter(folder)
    while True:
        request, output = _receive(channel)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        if not _is_open(sys.stdout):
            sys.stdout = sys.__stdout__ = open_stream(1)  # type: ignore[misc]
        if not _is_open(sys.stderr):
            sys.stderr = sys.__stderr__ = open_stream(2)  # type: ignore[misc]
        before = set(threading.enumerate())
        status = 130
        try:
            try:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                status = interpreter.run(request["call_id"], request["code"])
            finally:
                signal.signal(signal.SIGINT, ignore)
        except KeyboardInterrupt:
            pass  # it came as the code ended
        threads = any(one not in before for one in threading.enumerate())
        _let_go(null)
        answer = json.dumps({"code": status, "threads": threads}).encode()
        channel.sendall(_LENGTH.pack(len(answer)) + answer)


def _is_open(stream: Any) -> bool:
    return isinstance(stream, Live) and not stream.closed
