"""Names of things in the API: a prefix that tells the kind, and the number in hexadecimal."""

import re
import uuid

CONTAINER = "cntr_"
CONTAINER_FILE = "cfile_"
FILE = "file-"
CONVERSATION = "conv_"
SKILL = "skill_"
SKILL_VERSION = "skillver_"

_NUMBER = re.compile(r"[0-9a-f]{32}")


def format_id(prefix: str, number: uuid.UUID) -> str:
    return prefix + number.hex


def parse_id(prefix: str, text: str) -> uuid.UUID | None:
    """None for what cannot be the name of such a thing."""
    number = text.removeprefix(prefix)
    if number == text or not _NUMBER.fullmatch(number):
        return None
    return uuid.UUID(number)
