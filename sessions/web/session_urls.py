"""Routes of one session, below `/sessions/<uuid>/`."""

from django.urls import path

from sessions.web.views import requests, rest, session, shells, turns

urlpatterns = [
    path("", session.session_page, name="session"),
    path("turns/", turns.turn_create, name="turn-create"),
    path("turns/<int:number>/remove/", turns.turn_remove, name="turn-remove"),
    path("stop/", turns.session_stop, name="session-stop"),
    path("rename/", session.session_rename, name="session-rename"),
    path("delete/", session.session_delete, name="session-delete"),
    path("keep/", rest.session_keep, name="session-keep"),
    path("expiry/", rest.session_expiry, name="session-expiry"),
    path("resume/", rest.session_resume, name="session-resume"),
    path("archive/", rest.workspace_archive, name="workspace-archive"),
    path("requests/", requests.requests_page, name="session-requests"),
    path("requests/<uuid:response_id>/", requests.request_page, name="session-request"),
    path("requests/<uuid:response_id>/events/", requests.request_events, name="request-events"),
    path("shells/", shells.shells, name="shells"),
    path("shells/<str:shell_id>/close/", shells.shell_close, name="shell-close"),
    path("calls/<str:call_id>/output/", session.call_output, name="call-output"),
]
