"""Searching stores: what comes near in meaning, what has the words, and both in one order."""

import asyncio
import heapq
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from channels.db import database_sync_to_async
from django.db import connection
from django.db.models import QuerySet

from sessions import selectors
from sessions.models import VectorBlock, VectorChunk, VectorStoreFile
from sessions.search.embedding import Block, Vector, embedder, similarities
from sessions.search.filters import Filter, matches
from sessions.search.ranking import Weights, best, fused
from sessions.search.words import Word, coverage, postgres_query, sqlite_query, told, words_of
from sessions.services.vector_stores import vector_stores_touch

CANDIDATES = 100
"""Pieces that each of the two ways brings up, for each query."""
BLOCKS_AT_ONCE = 16
"""Read in one go: up to 64 pieces of 400 new tokens each make 200 KB."""
IDS_AT_ONCE = 500
_POSTGRES_WORDS = "to_tsvector('english', regexp_replace(c.text, '[-_./:+#@]+', ' ', 'g'))"
"""As the migration that makes the table indexes them."""


@dataclass(frozen=True, slots=True)
class Search:
    """`weights` says how much meaning and words count; a `condition` leaves files out."""

    store_ids: Sequence[uuid.UUID]
    queries: Sequence[str]
    max_results: int
    condition: Filter | None = None
    threshold: float = 0.0
    weights: Weights = field(default_factory=Weights)


@dataclass(frozen=True, slots=True)
class Found:
    """A piece of a file's text."""

    file_id: uuid.UUID
    filename: str
    attributes: Mapping[str, Any]
    score: float
    """From 0 to 1."""
    text: str


async def vector_search(search: Search) -> list[Found]:
    """The best first. Whose stores these are is the caller's to check. Counts as their use."""
    await vector_stores_touch(store_ids=search.store_ids)
    files = await _files(search)
    scores: dict[int, float] = {}
    for query in search.queries:
        for piece, score in (await _scores(query, search, files)).items():
            scores[piece] = max(scores.get(piece, 0.0), score)
    return await _found(best(scores, count=search.max_results, threshold=search.threshold))


async def _files(search: Search) -> list[QuerySet[VectorStoreFile]]:
    """All of the stores, or those that the condition leaves, some at a time."""
    rows = selectors.vector_store_file_rows(stores=search.store_ids).filter(
        store__deleted_at=None, status=VectorStoreFile.Status.COMPLETED
    )
    if search.condition is None:
        return [rows]
    condition = search.condition

    @database_sync_to_async
    def read() -> list[uuid.UUID]:
        known = rows.values_list("id", "attributes").iterator()
        return [key for key, attributes in known if matches(condition, attributes)]

    ids = await read()
    return [
        rows.filter(id__in=ids[start : start + IDS_AT_ONCE])
        for start in range(0, len(ids), IDS_AT_ONCE)
    ]


async def _scores(
    query: str, search: Search, files: Sequence[QuerySet[VectorStoreFile]]
) -> dict[int, float]:
    near: list[tuple[int, float]] = []
    by_words: list[tuple[int, float]] = []
    if search.weights.meaning:
        wanted = await asyncio.to_thread(lambda: embedder().embed(told(query)))
        near = await _by_meaning(wanted, files)
    words = words_of(query)
    if search.weights.words and words:
        by_words = await _by_words(words, search.store_ids, files)
    return fused(near, by_words, search.weights)


async def _by_meaning(
    wanted: Vector, files: Sequence[QuerySet[VectorStoreFile]]
) -> list[tuple[int, float]]:
    """Pieces with the cosine of the angle, the nearest first."""
    top: list[tuple[float, uuid.UUID, int]] = []
    for some in files:
        # Which they are first: a database that sorts them would carry all vectors along.
        keys = await _block_keys(some)
        for start in range(0, len(keys), BLOCKS_AT_ONCE):
            blocks = await _blocks(keys[start : start + BLOCKS_AT_ONCE])
            top = await asyncio.to_thread(_nearest, top, blocks, wanted)
    return await _numbered(sorted(top, reverse=True))


_Row = tuple[uuid.UUID, int, Block]
"""File, number of the first piece, vectors."""


