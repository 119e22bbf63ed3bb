"""The first administrator of a new installation."""

from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand
from typing_extensions import override

from sessions import services


class Command(BaseCommand):
    help = "Make the first administrator when there is none, and say how to sign in."

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        admin = async_to_sync(services.admin_ensure)()
        if not options["verbosity"]:
            return
        self.stdout.write(f"Administrator: {admin.get_username()}")
        if not admin.has_usable_password():
            self.stdout.write(
                "No password is set yet. Print a link that signs in once with "
                "“make sign-in”, and set one on the account page."
            )
