"""The administrator's view of the tables: to look and to manage people, not to edit history."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from typing_extensions import override

from sessions.models import (
    ApiKey,
    FileUpload,
    PooledContainer,
    Process,
    Reclaimed,
    Session,
    Shell,
    Turn,
)

if TYPE_CHECKING:
    SessionAdminBase = admin.ModelAdmin[Session]
    TurnAdminBase = admin.ModelAdmin[Turn]
    ApiKeyAdminBase = admin.ModelAdmin[ApiKey]
    ReclaimedAdminBase = admin.ModelAdmin[Reclaimed]
    PooledContainerAdminBase = admin.ModelAdmin[PooledContainer]
    ShellAdminBase = admin.ModelAdmin[Shell]
    FileUploadAdminBase = admin.ModelAdmin[FileUpload]
    ProcessAdminBase = admin.ModelAdmin[Process]
else:
    SessionAdminBase = TurnAdminBase = ApiKeyAdminBase = ReclaimedAdminBase = admin.ModelAdmin
    PooledContainerAdminBase = ShellAdminBase = admin.ModelAdmin
    FileUploadAdminBase = ProcessAdminBase = admin.ModelAdmin


KEY_LIMITS = ("requests_per_minute", "tokens_per_minute", "max_responses")


def admin_sign_in(request: HttpRequest, extra_context: Any = None) -> HttpResponse:
    """One door for everybody: the admin's own form has no limit on guesses."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.GET.get("next", reverse("admin:index")))
    if not request.user.is_staff:
        raise Http404
    return HttpResponseRedirect(reverse("admin:index"))


admin.site.login = admin_sign_in  # type: ignore[method-assign]  # Django's documented way
admin.site.site_header = admin.site.site_title = "Berth administration"
admin.site.site_url = "/"


class ReadOnly:
    """Rows come from the app alone. Deleting is left to `has_delete_permission` of each."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PartOfSession(ReadOnly):
    """Goes only together with its session or user, so never from its table's own pages."""

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        url_name = request.resolver_match.url_name if request.resolver_match else ""
        own_pages = f"agent_sessions_{self.opts.model_name}_"  # type: ignore[attr-defined]  # of ModelAdmin
        is_own_page = not url_name or url_name.startswith(own_pages)
        return bool(request.user.is_superuser and not is_own_page)


@admin.register(Session)
class SessionAdmin(ReadOnly, SessionAdminBase):
    list_display = (
        "title",
        "owner",
        "status",
        "container_state",
        "provider",
        "model",
        "updated_at",
    )
    list_filter = ("status", "container_state", "provider", "is_tour")
    list_select_related = ("owner",)
    search_fields = ("title", "owner__username", "id")
    date_hierarchy = "created_at"

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Needed to delete a user. The reaper then removes container and volume."""
        return bool(request.user.is_superuser)


@admin.register(Turn)
class TurnAdmin(PartOfSession, TurnAdminBase):
    list_display = ("session", "number", "status", "end_reason", "created_at", "ended_at")
    list_filter = ("status", "end_reason")
    list_select_related = ("session",)
    search_fields = ("session__title", "session__owner__username")


@admin.register(Shell)
class ShellAdmin(PartOfSession, ShellAdminBase):
    list_display = ("session", "number", "opener_name", "writer_name", "opened_at", "ended_at")
    list_select_related = ("session",)
    search_fields = ("session__title", "session__owner__username", "opener_name", "writer_name")
    date_hierarchy = "opened_at"


@admin.register(FileUpload)
class FileUploadAdmin(PartOfSession, FileUploadAdminBase):
    list_display = ("session", "path", "size", "offset", "touched_at", "finished_at")
    list_select_related = ("session",)
    search_fields = ("session__title", "session__owner__username", "path")


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnly, ApiKeyAdminBase):
    """Keys are made by their users. Here they are revoked, and given limits of their own."""

    list_display = (
        "name",
        "prefix",
        "user",
        "state",
        "what",
        "created_at",
        "last_used_at",
        "expires_at",
    )
    list_select_related = ("user",)
    search_fields = ("name", "prefix", "user__username")
    fields = (
        "user",
        "name",
        "prefix",
        "state",
        "what",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
        *KEY_LIMITS,
    )
    readonly_fields = tuple(name for name in fields if name not in KEY_LIMITS)
    actions = ("revoke",)

    @admin.display(description="scopes")
    def what(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.action(description="Revoke selected API keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        count = queryset.filter(revoked_at=None).update(revoked_at=timezone.now())
        self.message_user(request, f"Revoked: {count}.")

    @override
    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Deleting a key is revoking it."""
        return bool(request.user.is_superuser)


@admin.register(PooledContainer)
class PooledContainerAdmin(ReadOnly, PooledContainerAdminBase):
    list_display = ("name", "image", "holder", "created_at", "ready_at")
    list_filter = ("image",)


@admin.register(Process)
class ProcessAdmin(ReadOnly, ProcessAdminBase):
    list_display = ("lease", "seen_at")


@admin.register(Reclaimed)
class ReclaimedAdmin(ReadOnly, ReclaimedAdminBase):
    list_display = ("created_at", "kind", "name", "reason")
    list_filter = ("kind",)
    search_fields = ("name", "reason")
    date_hierarchy = "created_at"
