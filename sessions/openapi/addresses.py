"""The addresses that are served, as Django resolves them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern

from sessions.responses import ids

_PARAMETER = re.compile(r"<(?:(?P<kind>\w+):)?(?P<name>\w+)>")


@dataclass(frozen=True, slots=True)
class Address:
    path: str
    """With parameters in braces, below the root of the API."""
    parameters: tuple[str, ...]
    operations: Mapping[str, Any]
    """`sessions.api.endpoint.Operation` by method."""

    @property
    def words(self) -> list[str]:
        """The parts that are no parameters."""
        return [part for part in self.path.strip("/").split("/") if not part.startswith("{")]

    @property
    def ends_with_parameter(self) -> bool:
        return self.path.endswith("}")


def addresses(root: str) -> list[Address]:
    """Of all endpoints below `root`, a path such as `v1/`, in the order of their words."""
    found = [
        Address(
            path="/" + _PARAMETER.sub(r"{\g<name>}", route.removeprefix(root)),
            parameters=tuple(match["name"] for match in _PARAMETER.finditer(route)),
            operations=endpoint.operations,
        )
        for route, endpoint in _endpoints(get_resolver().url_patterns, "")
        if route.startswith(root)
    ]
    return sorted(found, key=lambda one: (one.words, one.path))


def _endpoints(
    patterns: Iterable[URLPattern | URLResolver], prefix: str
) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        if not isinstance(pattern.pattern, RoutePattern):
            continue  # what catches everything else
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _endpoints(pattern.url_patterns, route)
        elif (endpoint := getattr(pattern.callback, "endpoint", None)) is not None:
            yield route, endpoint


def operation_id(address: Address, method: str) -> str:
    """`createContainerFile`, `listModels`, `cancelResponse`."""
    words = address.words
    is_many = words[-1].endswith("s") and not address.ends_with_parameter
    match method:
        case "GET" if is_many:
            return "list" + _camel([*map(_singular, words[:-1]), words[-1]])
        case "GET":
            return "get" + _camel(map(_singular, words))
        case "POST" if address.ends_with_parameter:
            return "update" + _camel(map(_singular, words))
        case "POST" if not is_many and len(words) > 1:
            return words[-1] + _camel(map(_singular, words[:-1]))
        case "POST":
            return "create" + _camel(map(_singular, words))
        case _:
            return method.lower() + _camel(map(_singular, words))


def _camel(words: Iterable[str]) -> str:
    return "".join(part.capitalize() for word in words for part in word.split("_"))


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word.removesuffix("es") if word.endswith("ches") else word.removesuffix("s")


def id_pattern(address: Address, parameter: str) -> str | None:
    """What such an id looks like, where that is known."""
    if not parameter.endswith("_id"):
        return None
    own = parameter.removesuffix("_id").upper()
    above = [name.removesuffix("_id").upper() for name in address.parameters]
    for name in (*(f"{one}_{own}" for one in above if one != own), own):
        prefix = getattr(ids, name, None)
        if isinstance(prefix, str):
            return f"^{re.escape(prefix)}[0-9a-f]{{32}}$"
    return None
