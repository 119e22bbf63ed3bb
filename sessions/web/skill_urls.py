"""Addresses of one skill, below `/skills/ID/`."""

from django.urls import path

from sessions.web.views import skills

urlpatterns = [
    path("delete/", skills.skill_delete, name="skill-delete"),
    path("versions/", skills.version_create, name="skill-version-create"),
    path("versions/<int:number>/default/", skills.version_default, name="skill-version-default"),
    path("versions/<int:number>/delete/", skills.version_delete, name="skill-version-delete"),
    path("versions/<int:number>/content/", skills.version_content, name="skill-version-content"),
]
