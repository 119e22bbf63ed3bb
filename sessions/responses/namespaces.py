"""Tools that a program groups under a name.

Most endpoints know functions only, each by one name: within a namespace that is
`NAMESPACE__FUNCTION`, and programs get the two apart again.
"""

from collections.abc import Iterable, Mapping
from typing import Any

Tool = Mapping[str, Any]
NAMESPACE = "namespace"
SEPARATOR = "__"


def name_within(namespace: str, name: str) -> str:
    """By which a model knows a function of a namespace."""
    return f"{namespace}{SEPARATOR}{name}"


def tools_apart(tools: Iterable[Tool]) -> list[dict[str, Any]]:
    """Those of namespaces in the place of these, by the names that a model knows; `namespace` says
    where each is from."""
    apart: list[dict[str, Any]] = []
    for tool in tools:
        if tool.get("type") != NAMESPACE:
            apart.append(dict(tool))
            continue
        space = str(tool["name"])
        apart += [
            {**one, "name": name_within(space, one["name"]), NAMESPACE: space}
            for one in tool["tools"]
        ]
    return apart


def names_apart(tools: Iterable[Tool]) -> dict[str, tuple[str, str]]:
    """Of `tools_apart`: namespace and name within it, by the name that a model knows."""
    return {
        tool["name"]: (tool[NAMESPACE], tool["name"].removeprefix(tool[NAMESPACE] + SEPARATOR))
        for tool in tools
        if NAMESPACE in tool
    }
