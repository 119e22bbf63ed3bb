"""`/v1/containers`: the containers of the caller's sessions."""

from pydantic import Field

from sessions import selectors, services
from sessions.api.container_contents import put_stored_file
from sessions.api.container_skills import chosen_skills
from sessions.api.containers import (
    Container,
    CreateContainer,
    allowed_image,
    container_resource,
    limits_of,
    setup_of,
)
from sessions.api.endpoint import Call, operation
from sessions.api.lookups import find_container, find_file
from sessions.api.paging import page_of_rows
from sessions.api.schema import Deleted, ListPage, NoBody, NoQuery, PageQuery
from sessions.responses.ids import CONTAINER, format_id, parse_id
from sessions.runtime.wiring import runtime


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
    skills = await chosen_skills(call, body.skills, param="skills")
    choice = process.default_choice()
    expires_after_s = process.config.expires_after_s
    session = await services.container_create(
        owner=call.user,
        name=body.name,
        provider=choice.provider,
        model=choice.model,
        image=await allowed_image(body.image),
        limits=limits_of(body),
        setup=setup_of(body),
        expires_after_s=body.expires_after.minutes * 60 if body.expires_after else expires_after_s,
        skills=skills,
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
    return container_resource(await find_container(call, format_id(CONTAINER, session.id)))


@operation(summary="List containers", query=ContainersQuery, returns=ContainerList)
async def container_list(call: Call[NoBody, ContainersQuery]) -> ContainerList:
    after = parse_id(CONTAINER, call.query.after or "")
    rows = selectors.container_rows(owner=call.user, name=call.query.name)
    page, has_more = await page_of_rows(rows, call.query, after)
    data = [container_resource(session) for session in page]
    return ContainerList.of(data, has_more=has_more)


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
