"""The `apply_patch` tool: the model writes a change of one file, whoever asked for it applies it.

Endpoints of the Responses API know the tool. Others are offered a function of the same name, whose
arguments are the operation.
"""

from collections.abc import Mapping
from typing import Any

from sessions.providers.base import ToolSpec

APPLY_PATCH = "apply_patch"
MAX_DIFF_CHARS = 10_485_760
_NEEDS_DIFF = {"create_file": True, "update_file": True, "delete_file": False}

SPEC = ToolSpec(
    name=APPLY_PATCH,
    description=(
        "Create, update or delete one file. The diff of a file that is created is its content, "
        "each line behind a `+`. The diff of an update is made of parts: a line `@@` (with the "
        "class or function that the part is in, where the context alone is not unique), about "
        "three lines of context behind a space, lines that go behind a `-`, lines that come "
        "behind a `+`, and three lines of context again. Line numbers are not given."
    ),
    parameters={
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": list(_NEEDS_DIFF)},
            "path": {"type": "string", "description": "Relative to the folder of the project."},
            "diff": {"type": "string", "description": "Not for delete_file."},
        },
        "required": ["type", "path"],
        "additionalProperties": False,
    },
    native={"type": APPLY_PATCH},
    problem=lambda arguments: "" if operation_of(arguments) else _MENDING,
)
_MENDING = (
    'Give {"type": "create_file", "update_file" or "delete_file", "path": "...", "diff": "..."}; '
    "only delete_file has no diff."
)
"""What a model is told whose arguments are none of the three."""


def operation_of(arguments: Mapping[str, Any]) -> dict[str, str] | None:
    """As the Responses API has it; None for what a model made up instead."""
    kind, path, diff = arguments.get("type"), arguments.get("path"), arguments.get("diff")
    if not isinstance(kind, str) or kind not in _NEEDS_DIFF:
        return None
    if not isinstance(path, str) or not path:
        return None
    if not _NEEDS_DIFF[kind]:
        return {"type": kind, "path": path}
    if not isinstance(diff, str) or len(diff) > MAX_DIFF_CHARS:
        return None
    return {"type": kind, "path": path, "diff": diff}
