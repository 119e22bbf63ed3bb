"""The `python` tool: code in an interpreter that stays, in the words of the Responses API's code
interpreter."""

import asyncio
import logging
from collections.abc import Sequence

from typing_extensions import override

from sessions.agent.tools.base import Tool, ToolContext, ToolError
from sessions.agent.tools.execution import Command, Launch, discard, run_command
from sessions.agent.tools.python_kernel import NoKernelError, PythonKernel
from sessions.errors import ContainerLostError, SandboxError
from sessions.providers.base import PYTHON, Item, ToolCall, ToolResultItem, ToolSpec
from sessions.providers.tool_arguments import INVALID
from sessions.sandbox.base import Sandbox

logger = logging.getLogger(__name__)

MAX_CODE_BYTES = 120 * 1024
"""The kernel takes 128 KiB for each variable of a command's environment."""
SETTLE_S = 15.0
_CLEAN = frozenset({"exit", "signal", "container_lost"})
"""Endings after which nothing of the code runs but what it left running on purpose."""

SPEC = ToolSpec(
    name=PYTHON,
    description=(
        "Run Python code in the container. The interpreter stays: variables, imports and the "
        "current folder carry over from call to call. The value of a last expression is shown, "
        "as are figures of matplotlib. Calls run one after the other."
    ),
    parameters={
        "type": "object",
        "properties": {"code": {"type": "string", "description": "The code to run."}},
        "required": ["code"],
        "additionalProperties": False,
    },
)


class PythonTool(Tool):
    """For one turn. `is_known` tells whether code of an earlier turn may be relied on."""

    def __init__(self, *, is_known: bool) -> None:
        self._is_known = is_known
        self._kernel = PythonKernel()
        self._in_turn = asyncio.Lock()

    @property
    @override
    def spec(self) -> ToolSpec:
        return SPEC

    @override
    async def run(self, call: ToolCall, context: ToolContext) -> ToolResultItem:
        code = code_of(call)
        call_id = f"{call.tool_call_id}.0"
        async with self._in_turn:
            self._kernel.setup = context.setup
            recorded = context.recorded.get(call_id)
            if recorded is None and context.stop.is_set:
                raise ToolError("Stopped before it was run.")
            if recorded is None:
                _, container_id = await context.connect()
            else:
                container_id = recorded.container_id
            command = Command(
                call_id=call_id,
                tool_call_id=call.tool_call_id,
                index=0,
                tool=call.name,
                text=code,
                timeout_s=context.limits.command_timeout_s,
                launch=lambda sandbox, shell: self._launch(sandbox, shell, call_id, code),
            )
            result = await run_command(command, context)
            self._is_known = True
            if result.ending["kind"] not in _CLEAN:
                await self._settle(context, container_id, call_id)
            images = await self._shown(context, container_id, call_id)
        return ToolResultItem(call.tool_call_id, call.name, commands=[result], images=images)

    async def _launch(self, sandbox: Sandbox, shell: str, call_id: str, code: str) -> Launch:
        try:
            await self._kernel.ensure(sandbox, shell)
        except NoKernelError as error:
            return Launch((shell, "-c", 'echo "$0" >&2; exit 127', str(error)))
        return Launch(*self._kernel.client(call_id, code, is_known=self._is_known))

    async def _settle(self, context: ToolContext, container_id: str, call_id: str) -> None:
        """What a Stop or the time limit ends is over before the call is; with its container, where
        nothing else helps."""
        try:
            async with asyncio.timeout(SETTLE_S):
                sandbox = await context.reconnect(container_id)
                await self._kernel.settle(sandbox, await context.find_shell(), call_id)
        except (ContainerLostError, NoKernelError):
            return
        except (SandboxError, TimeoutError) as error:
            logger.warning("call %s: the interpreter did not settle: %s", call_id, error)
            await discard(context, "Its interpreter did not end code in time.")

    async def _shown(self, context: ToolContext, container_id: str, call_id: str) -> list[str]:
        try:
            async with asyncio.timeout(SETTLE_S):
                sandbox = await context.reconnect(container_id)
                return await self._kernel.shown(sandbox, await context.find_shell(), call_id)
        except (SandboxError, NoKernelError, TimeoutError) as error:
            logger.info("call %s: its pictures were not to be had: %s", call_id, error)
            return []


def code_of(call: ToolCall) -> str:
    """Raises: ToolError."""
    code = call.arguments.get("code")
    if code is None:
        # Models that were taught the tool elsewhere write the code as it is, without JSON.
        code = call.arguments.get(INVALID)
        if isinstance(code, str) and code.lstrip().startswith("{"):
            raise ToolError("The arguments are not valid JSON. Send them again.")
    if not isinstance(code, str) or not code.strip():
        raise ToolError('Give the code as {"code": "..."}.')
    if "\0" in code:
        raise ToolError("Code cannot hold a NUL character.")
    if len(code.encode("utf-8", "replace")) > MAX_CODE_BYTES:
        raise ToolError("The code is too long. Write it to a file in pieces and run that.")
    return code.encode("utf-8", "replace").decode()


def has_python(items: Sequence[Item]) -> bool:
    """Whether code was run before."""
    return any(isinstance(item, ToolCall) and item.name == PYTHON for item in items)
