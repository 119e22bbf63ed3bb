"""Users and sign-in links of the server under test, made through the project's own services."""

import json

from tests.serve.server_process import ServerProcess, manage

LINK_FOR = """
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from sessions.services import sign_in_link_create
user, _ = User.objects.get_or_create(username={name}, defaults=dict(is_staff={is_staff}))
print("token:" + async_to_sync(sign_in_link_create)(user=user))
"""


def new_link(server: ServerProcess, name: str, *, is_staff: bool = False) -> str:
    """A fresh link that signs the user in, who is made when missing."""
    code = LINK_FOR.format(name=json.dumps(name), is_staff=is_staff)
    result = manage(server.environment, "shell", "--no-imports", "-c", code)
    tokens = [line for line in result.stdout.splitlines() if line.startswith("token:")]
    assert tokens, result.stdout + result.stderr
    return f"{server.url}/sign-in/link/{tokens[0].removeprefix('token:')}/"
