"""What programs keep here through /v1, beside sessions."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from typing_extensions import override

from sessions.models.session import Session


class ContainerFile(models.Model):
    """The name by which programs know a file of a workspace.

    It comes from the session and the path alone, so that a file has the same name each time it is
    listed. A row says only that the name was given out: the file itself may be gone.
    """

    class Source(models.TextChoices):
        USER = "user"
        ASSISTANT = "assistant"

    id = models.UUIDField(primary_key=True)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="container_files")
    path = models.CharField(max_length=12_288)
    """Workspace path, percent-encoded bytes (workspace/paths.py)."""
    source = models.CharField(max_length=16, choices=Source.choices)

    @override
    def __str__(self) -> str:
        return self.path


class StoredFile(models.Model):
    """A file that a program keeps here (services/stored_files.py), beside any container."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="stored_files"
    )
    filename = models.CharField(max_length=255)
    purpose = models.CharField(max_length=32)
    size = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True, db_index=True)

    class Meta:
        indexes = [models.Index(fields=["owner", "-created_at"])]

    @override
    def __str__(self) -> str:
        return self.filename


class Conversation(models.Model):
    """Items that programs keep here to go on from (services/conversations.py)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="conversations"
    )
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    @override
    def __str__(self) -> str:
        return str(self.id)


class ConversationItem(models.Model):
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="items")
    position = models.PositiveIntegerField()
    """Counts from 1 in its conversation; those of deleted items are not given again."""
    item_id = models.CharField(max_length=100)
    """As programs know it; unique in its conversation."""
    body = models.JSONField()
    """The item as it is given back (sessions/api/items.py)."""

    class Meta:
        ordering = ["conversation", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "position"], name="conversation_position_once"
            ),
            models.UniqueConstraint(
                fields=["conversation", "item_id"], name="conversation_item_once"
            ),
        ]

    @override
    def __str__(self) -> str:
        return self.item_id


class Skill(models.Model):
    """A folder of instructions that programs keep here, in versions (services/skills.py)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="skills"
    )
    default_version = models.PositiveIntegerField(default=1)
    last_number = models.PositiveIntegerField(default=1)
    """Of all versions ever made: none is given again."""
    created_at = models.DateTimeField(default=timezone.now)

    @override
    def __str__(self) -> str:
        return str(self.id)


class SkillVersion(models.Model):
    """Never changes. Its bundle is a file on the host named by its id."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    skill = models.ForeignKey(Skill, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    """Counts from 1 in its skill."""
    name = models.CharField(max_length=64)
    description = models.CharField(max_length=1024)
    size = models.BigIntegerField()
    """Of its bundle, a zip."""
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["skill", "number"]
        constraints = [
            models.UniqueConstraint(fields=["skill", "number"], name="skill_version_once"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.name} {self.number}"
