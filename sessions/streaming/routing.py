"""Addresses of the websockets."""

from typing import Any, cast

from django.urls import path

from sessions.streaming.consumers import SessionConsumer, SessionListConsumer
from sessions.streaming.shell_consumer import ShellConsumer

# Django's types know HTTP views only; Channels routes these patterns to ASGI applications.
_session = cast("Any", SessionConsumer.as_asgi())
_session_list = cast("Any", SessionListConsumer.as_asgi())
_shell = cast("Any", ShellConsumer.as_asgi())

websocket_urlpatterns: list[Any] = [
    path("ws/sessions/", _session_list),
    path("ws/sessions/<uuid:session_id>/", _session),
    path("ws/sessions/<uuid:session_id>/shells/<str:shell_id>/", _shell),
]
