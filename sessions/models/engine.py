"""What processes of Berth hold of the engine, and what was reclaimed."""

from django.db import models
from django.utils import timezone
from typing_extensions import override


class PooledContainer(models.Model):
    """A started container that waits for its session (runtime/pool.py).

    The row is there before the container and goes in the transaction that gives it to a session.
    """

    name = models.CharField(primary_key=True, max_length=64)
    workspace_volume = models.CharField(max_length=80)
    image = models.CharField(max_length=300)
    image_id = models.CharField(max_length=100)
    """Content of the image; another one after a rebuild."""
    holder = models.CharField(max_length=64)
    """Lease name of the process that keeps its channel open."""
    created_at = models.DateTimeField(default=timezone.now)
    ready_at = models.DateTimeField(null=True, blank=True)
    """Set once its guest has answered."""

    class Meta:
        ordering = ["created_at"]

    @override
    def __str__(self) -> str:
        return self.name


class Process(models.Model):
    """A server or runner of Berth, and when it last said that it lives (runtime/keeper.py)."""

    lease = models.CharField(primary_key=True, max_length=64)
    """Its name, by which rows say what it holds (runtime/leases.py)."""
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "processes"

    @override
    def __str__(self) -> str:
        return self.lease


class Reclaimed(models.Model):
    """Something of the engine's that no session owned and that was removed."""

    kind = models.CharField(max_length=16)
    """`container` or `volume`."""
    name = models.CharField(max_length=200)
    reason = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "reclaimed item"

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
