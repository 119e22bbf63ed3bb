"""`/v1/vector_stores`: stores of files that a model, or a program, can search."""

from typing import Any

from sessions import selectors, services
from sessions.api.endpoint import Call, operation
from sessions.api.paging import page_between
from sessions.api.schema import Deleted, NoBody, NoQuery
from sessions.api.vector_store_lookups import (
    WantedFile,
    find_open_store,
    find_store,
    new_files,
    store_object,
    store_objects,
    weights_of,
)
from sessions.api.vector_stores import (
    CreateVectorStore,
    CursorQuery,
    SearchResult,
    SearchResultsPage,
    SearchVectorStore,
    TextContent,
    UpdateVectorStore,
    VectorStoreList,
    VectorStoreObject,
)
from sessions.responses.ids import FILE, VECTOR_STORE, format_id, parse_id


@operation(summary="Make a store", body=CreateVectorStore, returns=VectorStoreObject)
async def store_create(call: Call[CreateVectorStore, NoQuery]) -> VectorStoreObject:
    """Its files are indexed afterwards: `status` tells when that is done."""
    body = call.body
    wanted = [
        WantedFile(file_id, f"file_ids[{index}]", chunking=body.chunking_strategy)
        for index, file_id in enumerate(body.file_ids or ())
    ]
    store = await services.vector_store_create(
        owner=call.user,
        name=body.name or "",
        description=body.description or "",
        metadata=body.metadata or {},
        expires_after_days=body.expires_after.days if body.expires_after else None,
        files=await new_files(call, wanted),
    )
    return await store_object(store)


@operation(summary="List stores", query=CursorQuery, returns=VectorStoreList)
async def store_list(call: Call[NoBody, CursorQuery]) -> VectorStoreList:
    rows = selectors.vector_store_rows(owner=call.user)
    query = call.query
    page, has_more = await page_between(
        rows,
        query,
        after=parse_id(VECTOR_STORE, query.after or ""),
        before=parse_id(VECTOR_STORE, query.before or ""),
    )
    return VectorStoreList.of(await store_objects(page), has_more=has_more)


@operation(summary="One store", returns=VectorStoreObject)
async def store_get(call: Call[NoBody, NoQuery], store_id: str) -> VectorStoreObject:
    return await store_object(await find_store(call, store_id))


@operation(summary="Change a store", body=UpdateVectorStore, returns=VectorStoreObject)
async def store_update(call: Call[UpdateVectorStore, NoQuery], store_id: str) -> VectorStoreObject:
    """Only what is sent changes; null takes away."""
    store = await find_store(call, store_id)
    body, fields = call.body, dict[str, Any]()
    if "name" in body.model_fields_set:
        fields["name"] = body.name or ""
    if "metadata" in body.model_fields_set:
        fields["metadata"] = body.metadata or {}
    if "expires_after" in body.model_fields_set:
        fields["expires_after_days"] = body.expires_after.days if body.expires_after else None
    return await store_object(await services.vector_store_update(store=store, fields=fields))


@operation(summary="Delete a store", returns=Deleted)
async def store_delete(call: Call[NoBody, NoQuery], store_id: str) -> Deleted:
    """The files themselves stay."""
    await services.vector_store_delete(store=await find_store(call, store_id))
    return Deleted(id=store_id, object="vector_store.deleted")


@operation(summary="Search a store", body=SearchVectorStore, returns=SearchResultsPage)
async def store_search(call: Call[SearchVectorStore, NoQuery], store_id: str) -> SearchResultsPage:
    store = await find_open_store(call, store_id)
    body = call.body
    queries = [body.query] if isinstance(body.query, str) else body.query
    ranking = body.ranking_options
    found = await services.vector_search(
        services.Search(
            store_ids=[store.id],
            queries=queries,
            max_results=body.max_num_results,
            condition=body.filters.model_dump() if body.filters else None,
            threshold=(ranking.score_threshold if ranking else None) or 0.0,
            weights=weights_of(ranking),
        )
    )
    return SearchResultsPage(
        next_page=None,
        search_query=queries,
        data=[
            SearchResult(
                file_id=format_id(FILE, one.file_id),
                filename=one.filename,
                score=one.score,
                attributes=dict(one.attributes),
                content=[TextContent(text=one.text)],
            )
            for one in found
        ],
    )
