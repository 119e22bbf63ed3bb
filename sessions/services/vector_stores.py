"""Stores of files to search: made, filled, changed, emptied. Files are read and indexed beside the
requests (runtime/indexing.py); what is deleted is out of sight at once and removed there, too."""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from sessions.errors import InvalidInputError
from sessions.events import bus
from sessions.models import (
    StoredFile,
    VectorBlock,
    VectorChunk,
    VectorStore,
    VectorStoreBatch,
    VectorStoreFile,
)
from sessions.search.embedding import Block

INDEXING_TOPIC = "indexing"
"""Nudges whoever indexes."""
MAX_FILES = 10_000
"""Of one store."""
PURGE_ROWS = 200
"""Removed in one transaction: others write in between."""
Status = VectorStoreFile.Status


@dataclass(frozen=True, slots=True)
class NewStoreFile:
    """`file` was checked to be the owner's."""

    file: StoredFile
    attributes: Mapping[str, Any] = field(default_factory=dict)
    max_chunk_tokens: int = 800
    chunk_overlap_tokens: int = 400


async def vector_store_create(
    *,
    owner: User,
    name: str,
    description: str = "",
    metadata: Mapping[str, str],
    expires_after_days: int | None,
    files: Sequence[NewStoreFile] = (),
) -> VectorStore:
    """Raises: InvalidInputError for too many files."""

    @database_sync_to_async
    def write() -> VectorStore:
        with transaction.atomic():
            now = timezone.now()
            store = VectorStore.objects.create(
                owner=owner,
                name=name,
                description=description,
                metadata=dict(metadata),
                expires_after_days=expires_after_days,
                expires_at=_expiry(now, expires_after_days),
                created_at=now,
                last_active_at=now,
            )
            _add_files_now(store, files)
        return store

    store = await write()
    await bus.notify(INDEXING_TOPIC)
    return store


def _expiry(since: dt.datetime, days: int | None) -> dt.datetime | None:
    return since + dt.timedelta(days=days) if days is not None else None


def _add_files_now(
    store: VectorStore, files: Sequence[NewStoreFile], batch: VectorStoreBatch | None = None
) -> None:
    """A file that is in the store already is indexed anew, as it is wanted now."""
    wanted = {new.file.id: new for new in files}
    there = VectorStoreFile.objects.filter(store=store, deleted_at=None)
    there.filter(file__in=list(wanted)).update(deleted_at=timezone.now())
    if there.count() + len(wanted) > MAX_FILES:
        raise InvalidInputError(f"A store takes up to {MAX_FILES:,} files.", param="file_ids")
    VectorStoreFile.objects.bulk_create(
        VectorStoreFile(
            store=store,
            file=new.file,
            batch=batch,
            attributes=dict(new.attributes),
            max_chunk_tokens=new.max_chunk_tokens,
            chunk_overlap_tokens=new.chunk_overlap_tokens,
        )
        for new in wanted.values()
    )


async def vector_store_update(*, store: VectorStore, fields: Mapping[str, Any]) -> VectorStore:
    """`fields` of the row; a new `expires_after_days` counts from when it was last used."""
    changed = dict(fields)
    if "expires_after_days" in changed:
        changed["expires_at"] = _expiry(store.last_active_at, changed["expires_after_days"])
    if changed:
        await VectorStore.objects.filter(id=store.id).aupdate(**changed)
    return await VectorStore.objects.aget(id=store.id)


async def vector_stores_touch(*, store_ids: Sequence[uuid.UUID]) -> None:
    """They were used: their time begins anew."""

    @database_sync_to_async
    def write() -> None:
        now = timezone.now()
        rows = VectorStore.objects.filter(id__in=store_ids)
        for store_id, days in rows.values_list("id", "expires_after_days"):
            VectorStore.objects.filter(
                Q(expires_at=None) | Q(expires_at__gt=now), id=store_id
            ).update(last_active_at=now, expires_at=_expiry(now, days))

    await write()


async def vector_store_delete(*, store: VectorStore) -> None:
    await VectorStore.objects.filter(id=store.id).aupdate(deleted_at=timezone.now())
    await bus.notify(INDEXING_TOPIC)


async def vector_store_files_add(
    *, store: VectorStore, files: Sequence[NewStoreFile], is_batch: bool = False
) -> VectorStoreBatch | None:
    """The batch, where one was asked for. Raises: InvalidInputError for too many."""

    @database_sync_to_async
    def write() -> VectorStoreBatch | None:
        with transaction.atomic():
            VectorStore.objects.select_for_update().filter(id=store.id).first()
            batch = VectorStoreBatch.objects.create(store=store) if is_batch else None
            _add_files_now(store, files, batch)
        return batch

    batch = await write()
    await vector_stores_touch(store_ids=[store.id])
    await bus.notify(INDEXING_TOPIC)
    return batch


async def vector_store_file_update(
    *, file: VectorStoreFile, attributes: Mapping[str, Any]
) -> VectorStoreFile:
    await VectorStoreFile.objects.filter(id=file.id).aupdate(attributes=dict(attributes))
    file.attributes = dict(attributes)
    return file


