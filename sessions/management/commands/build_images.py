"""Build what sandboxes start from: the images, then the volume with the guest's Python."""

import asyncio
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from sessions.errors import SandboxError
from sessions.sandbox.docker_client import AsyncDocker
from sessions.sandbox.guest_volume import GuestVolume
from sessions.sandbox.image.build import build_images


class Command(BaseCommand):
    help = "Build the sandbox images and the guest's volume, where they are not current."
    requires_system_checks = []

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--slim-only", action="store_true", help="only what tests need")
        parser.add_argument("--rebuild", action="store_true", help="ignore what is built already")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            asyncio.run(self._build(options["slim_only"], options["rebuild"]))
        except SandboxError as error:
            raise CommandError(error.message) from error

    async def _build(self, slim_only: bool, rebuild: bool) -> None:
        started = time.monotonic()
        docker = AsyncDocker()

        def report(line: str) -> None:
            self.stdout.write(f"[{time.monotonic() - started:4.0f} s] {line}")
            self.stdout.flush()

        try:
            images = await build_images(docker, report, slim_only=slim_only, rebuild=rebuild)
            for image in images:
                what = "built" if image.was_built else "is current"
                report(f"{image.name}: {what}, {image.size_bytes / 1e6:.0f} MB")
            guest = GuestVolume(docker, settings.BERTH_GUEST_IMAGE)
            report(f"guest: {await guest.ensure()}")
            for name in await guest.remove_superseded():
                report(f"guest: removed {name}, which nothing uses")
        finally:
            await docker.close()
