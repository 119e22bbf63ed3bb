"""The OpenAPI document of `/v1`, without a server."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from typing_extensions import override

from sessions.openapi.document import document


class Command(BaseCommand):
    help = "Print the OpenAPI document of /v1, or write it to FILE."
    requires_system_checks: list[str] = []

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, help="where to write it")

    @override
    def handle(self, *args: Any, file: Path | None, **options: Any) -> None:
        text = json.dumps(document(f"{settings.BERTH_URL}/v1"), indent=2, ensure_ascii=False)
        if file is None:
            self.stdout.write(text)
        else:
            file.write_text(f"{text}\n")
