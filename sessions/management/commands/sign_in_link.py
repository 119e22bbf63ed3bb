"""A link that signs somebody in once."""

from pathlib import Path
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse
from typing_extensions import override

from sessions import services

ADDRESS_FILE = "address"
"""In `VAR_DIR`, written by `serve` while it runs."""


class Command(BaseCommand):
    help = "Print a link that signs USER (the first administrator by default) in once."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", nargs="?", help="user name")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        user = user_named(options["user"]) if options["user"] else None
        user = user or async_to_sync(services.admin_ensure)()
        token = async_to_sync(services.sign_in_link_create)(user=user)
        path = reverse("sign-in-link", kwargs={"token": token})
        self.stdout.write(f"{_served_at().rstrip('/')}{path}")


def _served_at() -> str:
    """Where the running server said it is; where one would be when none runs."""
    try:
        return (Path(settings.VAR_DIR) / ADDRESS_FILE).read_text().strip() or settings.BERTH_URL
    except OSError:
        return str(settings.BERTH_URL)


def user_named(name: str) -> User:
    """Raises: CommandError."""
    user = User.objects.filter(username=name, is_active=True).first()
    if user is None:
        raise CommandError(f"There is no active user named {name!r}.")
    return user
