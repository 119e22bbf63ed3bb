"""Stores of files that a model can search (services/vector_stores.py, runtime/indexing.py)."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from typing_extensions import override

from sessions.models.programs import StoredFile


class VectorStore(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="vector_stores"
    )
    name = models.CharField(max_length=256, blank=True, default="")
    description = models.CharField(max_length=4096, blank=True, default="")
    metadata = models.JSONField(default=dict)
    expires_after_days = models.PositiveIntegerField(null=True, blank=True)
    """Counted from `last_active_at`."""
    created_at = models.DateTimeField(default=timezone.now)
    last_active_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True, db_index=True)
    deleted_at = models.DateTimeField(null=True, blank=True, db_index=True)
    """From then on nobody finds it; its rows are removed piece by piece."""

    class Meta:
        indexes = [models.Index(fields=["owner", "-created_at"])]

    @override
    def __str__(self) -> str:
        return f"{self.id} {self.name}"

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()


class VectorStoreBatch(models.Model):
    """Files that were added together."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    store = models.ForeignKey(VectorStore, on_delete=models.CASCADE, related_name="batches")
    created_at = models.DateTimeField(default=timezone.now)
    cancelled_at = models.DateTimeField(null=True, blank=True)

    @override
    def __str__(self) -> str:
        return str(self.id)


class VectorStoreFile(models.Model):
    """A file in a store. Without `file`, which was then deleted, it is removed as well."""

    class Status(models.TextChoices):
        IN_PROGRESS = "in_progress"
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    store = models.ForeignKey(VectorStore, on_delete=models.CASCADE, related_name="files")
    file = models.ForeignKey(
        StoredFile, on_delete=models.SET_NULL, null=True, related_name="in_stores"
    )
    batch = models.ForeignKey(
        VectorStoreBatch, on_delete=models.SET_NULL, null=True, related_name="files"
    )
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.IN_PROGRESS)
    error_code = models.CharField(max_length=32, blank=True, default="")
    error_message = models.CharField(max_length=512, blank=True, default="")
    attributes = models.JSONField(default=dict)
    max_chunk_tokens = models.PositiveIntegerField()
    chunk_overlap_tokens = models.PositiveIntegerField()
    usage_bytes = models.BigIntegerField(default=0)
    """Of its pieces: their text and their vectors."""
    created_at = models.DateTimeField(default=timezone.now)
    claimed_by = models.CharField(max_length=64, blank=True, default="")
    """Lease name of the process that indexes it."""
    claimed_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    """How often a process began to index it."""
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["store", "-created_at"]),
            models.Index(fields=["status", "created_at"]),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["store", "file"],
                condition=models.Q(deleted_at=None),
                name="vector_store_file_once",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.file_id} in {self.store_id}"


class VectorChunk(models.Model):
    """A piece of a file's text. The words of all are indexed by the database's own means, see the
    migration that makes this table."""

    file = models.ForeignKey(
        VectorStoreFile, on_delete=models.CASCADE, related_name="chunks", db_index=False
    )
    store_id = models.UUIDField()
    """Of `file`, for the index of words."""
    number = models.PositiveIntegerField()
    """Counts from 0 in its file."""
    text = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["file", "number"], name="vector_chunk_once"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.file_id} {self.number}"


class VectorBlock(models.Model):
    """Vectors of pieces that follow one another, in one row: a search reads all of them."""

    file = models.ForeignKey(
        VectorStoreFile, on_delete=models.CASCADE, related_name="blocks", db_index=False
    )
    first = models.PositiveIntegerField()
    """Number of the first piece."""
    counts = models.BinaryField()
    """How many vectors each piece has, little-endian uint16 (search/embedding.py)."""
    vectors = models.BinaryField()
    """One after the other, int8."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["file", "first"], name="vector_block_once"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.file_id} from {self.first}"
