"""Bodies of Django's requests: who may send large ones, and their way into a view.

Django copies a body in one go on the event loop, and into the system's folder for temporary
files, which may be memory.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from typing_extensions import override

from sessions import services
from sessions.runtime.body_limits import BodyLimits

MIB = 1024 * 1024
ANYONE_BYTES = 1 * MIB
FORM_BYTES = 16 * MIB
"""What may surround the files in a form."""


def body_limits() -> BodyLimits:
    return BodyLimits(
        spool_dir=settings.FILE_UPLOAD_TEMP_DIR,
        anyone_bytes=ANYONE_BYTES,
        signed_in_bytes=settings.BERTH_MAX_UPLOAD_MB * MIB + FORM_BYTES,
        is_signed_in=is_signed_in,
    )


async def is_signed_in(authorization: bytes, cookies: Mapping[bytes, bytes]) -> bool:
    scheme, _, secret = authorization.decode("latin1").partition(" ")
    if scheme.lower() == "bearer":
        # As for the request itself: a key stands alone, cookies beside it do not count.
        return await services.api_key_find(secret=secret.strip()) is not None
    key = cookies.get(settings.SESSION_COOKIE_NAME.encode(), b"").decode("latin1")
    return bool(key) and await _is_session_of_a_user(key)


@database_sync_to_async
def _is_session_of_a_user(key: str) -> bool:
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    return bool(get_user(request).is_active)


class SpoolingHandler(ASGIHandler):
    """Django's handler, with bodies written by a thread into `FILE_UPLOAD_TEMP_DIR`."""

    @override
    async def read_body(
        self, receive: Callable[[], Awaitable[Mapping[str, Any]]]
    ) -> tempfile.SpooledTemporaryFile[bytes]:
        """Raises: RequestAborted when the client leaves before its body is whole."""
        in_memory = settings.FILE_UPLOAD_MAX_MEMORY_SIZE
        body = tempfile.SpooledTemporaryFile(  # noqa: SIM115  (closed by the handler)
            max_size=in_memory, mode="w+b", dir=settings.FILE_UPLOAD_TEMP_DIR
        )
        try:
            size, has_more = 0, True
            while has_more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestAborted
                piece = message.get("body", b"")
                size += len(piece)
                if size <= in_memory:
                    body.write(piece)
                else:
                    await asyncio.to_thread(body.write, piece)
                has_more = message.get("more_body", False)
            body.seek(0)
        except BaseException:
            body.close()
            raise
        return body
