"""A session, its turns, its log, and what people open and send in it."""

import datetime as dt
import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from typing_extensions import override

DEFAULT_EXPIRES_AFTER_S = 20 * 60


class SessionStatus(models.TextChoices):
    STARTING = "starting"
    IDLE = "idle"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"


class ContainerState(models.TextChoices):
    """The words of the Agents API."""

    PENDING = "pending"
    READY = "ready"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    FAILED = "failed"


class TurnStatus(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"
    REMOVED = "removed"


TURN_TRANSITIONS: dict[str, frozenset[str]] = {
    TurnStatus.QUEUED: frozenset({TurnStatus.RUNNING, TurnStatus.REMOVED}),
    TurnStatus.RUNNING: frozenset({TurnStatus.ENDED}),
    TurnStatus.ENDED: frozenset(),
    TurnStatus.REMOVED: frozenset(),
}


class Session(models.Model):
    """One user's container and its history."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="agent_sessions"
    )
    title = models.CharField(max_length=200)
    status = models.CharField(
        max_length=16, choices=SessionStatus.choices, default=SessionStatus.STARTING
    )
    is_tour = models.BooleanField(default=False)
    is_chat = models.BooleanField(default=False)
    """A program asks the model through it and runs the tools by itself: there is no container, and
    never will be (models/chat.py)."""
    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=200)
    image = models.CharField(max_length=300)
    limits = models.JSONField(default=dict)
    """sandbox.limits.Limits as JSON."""
    setup = models.JSONField(default=dict, blank=True)
    """sandbox.setup.Setup as JSON."""

    container_id = models.CharField(max_length=64, blank=True, default="")
    """Its name in the engine, noted before it is made; empty when there is none."""
    container_holder = models.CharField(max_length=64, blank=True, default="")
    """Lease name (runtime/leases.py) of the process that makes, restores or archives it while
    its state is `pending`."""
    container_state = models.CharField(
        max_length=16, choices=ContainerState.choices, default=ContainerState.PENDING
    )
    container_started_at = models.DateTimeField(null=True, blank=True)
    setup_container = models.CharField(max_length=64, blank=True, default="")
    """The container in which the commands of `setup` ran, or run if `setup_holder` is set."""
    setup_holder = models.CharField(max_length=64, blank=True, default="")
    """Lease name of the process that runs them."""
    workspace_volume = models.CharField(max_length=80, blank=True, default="")
    """Its volume in the engine, noted before it is made; empty before the first container and
    after the workspace was archived."""
    expires_after_s = models.PositiveIntegerField(default=DEFAULT_EXPIRES_AFTER_S)
    """Seconds without activity after which the container is suspended; 0 for never."""
    last_active_at = models.DateTimeField(default=timezone.now)
    kept_by = models.CharField(max_length=16, blank=True, default="")
    """What keeps it although nobody uses it, as the log was last told (events.types.SessionKept)."""
    archived_at = models.DateTimeField(null=True, blank=True)
    """Set while the workspace exists only as an archive (runtime/archives.py)."""
    archive_bytes = models.BigIntegerField(default=0)

    last_seq = models.BigIntegerField(default=0)
    """Number of the newest event; advanced in the transaction that stores it."""
    last_line = models.CharField(max_length=300, blank=True, default="")
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)

    lease_owner = models.CharField(max_length=64, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)

    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    deletion_requested_at = models.DateTimeField(null=True, blank=True)
    """Set when a person deletes the session; the supervisor then reclaims all it owns."""

    class Meta:
        ordering = ["-updated_at"]
        indexes = [models.Index(fields=["owner", "-updated_at"])]

    @override
    def __str__(self) -> str:
        return self.title

    @property
    def suspends_at(self) -> dt.datetime | None:
        """When its container is suspended unless something happens; None while it works, has
        none, or never suspends."""
        is_idle = self.status not in (SessionStatus.RUNNING, SessionStatus.STARTING)
        has_container = self.container_state == ContainerState.CONNECTED
        if not (self.expires_after_s and is_idle and has_container):
            return None
        return self.last_active_at + dt.timedelta(seconds=self.expires_after_s)


class Turn(models.Model):
    """One message of the user, to the end of the agent's work on it."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="turns")
    number = models.PositiveIntegerField()
    """Counts from 1 in its session."""
    text = models.TextField()
    status = models.CharField(max_length=16, choices=TurnStatus.choices, default=TurnStatus.QUEUED)
    end_reason = models.CharField(max_length=16, blank=True, default="")
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["session", "number"]
        constraints = [
            models.UniqueConstraint(fields=["session", "number"], name="turn_number_once"),
            models.UniqueConstraint(
                fields=["session"],
                condition=models.Q(status=TurnStatus.RUNNING),
                name="one_running_turn_per_session",
            ),
        ]
        indexes = [models.Index(fields=["status", "created_at"])]

    @override
    def __str__(self) -> str:
        return f"{self.session_id} #{self.number}"


class Upload(models.Model):
    """A file that came with a message and waits to be copied into the workspace."""

    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="uploads")
    name = models.CharField(max_length=1024)
    """Workspace path, percent-encoded bytes (workspace/paths.py)."""
    stored_path = models.CharField(max_length=1024)
    """File on the host below VAR_DIR/uploads; removed once it is in the workspace."""
    size = models.BigIntegerField()
    delivered_at = models.DateTimeField(null=True, blank=True)

    @override
    def __str__(self) -> str:
        return self.name


