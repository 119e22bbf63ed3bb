"""What a turn is worked on with: for a person's message, and for a response of a program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sessions.agent.compaction import Compacting
from sessions.agent.limits import TurnLimits
from sessions.agent.loop import TurnState
from sessions.agent.prompts import instructions, place
from sessions.agent.skills import SkillOnOffer
from sessions.agent.tools.base import Tool
from sessions.agent.tools.file_search import FILE_SEARCH, FileSearchTool
from sessions.agent.tools.python import PythonTool, has_python
from sessions.agent.tools.run_file import RunFileTool
from sessions.agent.tools.shell import SPEC as SHELL_SPEC
from sessions.agent.tools.shell import ShellTool
from sessions.models import ApiResponse, Session, Turn
from sessions.providers.base import PYTHON, Item, ModelOptions, Provider, ToolSpec
from sessions.providers.patches import APPLY_PATCH
from sessions.providers.patches import SPEC as PATCH_SPEC
from sessions.responses.context import items_before
from sessions.responses.model_items import model_items
from sessions.responses.namespaces import NAMESPACE, tools_apart
from sessions.responses.resource import about
from sessions.responses.sealed import seal, unseal
from sessions.runtime.conversation import turn_state
from sessions.runtime.file_search import file_search_tool
from sessions.runtime.skills import skills_of, with_skills
from sessions.sandbox.limits import Limits

CODE_INTERPRETER = "code_interpreter"
_INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """`tools` run here, those of `needs_container` in the container."""

    instructions: str
    tools: Sequence[Tool]
    callers_tools: Sequence[ToolSpec]
    state: TurnState
    limits: TurnLimits
    options: ModelOptions
    compacting: Compacting | None
    cites_files: bool = False
    """Whether answers say which files of the container they name."""
    needs_container: bool = True


async def model_of(session: Session, turn: Turn) -> tuple[str, str]:
    """Kind of the provider and name of the model that the turn is for."""
    response = await ApiResponse.objects.filter(turn=turn).afirst()
    chosen = response or session
    return chosen.provider, chosen.model


async def plan_turn(session: Session, turn: Turn, provider: Provider) -> TurnPlan:
    rows = ApiResponse.objects.select_related("previous", "conversation", "owner")
    response = await rows.filter(turn=turn).afirst()
    limits = Limits.from_json(session.limits)
    if response is not None:
        return await _plan_response(response, turn, provider, limits)
    return TurnPlan(
        instructions=instructions(limits),
        tools=_tools(provider),
        callers_tools=(),
        state=with_skills(
            await turn_state(session.id, turn.number, unseal=partial(unseal, session.owner_id)),
            await skills_of(session.id),
        ),
        limits=TurnLimits(limits.max_steps, limits.max_tokens),
        options=ModelOptions(),
        compacting=Compacting(partial(seal, session.owner_id)),
    )


def _tools(provider: Provider) -> list[Tool]:
    return [ShellTool(), RunFileTool()] if provider.is_tool_markdown else [ShellTool()]


async def _plan_response(
    response: ApiResponse, turn: Turn, provider: Provider, limits: Limits
) -> TurnPlan:
    asked = response.request
    in_container = has_container(response)
    before = await items_before(response.previous, response.conversation)
    opened = partial(unseal, response.owner_id)
    items = model_items([*before, *response.input], has_container=in_container, unseal=opened)
    told, tools, callers_tools = told_and_tools(response, provider, limits, items)
    works_in_container = any(not isinstance(tool, FileSearchTool) for tool in tools)
    state = await turn_state(turn.session_id, turn.number, unseal=opened, goes_on_from=items)
    compaction = asked.get("compaction")
    return TurnPlan(
        instructions=told,
        tools=tools,
        callers_tools=callers_tools,
        state=with_skills(state, await _skills(turn, asked, has_container=in_container)),
        limits=TurnLimits(
            limits.max_steps,
            limits.max_tokens,
            max_output_tokens=asked["max_output_tokens"],
            max_calls=asked["max_tool_calls"],
        ),
        options=model_options(asked),
        compacting=Compacting(partial(seal, response.owner_id), **compaction)
        if compaction
        else None,
        needs_container=works_in_container,
        cites_files=works_in_container,
    )


async def _skills(turn: Turn, asked: dict[str, Any], *, has_container: bool) -> list[SkillOnOffer]:
    """Where commands run: of the container, or those that the program has itself."""
    if has_container:
        return await skills_of(turn.session_id)
    return [SkillOnOffer(**skill) for skill in asked.get("local_skills", ())]


def has_container(response: ApiResponse) -> bool:
    found = about(response, 0)
    return (found.container_id or found.code_container_id) is not None


def told_and_tools(
    response: ApiResponse, provider: Provider, limits: Limits, items: Sequence[Item]
) -> tuple[str, list[Tool], list[ToolSpec]]:
    """Instructions, tools of ours and tools of the caller for what was asked behind `items`."""
    asked, about_it = response.request, about(response, 0)
    has_shell = about_it.container_id is not None
    has_code = about_it.code_container_id is not None
    every = [*tools_apart(asked["tools"]), *asked["found"]]
    tools = _allowed(every, asked["tool_choice"])
    told = []
    if has_shell or has_code:
        told.append(place(limits, has_shell=has_shell, has_python=has_code))
    if asked["instructions"]:
        told.append(asked["instructions"])
    ours = _tools(provider) if has_shell and _has(tools, "shell") else []
    if has_code and _has(tools, CODE_INTERPRETER):
        ours.append(PythonTool(is_known=has_python(items)))
    ours += [file_search_tool(response, one) for one in tools if one["type"] == FILE_SEARCH]
    return "\n\n".join(told), ours, _callers_tools(tools, about_it.callers_tools)


def _callers_tools(
    tools: list[dict[str, Any]], callers_tools: Mapping[str, str]
) -> list[ToolSpec]:
    ours = ("shell", CODE_INTERPRETER, FILE_SEARCH)
    found = [_spec(tool) for tool in tools if tool["type"] not in ours]
    is_theirs = SHELL_SPEC.name in callers_tools and _has(tools, "shell")
    return [*found, SHELL_SPEC] if is_theirs else found


def _spec(tool: dict[str, Any]) -> ToolSpec:
    given = {key: value for key, value in tool.items() if value is not None and key != NAMESPACE}
    if tool["type"] == APPLY_PATCH:
        return PATCH_SPEC
    if tool["type"] == "custom":
        return ToolSpec(
            name=tool["name"],
            description=_with_grammar(given),
            parameters=_INPUT,
            native=given,
        )
    return ToolSpec(
        name=tool.get("name", tool["type"]),
        description=tool.get("description") or "",
        parameters=tool.get("parameters") or {"type": "object", "properties": {}},
        is_strict=bool(tool.get("strict")),
        native=given if tool["type"] == "tool_search" else None,
    )


def _with_grammar(tool: dict[str, Any]) -> str:
    """For endpoints that know functions only: what a free text has to look like."""
    wanted = tool.get("format") or {}
    told = tool.get("description", "")
    if wanted.get("type") != "grammar":
        return str(told)
    return f"{told}\n\nThe input follows this {wanted['syntax']} grammar:\n{wanted['definition']}"


def _has(tools: list[dict[str, Any]], kind: str) -> bool:
    return any(tool["type"] == kind for tool in tools)


def _allowed(tools: list[dict[str, Any]], choice: str | dict[str, Any]) -> list[dict[str, Any]]:
    """Those of them that the model may use."""
    if choice == "none":
        return []
    if not isinstance(choice, dict) or choice["type"] != "allowed_tools":
        return tools
    named = {(one["type"], one.get("name")) for one in choice["tools"]}
    return [tool for tool in tools if (tool["type"], tool.get("name")) in named]


def model_options(asked: dict[str, Any]) -> ModelOptions:
    """What was asked for, not what it is by default: endpoints differ in what they take."""
    given = set(asked["given"])

    def value(name: str) -> Any:
        return asked[name] if name in given else None

    return ModelOptions(
        instructions=asked["instructions"],
        temperature=value("temperature"),
        top_p=value("top_p"),
        parallel_tool_calls=value("parallel_tool_calls") if asked["tools"] else None,
        tool_choice=_choice(value("tool_choice")) if asked["tools"] else None,
        text=asked["sent_text"],
        reasoning=value("reasoning"),
        truncation=value("truncation"),
    )


def _choice(choice: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        return str(choice["mode"])
    if isinstance(choice, dict) and choice["type"] == CODE_INTERPRETER:
        return {"type": "function", "name": PYTHON}
    if isinstance(choice, dict) and choice["type"] == FILE_SEARCH:
        return {"type": "function", "name": FILE_SEARCH}  # as which the endpoint has it
    return choice
