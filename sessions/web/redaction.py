"""Keeps what signs somebody in out of the log: Django logs the address of refused requests."""

import logging
import re

from typing_extensions import override

_LINK = re.compile(r"(/sign-in/link/)[^/\s]+")


class SignInTokens(logging.Filter):
    @override
    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if _LINK.search(message):
            record.msg, record.args = _LINK.sub(r"\1…", message), ()
        return True
