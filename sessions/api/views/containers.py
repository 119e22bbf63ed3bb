"""`/v1/containers`: the containers of the caller's sessions."""

import dataclasses
from typing import Any

from pydantic import Field

from sessions import selectors, services
from sessions.api.container_contents import put_stored_file
from sessions.api.containers import (
    MEMORY_BYTES,
    Container,
    ContainerOptions,
    CreateContainer,
    container_resource,
)
from sessions.api.endpoint import Call, operation
from sessions.api.errors import ApiError, not_found
from sessions.api.ids import CONTAINER, format_id, parse_id
from sessions.api.paging import page_of_rows
from sessions.api.schema import Deleted, ListPage, NoBody, NoQuery, PageQuery
from sessions.api.views.files import find_file
from sessions.errors import NotFoundError
from sessions.models import Session
from sessions.runtime.wiring import runtime
from sessions.sandbox.limits import GIB, Limits, size_text


class ContainerList(ListPage[Container]):
    pass


class ContainersQuery(PageQuery):
    name: str | None = Field(None, description="Only containers of exactly this name.")


@operation(summary="Make a container", body=CreateContainer, returns=Container)
async def container_create(call: Call[CreateContainer, NoQuery]) -> Container:
    """It is started by the first use of it, which may be the files it is given."""
    body, process = call.body, runtime()
    files = [
        await find_file(call, file_id, param=f"file_ids[{index}]")
        for index, file_id in enumerate(body.file_ids or ())
    ]
    choice = process.default_choice()
    expires_after_s = process.config.expires_after_s
    session = await services.container_create(
        owner=call.user,
        name=body.name,
        provider=choice.provider,
        model=choice.model,
        image=await allowed_image(body.image),
        limits=limits_of(body),
        expires_after_s=body.expires_after.minutes * 60 if body.expires_after else expires_after_s,
    )
    if files:
        try:
            sandbox = await process.sandboxes.connect(session)
            for file in files:
                await put_stored_file(session, sandbox, file)
        except BaseException:
            # Whoever asked has no id to delete it by.
            await services.session_delete(session=session)
            raise
        session = await find_container(call, format_id(CONTAINER, session.id))
    return container_resource(session)


async def allowed_image(name: str | None) -> str:
    """Raises: ApiError; SandboxError when the engine cannot tell."""
    if name is None:
        return runtime().config.default_image
    images = await runtime().images()
    if name not in images:
        raise ApiError(
            400,
            f"Invalid value: '{name}'. Images that may be used here: {', '.join(images)}.",
            param="image",
            code="invalid_value",
        )
    return name


def limits_of(options: ContainerOptions) -> Limits:
    """Raises: ApiError for more than the administrator allows."""
    limits, most = runtime().limits_default, runtime().limits_max
    if options.memory_limit is not None:
        wanted = MEMORY_BYTES[options.memory_limit]
        _check("memory_limit", wanted, most.memory_bytes, size_text(most.memory_bytes))
        limits = dataclasses.replace(limits, memory_bytes=wanted)
    if options.cpus is not None:
        _check("cpus", options.cpus, most.cpus, f"{most.cpus:g}")
        limits = dataclasses.replace(limits, cpus=options.cpus)
    if options.disk_gb is not None:
        wanted = round(options.disk_gb * GIB)
        _check("disk_gb", wanted, most.disk_bytes, size_text(most.disk_bytes))
        limits = dataclasses.replace(limits, disk_bytes=wanted)
    return limits


def _check(param: str, wanted: float, most: float, shown: str) -> None:
    if wanted > most:
        message = f"Invalid '{param}': at most {shown} may be asked for here."
        raise ApiError(400, message, param=param, code="above_maximum")


@operation(summary="List containers", query=ContainersQuery, returns=ContainerList)
async def container_list(call: Call[NoBody, ContainersQuery]) -> ContainerList:
    after = parse_id(CONTAINER, call.query.after or "")
    rows = selectors.container_rows(owner=call.user, name=call.query.name)
    page, has_more = await page_of_rows(rows, call.query, after)
    data = [container_resource(session) for session in page]
    return ContainerList.of(data, has_more=has_more)


async def find_container(call: Call[Any, Any], container_id: str) -> Session:
    """Raises: ApiError."""
    session_id = parse_id(CONTAINER, container_id)
    try:
        if session_id is not None:
            return await selectors.session_get(user=call.user, session_id=session_id)
    except NotFoundError:
        pass
    raise not_found(f"Container with id '{container_id}' not found.")


@operation(summary="One container", returns=Container)
async def container_get(call: Call[NoBody, NoQuery], container_id: str) -> Container:
    """Counts as use: the time until it is suspended begins anew."""
    session = await find_container(call, container_id)
    await services.session_touch(session=session)
    return container_resource(session)


@operation(summary="Delete a container and its files", returns=Deleted)
async def container_delete(call: Call[NoBody, NoQuery], container_id: str) -> Deleted:
    session = await find_container(call, container_id)
    await services.session_delete(session=session)
    return Deleted(id=format_id(CONTAINER, session.id), object="container.deleted")
