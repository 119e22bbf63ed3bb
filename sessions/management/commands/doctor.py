"""Say plainly what is enforced on this machine, what is not, and what is missing."""

import asyncio
import dataclasses
import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection
from typing_extensions import override

from sessions.errors import BerthError
from sessions.runtime.lifecycle import pending_migrations
from sessions.runtime.wiring import runtime
from sessions.sandbox import names
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.docker_client import AsyncDocker
from sessions.sandbox.enforcement import Check, engine_checks, image_checks, is_usable
from sessions.sandbox.guest_volume import GuestVolume

MARKS = {"ok": "yes", "weak": "no", "missing": "MISSING"}


class Command(BaseCommand):
    help = "Say what is enforced on this machine and what is not. Exit code 1: Berth cannot run."
    requires_system_checks: list[str] = []

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="machine-readable")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        checks = [_database(), _model(), *asyncio.run(_sandbox())]
        if options["json"]:
            rows = [dataclasses.asdict(check) for check in checks]
            self.stdout.write(json.dumps({"usable": is_usable(checks), "checks": rows}, indent=2))
        else:
            width = max(len(check.name) for check in checks)
            for check in checks:
                mark = MARKS[check.state]
                self.stdout.write(f"{check.name:<{width}}  {mark:<7}  {check.detail}")
        if not is_usable(checks):
            raise SystemExit(1)


def _database() -> Check:
    engine = connection.vendor
    try:
        missing = pending_migrations()
    except DatabaseError as error:
        return Check("database", "missing", f"{engine}: {error}")
    if missing:
        detail = f"{engine}: {len(missing)} migration(s) to apply, run `python manage.py migrate`"
        return Check("database", "missing", detail)
    return Check("database", "ok", engine)


def _model() -> Check:
    try:
        choice = runtime().default_choice()
    except BerthError as error:
        return Check("model", "missing", error.message)
    return Check("model", "ok", f"{choice.label} ({choice.provider})")


async def _sandbox() -> list[Check]:
    docker = AsyncDocker()
    backend = DockerBackend(
        installation=settings.BERTH_INSTALLATION_ID, allowed_images=settings.BERTH_IMAGES
    )
    try:
        checks = engine_checks(await backend.engine())
        present = [image.name for image in await backend.images()]
        wanted = dict.fromkeys(
            [settings.BERTH_GUEST_IMAGE, settings.BERTH_DEFAULT_IMAGE, names.SLIM_IMAGE]
        )
        images = list(image_checks(list(wanted), present))
        checks += images
        if is_usable(images):
            checks.append(await _guest(docker))
    except BerthError as error:
        return [Check("engine", "missing", error.message)]
    else:
        return checks
    finally:
        await backend.close()
        await docker.close()


async def _guest(docker: AsyncDocker) -> Check:
    if await GuestVolume(docker, settings.BERTH_GUEST_IMAGE).is_ready():
        return Check("guest", "ok", "its Python is in place")
    return Check("guest", "ok", "its Python will be gathered for the first session (seconds)")
