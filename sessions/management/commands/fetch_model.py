"""`manage.py fetch_model`: download the embedded model's weights in the foreground."""

import asyncio
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from sessions.errors import ProviderError
from sessions.providers.base import ModelStatus
from sessions.providers.local_weights import WeightsDownload
from sessions.providers.weights_parts import load_weights

BAR_WIDTH = 30


class Command(BaseCommand):
    help = "Download, join and verify the weights of the embedded model (resumes after a cut)."

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(settings.BERTH_CACHE_DIR) / "models"
        self._line = ""
        try:
            download = WeightsDownload(load_weights(), folder, report=self._show)
            path = asyncio.run(download.run())
        except ProviderError as error:
            self.stdout.write("")
            raise CommandError(f"{error.message} {error.hint}") from error
        except KeyboardInterrupt:
            self.stdout.write("")
            raise CommandError("Stopped. The finished parts are kept; run it again.") from None
        self.stdout.write(f"\nThe model is in {path}.")

    def _show(self, status: ModelStatus) -> None:
        line = progress_line(status)
        if self.stdout.isatty():
            self.stdout.write(f"\r{line}", ending="")
        elif line.split("]")[0] != self._line.split("]")[0]:
            # Into a file or a CI log: a line for each step of the bar.
            self.stdout.write(line)
        self._line = line
        self.stdout.flush()


def progress_line(status: ModelStatus) -> str:
    share = status.done_bytes / status.total_bytes if status.total_bytes else 0.0
    bar = "#" * int(share * BAR_WIDTH)
    megabytes = f"{status.done_bytes / 1e6:,.0f} of {status.total_bytes / 1e6:,.0f} MB"
    return f"{status.state:<11} [{bar:<{BAR_WIDTH}}] {share:4.0%} {megabytes}"