@database_sync_to_async
def _block_keys(files: QuerySet[VectorStoreFile]) -> list[int]:
    rows = VectorBlock.objects.filter(file__in=files.values("id"))
    return list(rows.values_list("id", flat=True))


@database_sync_to_async
def _blocks(keys: Sequence[int]) -> list[_Row]:
    rows = VectorBlock.objects.filter(id__in=keys)
    found = rows.values_list("file_id", "first", "counts", "vectors")
    return [
        (file, first, Block(bytes(counts), bytes(vectors)))
        for file, first, counts, vectors in found
    ]


def _nearest(
    top: list[tuple[float, uuid.UUID, int]], blocks: Sequence[_Row], wanted: Vector
) -> list[tuple[float, uuid.UUID, int]]:
    found = [
        (float(cosine), file, first + index)
        for file, first, block in blocks
        for index, cosine in enumerate(similarities(block, wanted))
        if cosine > 0
    ]
    return heapq.nlargest(CANDIDATES, [*top, *found])


@database_sync_to_async
def _numbered(top: Sequence[tuple[float, uuid.UUID, int]]) -> list[tuple[int, float]]:
    """By the keys of the pieces."""
    by_file: dict[uuid.UUID, list[int]] = {}
    for _, file, number in top:
        by_file.setdefault(file, []).append(number)
    keys = {
        (file, number): key
        for file, numbers in by_file.items()
        for key, number in VectorChunk.objects.filter(file=file, number__in=numbers).values_list(
            "id", "number"
        )
    }
    return [(keys[file, number], cosine) for cosine, file, number in top if (file, number) in keys]


async def _by_words(
    words: list[Word],
    store_ids: Sequence[uuid.UUID],
    files: Sequence[QuerySet[VectorStoreFile]],
) -> list[tuple[int, float]]:
    """Pieces with the share of the words that they have, in the order of the index."""
    ranked: list[tuple[int, float, str]] = []
    for some in files:
        ranked += await _asked_index(words, store_ids, some)
    ranked.sort(key=lambda row: (-row[1], row[0]))
    return [(key, coverage(words, text)) for key, _, text in ranked[:CANDIDATES]]


@database_sync_to_async
def _asked_index(
    words: list[Word], store_ids: Sequence[uuid.UUID], files: QuerySet[VectorStoreFile]
) -> list[tuple[int, float, str]]:
    """Key, rank (more is better) and text."""
    inner, params = files.values("id").query.sql_with_params()
    # What is put together here are names of tables and Django's own SQL; all values are parameters.
    if connection.vendor == "sqlite":
        query = sqlite_query(words, [store.hex for store in store_ids])
        sql = f"""
            SELECT c.id, -bm25(agent_sessions_vectorchunk_words, 0.0, 1.0) AS rank, c.text
            FROM agent_sessions_vectorchunk_words
            JOIN agent_sessions_vectorchunk c ON c.id = agent_sessions_vectorchunk_words.rowid
            WHERE agent_sessions_vectorchunk_words MATCH %s AND c.file_id IN ({inner})
            ORDER BY rank DESC LIMIT {CANDIDATES}"""  # noqa: S608
        values: list[Any] = [query, *params]
    else:
        query = postgres_query(words)
        sql = f"""
            SELECT c.id, ts_rank_cd({_POSTGRES_WORDS}, q) AS rank, c.text
            FROM agent_sessions_vectorchunk c, websearch_to_tsquery('english', %s) q
            WHERE {_POSTGRES_WORDS} @@ q AND c.store_id = ANY(%s)
            AND c.file_id IN ({inner})
            ORDER BY rank DESC LIMIT {CANDIDATES}"""  # noqa: S608
        values = [query, list(store_ids), *params]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return [(key, float(rank), text) for key, rank, text in cursor.fetchall()]


@database_sync_to_async
def _found(ranked: Sequence[tuple[int, float]]) -> list[Found]:
    rows = VectorChunk.objects.select_related("file__file").in_bulk([key for key, _ in ranked])
    return [
        Found(
            file_id=row.file.file.id,
            filename=row.file.file.filename,
            attributes=row.file.attributes,
            score=round(score, 6),
            text=row.text,
        )
        for key, score in ranked
        if (row := rows.get(key)) is not None and row.file.file is not None
    ]
