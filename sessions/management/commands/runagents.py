"""`manage.py runagents`: the agents' supervisor alone, beside web processes elsewhere."""

import asyncio
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from typing_extensions import override

from sessions.runtime.checkpoints import checkpoints
from sessions.runtime.keeper import kept
from sessions.runtime.lifecycle import StopSignals, agents, pending_migrations
from sessions.runtime.wiring import runtime


class Command(BaseCommand):
    help = "Run the agents without serving pages."
    requires_system_checks: list[str] = []

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        if missing := pending_migrations():
            self.stderr.write(
                f"The database lacks {len(missing)} migration(s): run `python manage.py migrate` "
                "first (`make run` does)."
            )
            raise SystemExit(1)
        asyncio.run(self._run())

    async def _run(self) -> None:
        signals = StopSignals()
        process = runtime()
        try:
            limit = settings.BERTH_MAX_RUNNING_TURNS
            async with (
                checkpoints(),
                kept(process),
                agents(process, max_running_turns=limit),
            ):
                self.stdout.write("Agents are running.")
                self.stdout.flush()
                await signals.wait()
        finally:
            await process.aclose()
