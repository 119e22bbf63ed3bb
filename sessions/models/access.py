"""Keys and links that let people and programs in."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from typing_extensions import override

from sessions.models import scopes


def full_access() -> list[str]:
    return [scopes.ALL]


class ApiKey(models.Model):
    """A key for programs. Only its hash is kept."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys"
    )
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16)
    """First characters of the key, to recognise it by."""
    key_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    scopes = models.JSONField(default=full_access, editable=False)
    """Of models/scopes.py."""
    requests_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Empty: as BERTH_KEY_REQUESTS_PER_MINUTE says. 0: no limit.",
    )
    tokens_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Empty: as BERTH_KEY_TOKENS_PER_MINUTE says. 0: no limit."
    )
    max_responses = models.PositiveIntegerField(
        "responses at a time",
        null=True,
        blank=True,
        help_text="Empty: as BERTH_KEY_MAX_RESPONSES says. 0: no limit.",
    )

    class Meta:
        verbose_name = "API key"

    @override
    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def state(self) -> str:
        """`live`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        is_over = self.expires_at is not None and self.expires_at <= timezone.now()
        return "expired" if is_over else "live"

    def allows(self, scope: str) -> bool:
        return scopes.allows(self.scopes, scope)


class Allowance(models.Model):
    """How much of a limit is used up, for all processes (services/allowances.py)."""

    subject = models.CharField(max_length=64, primary_key=True)
    """What is counted and of whom: `requests key 7`, `tokens user 3`."""
    free_at_us = models.BigIntegerField()
    """When all that was taken has been given back, in microseconds since 1970."""

    @override
    def __str__(self) -> str:
        return self.subject


class SignInLink(models.Model):
    """A link that signs its user in once. Only the token's hash is kept."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sign_in_links"
    )
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    @override
    def __str__(self) -> str:
        return f"{self.user_id} until {self.expires_at:%Y-%m-%d %H:%M}"
