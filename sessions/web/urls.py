"""Addresses of the pages."""

from django.urls import include, path

from sessions.web.views import (
    account,
    auth,
    code,
    dashboard,
    health,
    new_session,
    reference,
    skills,
)

urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("status/", dashboard.status_banners, name="status-banners"),
    path("sessions/", new_session.session_create, name="session-create"),
    path("sessions/rows/", dashboard.session_rows, name="session-rows"),
    path("sessions/tour/", new_session.tour_start, name="tour-start"),
    path("sessions/<uuid:session_id>/", include("sessions.web.session_urls")),
    path("sessions/<uuid:session_id>/files/", include("sessions.web.file_urls")),
    path("sign-in/", auth.sign_in, name="login"),
    path("sign-in/link/<str:token>/", auth.sign_in_link, name="sign-in-link"),
    path("sign-out/", auth.sign_out, name="sign-out"),
    path("account/", account.account, name="account"),
    path("account/code/", code.snippets, name="snippets"),
    path("account/password/", account.password_change, name="password-change"),
    path("account/keys/", account.key_create, name="key-create"),
    path("account/keys/<int:key_id>/revoke/", account.key_revoke, name="key-revoke"),
    path("reference/", reference.reference, name="reference"),
    path("skills/", skills.skills_page, name="skills"),
    path("skills/new/", skills.skill_create, name="skill-create"),
    path("skills/<uuid:skill_id>/", include("sessions.web.skill_urls")),
    path("healthz", health.health, name="health"),
]
