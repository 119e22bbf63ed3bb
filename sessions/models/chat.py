"""Calls of `/v1/chat/completions` (services/chat.py)."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from typing_extensions import override

from sessions.models.access import ApiKey
from sessions.models.session import Session, Turn


class ChatCompletion(models.Model):
    """One call: a turn of a session without a container."""

    class Status(models.TextChoices):
        IN_PROGRESS = "in_progress"
        COMPLETED = "completed"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=200, blank=True, default="")
    """As the program knows it: what the answer itself says. Endpoints give names of their own, and
    some the same one twice."""
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="chat_completions"
    )
    session = models.ForeignKey(
        Session, on_delete=models.SET_NULL, null=True, related_name="chat_completions"
    )
    turn = models.OneToOneField(
        Turn, on_delete=models.SET_NULL, null=True, related_name="chat_completion"
    )
    api_key = models.ForeignKey(
        ApiKey, on_delete=models.SET_NULL, null=True, blank=True, related_name="chat_completions"
    )
    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=200)
    """Which answers, whatever was asked for."""
    request = models.JSONField()
    """The body as it was sent; long data in it is shortened unless the call is stored."""
    answer = models.JSONField(null=True)
    """The whole `chat.completion`, once there is one."""
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.IN_PROGRESS)
    error = models.JSONField(null=True)
    metadata = models.JSONField(default=dict)
    is_stored = models.BooleanField(default=False)
    """Whether the program can ask for it again."""
    digest = models.CharField(max_length=64, blank=True, default="")
    """Of the conversation with the answer (services/chat_prefix.py)."""
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["owner", "digest"]),
            models.Index(fields=["owner", "name"]),
            models.Index(fields=["owner", "is_stored", "-created_at"]),
            models.Index(fields=["created_at"]),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.name or self.id} {self.status}"
