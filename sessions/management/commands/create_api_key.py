"""A key for programs, from the command line."""

from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from sessions import services
from sessions.errors import InvalidInputError
from sessions.management.commands.sign_in_link import user_named


class Command(BaseCommand):
    help = "Make an API key called NAME for USER and print its secret. It is not shown again."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="user name")
        parser.add_argument("name", help="what will use the key")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        user = user_named(options["user"])
        try:
            _, secret = async_to_sync(services.api_key_create)(user=user, name=options["name"])
        except InvalidInputError as error:
            raise CommandError(error.message) from error
        self.stdout.write(secret)
