"""The ASGI application: pages by Django, websockets behind a key, or an origin check and sign-in."""

import os

import django
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
django.setup(set_prefix=False)

# Only now is the app registry ready for modules that import models.
from sessions.api.exec_socket import ExecSockets  # noqa: E402
from sessions.runtime.request_bodies import SpoolingHandler  # noqa: E402
from sessions.streaming.keys import KeyOrPage  # noqa: E402
from sessions.streaming.origin import SameOriginValidator  # noqa: E402
from sessions.streaming.routing import websocket_urlpatterns  # noqa: E402

_sockets = URLRouter(websocket_urlpatterns)
application = ProtocolTypeRouter(
    {
        "http": SpoolingHandler(),
        "websocket": ExecSockets(
            KeyOrPage(_sockets, pages=SameOriginValidator(AuthMiddlewareStack(_sockets)))
        ),
    }
)
