"""Conditions on the attributes of files, as the API takes them."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Attributes: TypeAlias = Mapping[str, str | float | bool]
Filter: TypeAlias = Mapping[str, Any]
"""`{"type": "eq", "key", "value"}`, or `{"type": "and" | "or", "filters"}`."""

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_MISSING = object()


def matches(condition: Filter, attributes: Attributes) -> bool:
    """An attribute that is not there equals nothing and has no order; true is no number."""
    match condition["type"]:
        case "and":
            return all(matches(one, attributes) for one in condition["filters"])
        case "or":
            return any(matches(one, attributes) for one in condition["filters"])
    given, wanted = attributes.get(condition["key"], _MISSING), condition["value"]
    match condition["type"]:
        case "eq":
            return _is_same(given, wanted)
        case "ne":
            return not _is_same(given, wanted)
        case "in":
            return any(_is_same(given, one) for one in wanted)
        case "nin":
            return not any(_is_same(given, one) for one in wanted)
        case kind:
            return _is_comparable(given, wanted) and _ORDERS[kind](given, wanted)


def _kind(value: object) -> type:
    if isinstance(value, bool):
        return bool
    return float if isinstance(value, int | float) else type(value)


def _is_same(one: object, other: object) -> bool:
    return _kind(one) is _kind(other) and one == other


def _is_comparable(one: object, other: object) -> bool:
    return _kind(one) is _kind(other) and _kind(one) in (float, str)
