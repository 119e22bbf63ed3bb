"""What programs keep here through /v1, beside sessions."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from typing_extensions import override

from sessions.models.access import ApiKey
from sessions.models.session import Session, Turn


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


class SessionSkill(models.Model):
    """A skill that a session's container has, whatever container that is (runtime/skills.py).

    Its bundle is a file on the host named by its id, and stays when the version that it was copied
    from is deleted.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="skills")
    position = models.PositiveIntegerField()
    """Counts from 1 in its session, in the order in which skills were asked for."""
    name = models.CharField(max_length=64)
    description = models.CharField(max_length=1024)
    digest = models.CharField(max_length=64)
    """SHA-256 of its bundle, which names its folder in the container."""
    size = models.BigIntegerField()
    """Of its files together, in bytes."""
    skill_id = models.UUIDField(null=True, blank=True)
    """Of the skill it was copied from, which may be gone; null for one that was sent along."""
    version = models.PositiveIntegerField(null=True, blank=True)
    installed_in = models.CharField(max_length=64, blank=True, default="")
    """Name of the container that was last given its files."""

    class Meta:
        ordering = ["session", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["session", "name", "digest"], name="session_skill_once"
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.session_id} {self.name}"


class ApiResponse(models.Model):
    """A response that a program asked for (sessions/responses/): a turn of a session, with what was
    sent and, once it has ended, what came of it."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        IN_PROGRESS = "in_progress"
        COMPLETED = "completed"
        INCOMPLETE = "incomplete"
        FAILED = "failed"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_responses"
    )
    session = models.ForeignKey(
        Session, on_delete=models.SET_NULL, null=True, related_name="api_responses"
    )
    turn = models.OneToOneField(
        Turn, on_delete=models.SET_NULL, null=True, related_name="api_response"
    )
    conversation = models.ForeignKey(
        Conversation, on_delete=models.SET_NULL, null=True, related_name="responses"
    )
    previous = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="next")
    api_key = models.ForeignKey(
        ApiKey, on_delete=models.SET_NULL, null=True, related_name="responses"
    )
    """Which asked; its limits count those under way."""
    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=200)
    """Which answers, whatever was asked for."""
    request = models.JSONField()
    """What was asked for beside `input`, as it is given back, without secrets."""
    input = models.JSONField()
    """Items as they are given back (sessions/api/items.py)."""
    output = models.JSONField(null=True)
    """The same, once the turn has ended and this was settled (responses/settle.py)."""
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.IN_PROGRESS)
    error = models.JSONField(null=True)
    incomplete_reason = models.CharField(max_length=32, blank=True, default="")
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    is_background = models.BooleanField(default=False)
    holder = models.CharField(max_length=64, blank=True, default="")
    """Lease name of the process that the program is connected to, which waits for it; empty in the
    background."""
    is_stored = models.BooleanField(default=True)
    first_seq = models.BigIntegerField(default=0)
    """Number of the session's event behind which those of the turn begin."""
    cache_key = models.CharField(max_length=1024, blank=True, default="")
    """By which a program names a conversation that it keeps itself."""
    idempotency_key = models.CharField(max_length=255, blank=True, default="")
    idempotency_hash = models.CharField(max_length=64, blank=True, default="")
    """Of the body that came with the key."""
    created_at = models.DateTimeField(default=timezone.now)
    completed_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-created_at"]),
            models.Index(fields=["status", "created_at"]),
            models.Index(fields=["owner", "cache_key", "-created_at"]),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "idempotency_key"],
                condition=~models.Q(idempotency_key=""),
                name="response_key_once_per_owner",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.id} {self.status}"

    @property
    def has_ended(self) -> bool:
        return self.status not in (self.Status.QUEUED, self.Status.IN_PROGRESS)
