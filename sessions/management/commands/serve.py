"""`manage.py serve`: pages, sockets and the agents' supervisor in one process."""

import contextlib
import errno
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from channels.routing import get_default_application
from django.conf import settings
from django.core.management.base import BaseCommand
from django.urls import reverse
from typing_extensions import override

from sessions.management.commands.sign_in_link import ADDRESS_FILE
from sessions.runtime.checkpoints import checkpoints
from sessions.runtime.keeper import kept
from sessions.runtime.lifecycle import StopSignals, agents, pending_migrations
from sessions.runtime.request_bodies import body_limits
from sessions.runtime.server import PacedServer
from sessions.runtime.static_files import collect_static_if_needed
from sessions.runtime.wiring import runtime
from sessions.services import admin_ensure, sign_in_link_create

RESPONSES_GRACE_S = 2.0
"""How long running responses may take to end when the server is asked to."""


class Command(BaseCommand):
    help = "Serve Berth, and run its agents unless BERTH_AGENTS is 0."
    requires_system_checks: list[str] = []

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bind", default=settings.BIND, help="address to listen on")
        parser.add_argument("--port", type=int, default=settings.PORT, help="0 picks a free one")

    @override
    def handle(self, *args: Any, bind: str, port: int, **options: Any) -> None:
        if missing := pending_migrations():
            self._refuse(
                f"The database lacks {len(missing)} migration(s): run `python manage.py migrate` "
                "first (`make run` does)."
            )
        collect_static_if_needed()
        server = PacedServer(get_default_application(), body_limits=body_limits())
        try:
            port = server.listen(bind, port)
        except OSError as error:
            self._refuse(_why_not(bind, port, error))
        address = _address(bind, port)
        if not settings.BERTH_URL_IS_GIVEN:
            settings.BERTH_URL = address  # links that programs are given lead here
        server.run(self._serve(server, address))

    def _refuse(self, sentence: str) -> None:
        self.stderr.write(sentence)
        raise SystemExit(1)

    async def _serve(self, server: PacedServer, address: str) -> None:
        signals = StopSignals()
        process = runtime()
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(process.aclose)
            await stack.enter_async_context(checkpoints())
            await stack.enter_async_context(kept(process))
            if settings.BERTH_AGENTS:
                limit = settings.BERTH_MAX_RUNNING_TURNS
                await stack.enter_async_context(agents(process, max_running_turns=limit))
            stack.push_async_callback(server.aclose, grace_s=RESPONSES_GRACE_S)
            token = await sign_in_link_create(user=await admin_ensure())
            link = address + reverse("sign-in-link", args=[token])
            address_file = Path(settings.VAR_DIR) / ADDRESS_FILE
            address_file.write_text(f"{address}\n")
            stack.callback(address_file.unlink, missing_ok=True)
            self.stdout.write(f"Berth is at {address} — sign in: {link}")
            self.stdout.flush()
            await signals.wait()


def _address(bind: str, port: int) -> str:
    """Where a browser reaches this server."""
    if (bind, port) == (settings.BIND, settings.PORT):
        return str(settings.BERTH_URL)
    host = "localhost" if bind in {"0.0.0.0", "::"} else bind  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _why_not(bind: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {bind} is in use: stop what listens there, or choose another port "
            f"with PORT={port + 1}."
        )
    return f"Cannot listen on {bind}, port {port}: {error.strerror or error}."
