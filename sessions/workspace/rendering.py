"""Text to HTML in a worker process with a time limit, so that no text can stall the server."""

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Literal, TypeAlias

logger = logging.getLogger(__name__)

RenderTask: TypeAlias = Literal["source", "formatted", "markdown"]

MAX_RENDER_BYTES = 256 * 1024
"""Longer text is shown plain."""
TIMEOUT_S = 5.0
_MAX_WORKERS = 2
_PROJECT = Path(__file__).resolve().parents[2]


class Renderer:
    """At most a few workers at a time; each serves one text."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(_MAX_WORKERS)

    async def render(
        self, task: RenderTask, text: str, *, name: str, path: str = "", image_url: str = ""
    ) -> str | None:
        """Safe HTML, or None when the text is too much for the worker."""
        request = json.dumps(
            {"task": task, "text": text, "name": name, "path": path, "image_url": image_url}
        )
        async with self._slots:
            return await self._run(request.encode())

    async def _run(self, request: bytes) -> str | None:
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sessions.workspace.render_worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=_PROJECT,
            env={},  # no secrets where hostile text is parsed
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                rendered, _ = await worker.communicate(request)
        except TimeoutError:
            logger.info("a preview took longer than %s s and is shown plain", self._timeout_s)
            return None
        finally:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()
        return rendered.decode("utf-8", "replace") if worker.returncode == 0 else None