async def vector_store_file_delete(*, file: VectorStoreFile) -> None:
    """Out of the store; the file itself stays."""
    await VectorStoreFile.objects.filter(id=file.id).aupdate(deleted_at=timezone.now())
    await bus.notify(INDEXING_TOPIC)


async def vector_store_batch_cancel(*, batch: VectorStoreBatch) -> None:
    """What was indexed already stays."""

    @database_sync_to_async
    def write() -> None:
        with transaction.atomic():
            rows = VectorStoreFile.objects.filter(batch=batch, status=Status.IN_PROGRESS)
            rows.update(status=Status.CANCELLED)
            VectorStoreBatch.objects.filter(id=batch.id, cancelled_at=None).update(
                cancelled_at=timezone.now()
            )

    await write()


# Indexing, for whoever does it


async def vector_file_claim(
    *, lease: str, other_than: int | None = None
) -> VectorStoreFile | None:
    """The next file that waits, now this process's; rather one of another owner than the last. Its
    store and its file come along."""

    @database_sync_to_async
    def write() -> VectorStoreFile | None:
        rows = VectorStoreFile.objects.filter(
            status=Status.IN_PROGRESS,
            deleted_at=None,
            file__isnull=False,
            store__deleted_at=None,
            claimed_by="",
        ).order_by("created_at", "id")
        others = rows.exclude(store__owner=other_than) if other_than is not None else rows.none()
        for chosen in (others, rows):
            found = chosen.select_related("store", "file").first()
            if found is None:
                continue
            free = VectorStoreFile.objects.filter(id=found.id, claimed_by="")
            if free.update(claimed_by=lease, claimed_at=timezone.now(), tries=F("tries") + 1):
                found.tries += 1
                return found
        return None

    return await write()


async def vector_file_release(*, lease: str, has_died: bool) -> None:
    """What that process had begun is free for another. Only one that died of it counts as a try."""
    rows = VectorStoreFile.objects.filter(claimed_by=lease, status=Status.IN_PROGRESS)
    tries = F("tries") if has_died else F("tries") - 1
    await rows.aupdate(claimed_by="", claimed_at=None, tries=tries)


@database_sync_to_async
def vector_file_add_pieces(
    *, file: VectorStoreFile, first: int, texts: Sequence[str], block: Block, lease: str
) -> bool:
    """Whether the file is still wanted, and this process's."""
    with transaction.atomic():
        wanted = VectorStoreFile.objects.select_for_update().filter(
            id=file.id,
            status=Status.IN_PROGRESS,
            deleted_at=None,
            file__isnull=False,
            store__deleted_at=None,
            claimed_by=lease,
        )
        if not wanted.exists():
            return False
        VectorChunk.objects.bulk_create(
            VectorChunk(file=file, store_id=file.store_id, number=first + index, text=text)
            for index, text in enumerate(texts)
        )
        VectorBlock.objects.create(
            file=file, first=first, counts=block.counts, vectors=block.vectors
        )
    return True


async def vector_file_end(
    *,
    file: VectorStoreFile,
    lease: str,
    usage_bytes: int = 0,
    error: tuple[str, str] | None = None,
) -> None:
    """It can be searched from now on, or never can: `error` is a code and a sentence."""
    code, message = error or ("", "")
    rows = VectorStoreFile.objects.filter(id=file.id, status=Status.IN_PROGRESS, claimed_by=lease)
    await rows.aupdate(
        status=Status.FAILED if error else Status.COMPLETED,
        error_code=code,
        error_message=message[:512],
        usage_bytes=usage_bytes,
    )


@database_sync_to_async
def vector_file_forget_some(*, file_id: uuid.UUID) -> bool:
    """Remove some of a file's pieces; whether there may be more."""
    with transaction.atomic():
        for rows in (
            VectorChunk.objects.filter(file=file_id).order_by("id"),
            VectorBlock.objects.filter(file=file_id).order_by("id"),
        ):
            ids = list(rows.values_list("id", flat=True)[:PURGE_ROWS])
            if ids:
                rows.model._default_manager.filter(id__in=ids).delete()
                return True
    return False


async def vector_stores_expire() -> None:
    """What a store that has expired held goes; that it was there stays."""
    now = timezone.now()
    files = VectorStoreFile.objects.filter(deleted_at=None, store__expires_at__lte=now)
    if await files.aexists():
        await files.aupdate(deleted_at=now)


async def vector_stores_purge() -> None:
    """Remove what was deleted, in small transactions."""
    gone = Q(deleted_at__isnull=False) | Q(file=None) | Q(store__deleted_at__isnull=False)
    async for file_id in VectorStoreFile.objects.filter(gone).values_list("id", flat=True):
        while await vector_file_forget_some(file_id=file_id):
            pass  # others write in between
        await VectorStoreFile.objects.filter(id=file_id).adelete()
    await VectorStore.objects.filter(deleted_at__isnull=False, files=None).adelete()
