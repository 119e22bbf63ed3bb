from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("v1/", include("sessions.api.urls")),
    path("", include("sessions.web.urls")),
]
handler400 = "sessions.web.views.errors.bad_request"
handler403 = "sessions.web.views.errors.forbidden"
handler404 = "sessions.web.views.errors.not_found"
handler500 = "sessions.web.views.errors.server_error"
