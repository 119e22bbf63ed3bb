"""Refusals of what was sent, in the words the API uses: which parameter, and what is wrong."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

from django.http import QueryDict
from pydantic import BaseModel, ValidationError

from sessions.api.errors import ApiError

Model = TypeVar("Model", bound=BaseModel)

MAX_DEPTH = 100
_JSON_NAMES = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    type(None): "null",
}
_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "int_parsing": "an integer",
    "float_type": "a number",
    "bool_type": "a boolean",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_SENTENCES = {
    "missing": ("Missing required parameter: '{param}'.", "missing_required_parameter"),
    "extra_forbidden": ("Unknown parameter: '{param}'.", "unknown_parameter"),
    "literal_error": ("Invalid value: {given!r}. Expected {expected}.", "invalid_value"),
    "union_tag_invalid": (
        "Invalid value of '{param}': type {tag!r}. Expected one of {expected_tags}.",
        "invalid_value",
    ),
    "union_tag_not_found": (
        "Missing required parameter: 'type' of '{param}'.",
        "missing_required_parameter",
    ),
    "less_than_equal": (
        "Invalid '{param}': {given} is above the maximum of {le}.",
        "integer_above_max_value",
    ),
    "greater_than_equal": (
        "Invalid '{param}': {given} is below the minimum of {ge}.",
        "integer_below_min_value",
    ),
    "greater_than": (
        "Invalid '{param}': {given} is not above {gt}.",
        "integer_below_min_value",
    ),
    "string_too_long": (
        "Invalid '{param}': {length} characters, at most {max_length} are taken.",
        "string_above_max_length",
    ),
    "string_too_short": (
        "Invalid '{param}': {length} characters, at least {min_length} are needed.",
        "string_below_min_length",
    ),
    "too_long": (
        "Invalid '{param}': {length} entries, at most {max_length} are taken.",
        "array_above_max_length",
    ),
    "too_short": (
        "Invalid '{param}': {length} entries, at least {min_length} are needed.",
        "array_below_min_length",
    ),
}


def parsed_json(body: bytes) -> Any:
    """An empty body is an empty object. Raises: ApiError."""
    if not body.strip():
        return {}
    try:
        value = _storable(json.loads(body, parse_constant=_no_number))
    except (ValueError, RecursionError) as error:
        raise ApiError(
            400,
            "The JSON body of the request could not be parsed.",
        ) from error
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _storable(value: Any, depth: int = 0) -> Any:
    """Without what no database takes: NUL and half characters. Raises: ValueError for what lies too
    deep."""
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_storable(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {
            _storable(key, depth + 1): _storable(item, depth + 1) for key, item in value.items()
        }
    return value


def query_of(sent: QueryDict, repeated: Collection[str]) -> dict[str, Any]:
    """Of a parameter that was sent several times the last, or a list of all where it is one that
    may be."""
    values: dict[str, Any] = {}
    for name in sent:
        short = name.removesuffix("[]")
        if short in repeated:
            values[short] = [*values.get(short, ()), *sent.getlist(name)]
        else:
            values[name] = sent[name]
    return values


def validated(model: type[Model], value: Any) -> Model:
    """Raises: ApiError for one thing that is wrong."""
    if not isinstance(value, Mapping):
        raise ApiError(400, f"The body is {_JSON_NAMES[type(value)]}; an object is expected.")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _refusal(error, value) from error


def _refusal(error: ValidationError, value: Any) -> ApiError:
    """Of several, the one that lies deepest: where a field may be of several kinds, that is in
    the kind that was meant."""
    found = [
        (_param(one["loc"], value, is_missing=one["type"] == "missing"), one)
        for one in error.errors(include_url=False)
    ]
    param, first = max(found, key=lambda pair: pair[0].count(".") + pair[0].count("["))
    message, code = _words(first["type"], param, first.get("input"), first.get("ctx") or {})
    return ApiError(400, message or f"Invalid '{param}': {first['msg']}.", param=param, code=code)


def _param(location: Sequence[int | str], value: Any, *, is_missing: bool) -> str:
    """`tools[0].environment.name`. Pydantic names the chosen kind of a union as well, which is no
    part of what was sent."""
    text = ""
    for index, step in enumerate(location):
        is_absent = is_missing and index == len(location) - 1
        if isinstance(step, int) and isinstance(value, list) and step < len(value):
            text, value = f"{text}[{step}]", value[step]
        elif is_absent or (isinstance(value, Mapping) and step in value):
            text = f"{text}.{step}" if text else str(step)
            value = value.get(step) if isinstance(value, Mapping) else None
    return text


def _words(kind: str, param: str, given: Any, facts: Mapping[str, Any]) -> tuple[str, str]:
    """The sentence, empty where Pydantic's own has to do, and the code."""
    if kind.startswith("union_tag") and not isinstance(given, Mapping):
        kind = "model_type"
    if kind in _EXPECTED:
        got = _JSON_NAMES.get(type(given), "something else")
        sentence = f"expected {_EXPECTED[kind]}, but got {got} instead."
        return f"Invalid type for '{param}': {sentence}", "invalid_type"
    if kind not in _SENTENCES:
        return "", "invalid_value"
    sentence, code = _SENTENCES[kind]
    length = len(given) if hasattr(given, "__len__") else 0
    return sentence.format(param=param, given=given, length=length, **facts), code
