"""Read the JSON arguments of a tool call as models really write them."""

import json
from typing import Any

INVALID = "_invalid"
"""Key of the raw text when it is not a JSON object; tools answer it with an error to the model."""


def parse_arguments(name: str, text: str) -> dict[str, Any]:
    """Never raises: `{"_invalid": text}` stands for what cannot be read."""
    try:
        value = json.loads(text or "{}", strict=False)
    except (ValueError, RecursionError):
        return {INVALID: text}
    if isinstance(value, str | list) and name == "shell":
        value = {"commands": value}
    if not isinstance(value, dict):
        return {INVALID: text}
    return _with_commands(value) if name == "shell" else value


def _with_commands(value: dict[str, Any]) -> dict[str, Any]:
    """`command` or a bare string for `commands` is clear enough not to bother the model."""
    commands = value.get("commands", value.get("command"))
    if isinstance(commands, str):
        commands = [commands]
    if commands is None:
        return value
    return {key: found for key, found in value.items() if key != "command"} | {
        "commands": commands
    }


def arguments_text(arguments: dict[str, Any]) -> str:
    """The inverse, for replay: the model sees again what it wrote."""
    if set(arguments) == {INVALID}:
        # Endpoints parse what is replayed, so that it has to be JSON.
        return json.dumps({"invalid_json": arguments[INVALID]}, ensure_ascii=False)
    return json.dumps(arguments, ensure_ascii=False)
