"""Finding what calls name in vector stores, and how it is given back."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from sessions import selectors
from sessions.api.endpoint import Call
from sessions.api.errors import ApiError, not_found
from sessions.api.lookups import find_files, find_row
from sessions.api.vector_stores import (
    Attributes,
    BatchObject,
    Chunking,
    ExpiresAfterObject,
    FileCounts,
    LastError,
    StaticChunking,
    StaticChunkingObject,
    StaticSizesObject,
    StoreFileObject,
    VectorStoreObject,
)
from sessions.models import StoredFile, VectorStore, VectorStoreBatch, VectorStoreFile
from sessions.responses.ids import (
    FILE,
    VECTOR_STORE,
    VECTOR_STORE_BATCH,
    format_id,
    parse_id,
)
from sessions.search.ranking import Weights
from sessions.services import NewStoreFile

_COUNTED = ("in_progress", "completed", "failed", "cancelled")


async def find_store(
    call: Call[Any, Any], store_id: str, *, param: str | None = None
) -> VectorStore:
    """Raises: ApiError."""
    return await find_row(
        parse_id(VECTOR_STORE, store_id),
        lambda key: selectors.vector_store_get(owner=call.user, store_id=key),
        f"Vector store with id '{store_id}' not found.",
        param,
    )


async def find_open_store(
    call: Call[Any, Any], store_id: str, *, param: str | None = None
) -> VectorStore:
    """One that has not expired. Raises: ApiError."""
    store = await find_store(call, store_id, param=param)
    if store.has_expired:
        message = f"Vector store '{store_id}' has expired."
        raise ApiError(400, message, param=param or "vector_store_id", code="expired")
    return store


async def find_store_file(call: Call[Any, Any], store_id: str, file_id: str) -> VectorStoreFile:
    """Raises: ApiError."""
    store = await find_store(call, store_id)
    key = parse_id(FILE, file_id)
    rows = selectors.vector_store_file_rows(stores=[store.id])
    found = await rows.filter(file=key).afirst() if key is not None else None
    if found is None:
        raise not_found(f"No file found with id '{file_id}' in vector store '{store_id}'.")
    return found


async def find_batch(call: Call[Any, Any], store_id: str, batch_id: str) -> VectorStoreBatch:
    """Raises: ApiError."""
    store = await find_store(call, store_id)
    key = parse_id(VECTOR_STORE_BATCH, batch_id)
    rows = VectorStoreBatch.objects.filter(store=store)
    found = await rows.filter(id=key).afirst() if key is not None else None
    if found is None:
        raise not_found(f"No file batch found with id '{batch_id}' in '{store_id}'.")
    return found


@dataclass(frozen=True, slots=True)
class WantedFile:
    file_id: str
    param: str
    attributes: Attributes | None = None
    chunking: Chunking | None = None


async def new_files(call: Call[Any, Any], wanted: Sequence[WantedFile]) -> list[NewStoreFile]:
    """Raises: ApiError for a file that is not there, or another user's."""
    files = await find_files(call, [(one.file_id, one.param) for one in wanted])
    return [_new_file(file, one) for file, one in zip(files, wanted, strict=True)]


def _new_file(file: StoredFile, wanted: WantedFile) -> NewStoreFile:
    attributes = wanted.attributes or {}
    if not isinstance(wanted.chunking, StaticChunking):
        return NewStoreFile(file, attributes)
    sizes = wanted.chunking.static
    return NewStoreFile(file, attributes, sizes.max_chunk_size_tokens, sizes.chunk_overlap_tokens)


# Resources


async def store_objects(stores: Iterable[VectorStore]) -> list[VectorStoreObject]:
    listed = list(stores)
    rows = selectors.vector_store_file_rows(stores=[store.id for store in listed])
    sums = await _sums(rows, "store")
    return [_store_object(store, sums.get(store.id, {})) for store in listed]


async def store_object(store: VectorStore) -> VectorStoreObject:
    return (await store_objects([store]))[0]


async def _sums(rows: QuerySet[VectorStoreFile], by: str) -> dict[uuid.UUID, dict[str, int]]:
    """Files of stores or batches by their status, and the bytes of all."""
    counts: dict[str, Any] = {name: Count("id", filter=Q(status=name)) for name in _COUNTED}
    grouped: QuerySet[Any, Any] = rows.values(by).annotate(usage=Sum("usage_bytes"), **counts)
    return {row[by]: row async for row in grouped}


def _counts(row: dict[str, int]) -> FileCounts:
    counted = {name: row.get(name, 0) for name in _COUNTED}
    return FileCounts(**counted, total=sum(counted.values()))


def _store_object(store: VectorStore, row: dict[str, int]) -> VectorStoreObject:
    counts = _counts(row)
    busy = "in_progress" if counts.in_progress else "completed"
    days = store.expires_after_days
    return VectorStoreObject(
        id=format_id(VECTOR_STORE, store.id),
        created_at=int(store.created_at.timestamp()),
        name=store.name,
        description=store.description or None,
        usage_bytes=row.get("usage", 0),
        file_counts=counts,
        status="expired" if store.has_expired else busy,  # type: ignore[arg-type]  # one of three
        expires_after=ExpiresAfterObject(days=days) if days is not None else None,
        expires_at=int(store.expires_at.timestamp()) if store.expires_at else None,
        last_active_at=int(store.last_active_at.timestamp()),
        metadata=store.metadata,
    )


def file_object(file: VectorStoreFile) -> StoreFileObject:
    assert file.file_id is not None
    error = (
        LastError(code=file.error_code, message=file.error_message)  # type: ignore[arg-type]  # one of three
        if file.error_code
        else None
    )
    return StoreFileObject(
        id=format_id(FILE, file.file_id),
        usage_bytes=file.usage_bytes,
        created_at=int(file.created_at.timestamp()),
        vector_store_id=format_id(VECTOR_STORE, file.store_id),
        status=file.status,  # type: ignore[arg-type]  # one of four
        last_error=error,
        chunking_strategy=StaticChunkingObject(
            static=StaticSizesObject(
                max_chunk_size_tokens=file.max_chunk_tokens,
                chunk_overlap_tokens=file.chunk_overlap_tokens,
            )
        ),
        attributes=file.attributes,
    )


async def batch_object(batch: VectorStoreBatch) -> BatchObject:
    rows = selectors.vector_store_file_rows(stores=[batch.store_id]).filter(batch=batch)
    sums = await _sums(rows, "batch")
    counts = _counts(sums.get(batch.id, {}))
    if batch.cancelled_at is not None:
        status = "cancelled"
    elif counts.in_progress:
        status = "in_progress"
    else:
        status = "failed" if counts.total and counts.failed == counts.total else "completed"
    return BatchObject(
        id=format_id(VECTOR_STORE_BATCH, batch.id),
        created_at=int(batch.created_at.timestamp()),
        vector_store_id=format_id(VECTOR_STORE, batch.store_id),
        status=status,  # type: ignore[arg-type]  # one of four
        file_counts=counts,
    )


def weights_of(ranking: Any) -> Weights:
    """Of `ranking_options`. Without a ranker there is nothing but the vectors."""
    if ranking is None:
        return Weights()
    if getattr(ranking, "ranker", None) == "none":
        return Weights(meaning=1.0, words=0.0)
    hybrid = ranking.hybrid_search
    if hybrid is None:
        return Weights()
    return Weights(hybrid.embedding_weight, hybrid.text_weight)
