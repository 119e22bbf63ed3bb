"""Skills that come with a request for a response."""

from typing import Any

from sessions.api.container_skills import chosen_skills
from sessions.api.response_files import CreateCall
from sessions.api.responses import AutoContainer, CreateResponse, LocalEnvironment, ShellTool
from sessions.models import Session
from sessions.services import NewSession, NewSkill


async def skills_of(call: CreateCall, session: Session | NewSession) -> list[NewSkill]:
    """Of the tool, for the container: one that goes on in a container is given those it does not
    have. Raises: ApiError, InvalidInputError."""
    for index, tool in enumerate(call.body.tools or ()):
        where = tool.environment if isinstance(tool, ShellTool) else None
        if isinstance(where, AutoContainer):
            return await chosen_skills(
                call,
                where.skills,
                param=f"tools[{index}].environment.skills",
                session=session if isinstance(session, Session) else None,
            )
    return []


def local_skills(body: CreateResponse) -> list[dict[str, Any]]:
    """Those that the program has itself, where it runs the commands."""
    for tool in body.tools or ():
        where = tool.environment if isinstance(tool, ShellTool) else None
        if isinstance(where, LocalEnvironment):
            return [skill.model_dump() for skill in where.skills or ()]
    return []
