"""A key for programs, from the command line."""

import datetime as dt
from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from sessions import services
from sessions.errors import InvalidInputError
from sessions.management.commands.sign_in_link import user_named
from sessions.models.scopes import ALL, SCOPES


class Command(BaseCommand):
    help = "Make an API key called NAME for USER and print its secret. It is not shown again."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="user name")
        parser.add_argument("name", help="what will use the key")
        parser.add_argument(
            "--scope",
            action="append",
            dest="scopes",
            metavar="SCOPE",
            help=f"what it may do, several times: {', '.join(SCOPES)}. Everything without any.",
        )
        parser.add_argument("--expires-days", type=float, help="days until it ends by itself")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        user = user_named(options["user"])
        try:
            _, secret = async_to_sync(services.api_key_create)(
                user=user,
                name=options["name"],
                scopes=options["scopes"] or [ALL],
                expires_in=_life(options["expires_days"]),
            )
        except InvalidInputError as error:
            raise CommandError(error.message) from error
        self.stdout.write(secret)


def _life(days: float | None) -> dt.timedelta | None:
    """What no time can hold is longer than a key lives as well."""
    if days is None:
        return None
    try:
        return dt.timedelta(days=days)
    except (OverflowError, ValueError):
        return dt.timedelta.max
