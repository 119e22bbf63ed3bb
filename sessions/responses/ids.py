"""Names of things in the API: a prefix that tells the kind, and the number in hexadecimal."""

import re
import uuid

RESPONSE = "resp_"
CONTAINER = "cntr_"
CONTAINER_FILE = "cfile_"
FILE = "file-"
CONVERSATION = "conv_"
SKILL = "skill_"
SKILL_VERSION = "skillver_"
VECTOR_STORE = "vs_"
VECTOR_STORE_BATCH = "vsfb_"

_NUMBER = re.compile(r"[0-9a-f]{32}")


def format_id(prefix: str, number: uuid.UUID) -> str:
    return prefix + number.hex


def parse_id(prefix: str, text: str) -> uuid.UUID | None:
    """None for what cannot be the name of such a thing."""
    number = text.removeprefix(prefix)
    if number == text or not _NUMBER.fullmatch(number):
        return None
    return uuid.UUID(number)


ITEM_PREFIXES = {
    "message": "msg_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "shell_call": "sh_",
    "shell_call_output": "sho_",
    "code_interpreter_call": "ci_",
    "apply_patch_call": "apc_",
    "apply_patch_call_output": "apco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
    "tool_search_call": "tsc_",
    "tool_search_output": "tso_",
    "file_search_call": "fs_",
    "reasoning": "rs_",
    "compaction": "cmp_",
}


def item_id(kind: str, number: uuid.UUID) -> str:
    """Name of an item of that kind in a conversation or a response."""
    return ITEM_PREFIXES[kind] + number.hex


def own_item_id(kind: str, session_id: uuid.UUID, number: uuid.UUID) -> str:
    """Name of an item that came of a session's turn, and tells which session that was."""
    return ITEM_PREFIXES[kind] + session_id.hex[:16] + number.hex[:16]


def session_span(name: str) -> tuple[uuid.UUID, uuid.UUID] | None:
    """Within which the id of the session lies that `own_item_id` made the name for, if it did."""
    _, _, number = name.partition("_")
    if not _NUMBER.fullmatch(number):
        return None
    return uuid.UUID(number[:16] + "0" * 16), uuid.UUID(number[:16] + "f" * 16)