class FileUpload(models.Model):
    """A file on its way into the workspace in pieces, which lie on the host until it is whole."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="file_uploads")
    path = models.CharField(max_length=12_288)
    """Workspace path, percent-encoded bytes (workspace/paths.py)."""
    size = models.BigIntegerField()
    offset = models.BigIntegerField(default=0)
    """Bytes that are on the disk for good; what the part holds beyond was never acknowledged."""
    overwrite = models.BooleanField(default=False)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    touched_at = models.DateTimeField(default=timezone.now, db_index=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    @override
    def __str__(self) -> str:
        return self.path


class Shell(models.Model):
    """A terminal a person opened in a session's container. What it showed is in the log."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="shells")
    shell_id = models.CharField(max_length=64, unique=True)
    """The guest's name for the command, and the `call_id` of its output."""
    number = models.PositiveIntegerField()
    """Counts from 1 in its session."""
    container_id = models.CharField(max_length=64)
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    opener_name = models.CharField(max_length=150)
    columns = models.PositiveIntegerField()
    rows = models.PositiveIntegerField()
    writer_name = models.CharField(max_length=150, blank=True, default="")
    """Who had the keyboard last, and with which page (events.types.ShellWriter)."""
    writer_viewer = models.CharField(max_length=64, blank=True, default="")
    holder = models.CharField(max_length=64, blank=True, default="")
    """Lease name of the process that stores what it prints; nobody else may."""
    opened_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    ending = models.JSONField(null=True, blank=True)
    """events.types.Ending as JSON; null while it is open."""
    request = models.JSONField(default=dict, blank=True)
    """What a program asked to run in it, runtime.shell_command.TerminalRequest as JSON; empty for a
    person's shell."""

    class Meta:
        ordering = ["session", "number"]
        constraints = [
            models.UniqueConstraint(fields=["session", "number"], name="shell_number_once"),
        ]
        indexes = [models.Index(fields=["ended_at"])]

    @override
    def __str__(self) -> str:
        return f"{self.session_id} shell {self.number}"

    def to_json(self) -> dict[str, Any]:
        """As pages and programs get it; times in milliseconds."""
        return {
            "shell_id": self.shell_id,
            "number": self.number,
            "user": self.opener_name,
            "opened_at": int(self.opened_at.timestamp() * 1000),
            "ended_at": int(self.ended_at.timestamp() * 1000) if self.ended_at else None,
            "ending": self.ending,
        }


class OpenExec(models.Model):
    """A command that a program waits for. The row goes when it has ended."""

    call_id = models.CharField(primary_key=True, max_length=64)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="open_execs")
    holder = models.CharField(max_length=64)
    """Lease name of the process that the program is connected to."""
    created_at = models.DateTimeField(default=timezone.now)

    @override
    def __str__(self) -> str:
        return f"{self.session_id} {self.call_id}"


class Event(models.Model):
    """One entry of a session's log. Only events/log.py touches this table."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="events")
    seq = models.BigIntegerField()
    type = models.CharField(max_length=32)
    payload = models.JSONField()
    data = models.BinaryField(default=bytes)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session", "seq"], name="event_seq_once"),
            models.CheckConstraint(condition=models.Q(seq__gte=1), name="event_seq_from_one"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.session_id} {self.seq} {self.type}"
