"""`/v1/vector_stores/{id}/files` and `/file_batches`: what is in a store."""

import json
import uuid
from collections.abc import AsyncIterator

from django.db.models import QuerySet
from django.http import HttpResponseBase, StreamingHttpResponse

from sessions import selectors, services
from sessions.api.endpoint import Call, operation
from sessions.api.errors import ApiError
from sessions.api.paging import page_between, unknown_after
from sessions.api.schema import Deleted, NoBody, NoQuery
from sessions.api.vector_store_lookups import (
    WantedFile,
    batch_object,
    file_object,
    find_batch,
    find_open_store,
    find_store,
    find_store_file,
    new_files,
)
from sessions.api.vector_stores import (
    AddBatch,
    AddFile,
    BatchObject,
    FileContentPage,
    FilesQuery,
    StoreFileList,
    StoreFileObject,
    UpdateFile,
)
from sessions.models import VectorChunk, VectorStoreFile
from sessions.responses.ids import FILE, parse_id

PIECES_AT_ONCE = 200


@operation(summary="Add a file", body=AddFile, returns=StoreFileObject)
async def file_create(call: Call[AddFile, NoQuery], store_id: str) -> StoreFileObject:
    """It is indexed afterwards. One that is there already is indexed anew."""
    store = await find_open_store(call, store_id)
    body = call.body
    wanted = WantedFile(body.file_id, "file_id", body.attributes, body.chunking_strategy)
    await services.vector_store_files_add(store=store, files=await new_files(call, [wanted]))
    return file_object(await find_store_file(call, store_id, body.file_id))


async def _page(rows: QuerySet[VectorStoreFile], query: FilesQuery) -> StoreFileList:
    """Raises: ApiError."""
    if query.filter is not None:
        rows = rows.filter(status=query.filter)
    page, has_more = await page_between(
        rows,
        query,
        after=await _key(rows, query.after),
        before=await _key(rows, query.before),
    )
    return StoreFileList.of([file_object(file) for file in page], has_more=has_more)


async def _key(rows: QuerySet[VectorStoreFile], file_id: str | None) -> uuid.UUID | None:
    """Of the row of a file, by which the list goes. Raises: ApiError."""
    if file_id is None:
        return None
    key = parse_id(FILE, file_id)
    found = await rows.filter(file=key).afirst() if key is not None else None
    if found is None:
        raise unknown_after(file_id)
    return found.id


@operation(summary="List the files of a store", query=FilesQuery, returns=StoreFileList)
async def file_list(call: Call[NoBody, FilesQuery], store_id: str) -> StoreFileList:
    store = await find_store(call, store_id)
    return await _page(selectors.vector_store_file_rows(stores=[store.id]), call.query)


@operation(summary="One file of a store", returns=StoreFileObject)
async def file_get(call: Call[NoBody, NoQuery], store_id: str, file_id: str) -> StoreFileObject:
    return file_object(await find_store_file(call, store_id, file_id))


@operation(summary="Change a file's attributes", body=UpdateFile, returns=StoreFileObject)
async def file_update(
    call: Call[UpdateFile, NoQuery], store_id: str, file_id: str
) -> StoreFileObject:
    file = await find_store_file(call, store_id, file_id)
    changed = await services.vector_store_file_update(
        file=file, attributes=call.body.attributes or {}
    )
    return file_object(changed)


@operation(summary="Take a file out of a store", returns=Deleted)
async def file_delete(call: Call[NoBody, NoQuery], store_id: str, file_id: str) -> Deleted:
    await services.vector_store_file_delete(file=await find_store_file(call, store_id, file_id))
    return Deleted(id=file_id, object="vector_store.file.deleted")


@operation(summary="The text of a file, in its pieces", returns=FileContentPage)
async def file_content(
    call: Call[NoBody, NoQuery], store_id: str, file_id: str
) -> HttpResponseBase:
    """All of them, as they are read: they may be many."""
    file = await find_store_file(call, store_id, file_id)
    if file.status != VectorStoreFile.Status.COMPLETED:
        message = f"File '{file_id}' is {file.status.replace('_', ' ')}: it has no text to show."
        raise ApiError(400, message, param="file_id")
    return StreamingHttpResponse(_content(file), content_type="application/json")


async def _content(file: VectorStoreFile) -> AsyncIterator[bytes]:
    empty = FileContentPage(data=[], next_page=None).to_json()
    head, tail = json.dumps({**empty, "data": ["|"]}).split('"|"')
    yield head.encode()
    after, comma = -1, ""
    while texts := [
        pair
        async for pair in VectorChunk.objects.filter(file=file, number__gt=after)
        .order_by("number")
        .values_list("number", "text")[:PIECES_AT_ONCE]
    ]:
        after = texts[-1][0]
        parts = [json.dumps({"type": "text", "text": text}) for _, text in texts]
        yield (comma + ",".join(parts)).encode()
        comma = ","
    yield tail.encode()


# Batches


@operation(summary="Add files together", body=AddBatch, returns=BatchObject)
async def batch_create(call: Call[AddBatch, NoQuery], store_id: str) -> BatchObject:
    store = await find_open_store(call, store_id)
    body = call.body
    if (body.file_ids is None) == (body.files is None):
        raise ApiError(400, "Send either 'file_ids' or 'files'.", param="file_ids")
    if body.files is not None and (body.attributes or body.chunking_strategy):
        param = "attributes" if body.attributes else "chunking_strategy"
        message = f"'{param}' goes with 'file_ids'; each of 'files' has its own."
        raise ApiError(400, message, param=param)
    wanted = [
        WantedFile(one.file_id, f"files[{index}].file_id", one.attributes, one.chunking_strategy)
        for index, one in enumerate(body.files or ())
    ] + [
        WantedFile(file_id, f"file_ids[{index}]", body.attributes, body.chunking_strategy)
        for index, file_id in enumerate(body.file_ids or ())
    ]
    files = await new_files(call, wanted)
    batch = await services.vector_store_files_add(store=store, files=files, is_batch=True)
    assert batch is not None
    return await batch_object(batch)


@operation(summary="One batch", returns=BatchObject)
async def batch_get(call: Call[NoBody, NoQuery], store_id: str, batch_id: str) -> BatchObject:
    return await batch_object(await find_batch(call, store_id, batch_id))


@operation(summary="Leave out what of a batch is not indexed yet", returns=BatchObject)
async def batch_cancel(call: Call[NoBody, NoQuery], store_id: str, batch_id: str) -> BatchObject:
    batch = await find_batch(call, store_id, batch_id)
    if (await batch_object(batch)).status == "in_progress":
        await services.vector_store_batch_cancel(batch=batch)
    return await batch_object(await find_batch(call, store_id, batch_id))


@operation(summary="List the files of a batch", query=FilesQuery, returns=StoreFileList)
async def batch_files(
    call: Call[NoBody, FilesQuery], store_id: str, batch_id: str
) -> StoreFileList:
    batch = await find_batch(call, store_id, batch_id)
    rows = selectors.vector_store_file_rows(stores=[batch.store_id]).filter(batch=batch)
    return await _page(rows, call.query)
