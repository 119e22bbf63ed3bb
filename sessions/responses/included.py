"""What of an item is shown only to whoever asks for it with `include`."""

from collections.abc import Collection, Iterable
from typing import Any

CODE_OUTPUTS = "code_interpreter_call.outputs"
CODE_CALL = "code_interpreter_call"
SEARCH_RESULTS = "file_search_call.results"
SEARCH_CALL = "file_search_call"


def shown(item: dict[str, Any], include: Collection[str]) -> dict[str, Any]:
    """The item as it is kept has everything: the model is given it whenever it goes on."""
    if item.get("type") == CODE_CALL and CODE_OUTPUTS not in include:
        return {**item, "outputs": None}
    if item.get("type") == SEARCH_CALL and SEARCH_RESULTS not in include:
        return {**item, "results": None}
    return item


def all_shown(items: Iterable[dict[str, Any]], include: Collection[str]) -> list[dict[str, Any]]:
    return [shown(item, include) for item in items]
