"""The tool by which a model searches the vector stores that a response names."""

from collections.abc import Mapping, Sequence
from typing import Any

from sessions import selectors, services
from sessions.agent.tools.base import ToolError
from sessions.agent.tools.file_search import FileSearchTool, Result
from sessions.models import ApiResponse
from sessions.responses.ids import FILE, VECTOR_STORE, format_id, parse_id
from sessions.search.ranking import Weights

DEFAULT_RESULTS = 10


def file_search_tool(response: ApiResponse, asked: Mapping[str, Any]) -> FileSearchTool:
    """`asked` is the tool as the program gave it. Stores are looked up at each search: they may
    be gone by then, or may never have been of whoever asks."""
    keys = [parse_id(VECTOR_STORE, one) for one in asked["vector_store_ids"]]
    ranking = asked.get("ranking_options") or {}

    async def search(queries: Sequence[str]) -> Sequence[Result]:
        rows = selectors.vector_store_rows(owner=response.owner)
        stores = [store async for store in rows.filter(id__in=[key for key in keys if key])]
        open_stores = [store.id for store in stores if not store.has_expired]
        if not open_stores:
            raise ToolError("The files are gone: their vector store was deleted or has expired.")
        found = await services.vector_search(
            services.Search(
                store_ids=open_stores,
                queries=list(queries),
                max_results=asked.get("max_num_results") or DEFAULT_RESULTS,
                condition=asked.get("filters"),
                threshold=ranking.get("score_threshold") or 0.0,
                weights=_weights(ranking.get("hybrid_search")),
            )
        )
        return [_result(one) for one in found]

    return FileSearchTool(search)


def _weights(hybrid: Mapping[str, float] | None) -> Weights:
    if hybrid is None:
        return Weights()
    return Weights(hybrid["embedding_weight"], hybrid["text_weight"])


def _result(found: services.Found) -> Result:
    return {
        "file_id": format_id(FILE, found.file_id),
        "filename": found.filename,
        "score": found.score,
        "attributes": dict(found.attributes),
        "text": found.text,
    }
