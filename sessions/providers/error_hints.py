"""What a well-known error of a program means, in words a small model can act on."""

import re
import sys

_MODULES = frozenset(name for name in sys.stdlib_module_names if name[0] != "_")
_HINTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"FileNotFoundError: .*'([^']{1,100})'"),
        "{0} does not exist yet. Make it first, or let the program start with empty data when it "
        "is missing.",
    ),
    (
        re.compile(r"ModuleNotFoundError: No module named '([^']{1,100})'"),
        "There is no module {0}. Use the standard library only; for a file of your own, save that "
        "file first.",
    ),
    (
        re.compile(rf"NameError: name '({'|'.join(sorted(_MODULES))})' is not defined"),
        "{0} is a module: add `import {0}` at the top, and keep all other imports.",
    ),
    (
        re.compile(rf"NameError: name '(?!(?:{'|'.join(sorted(_MODULES))})')([^']{{1,100}})' is"),
        "{0} must be defined or imported in the same file before it is used.",
    ),
    (
        re.compile(r"ImportError: cannot import name '([^']{1,100})'"),
        "{0} must be defined in the file it is imported from.",
    ),
    (
        re.compile(r"ValueError: (?:invalid literal|could not convert)[^\n]*?'([^'\n]{0,100})'"),
        "'{0}' is no number. If it is a header line, skip that line: for a csv.reader, call "
        "next(reader) before the loop.",
    ),
    (re.compile(r"EOFError"), "There is no keyboard: do not use input()."),
    (
        re.compile(r"AssertionError"),
        "A test failed. Either the code is wrong, or the value the test expects is: work out the "
        "right value, or let Python work it out.",
    ),
    (
        re.compile(r"JSONDecodeError"),
        "The JSON file is empty or broken. Let the program start with empty data then.",
    ),
    (
        re.compile(r"IndexError: list index out of range"),
        "If the program takes arguments, give them when you run it.",
    ),
    (
        re.compile(r"(\S{1,100}): (?:command )?not found"),
        "A bash block holds commands only, never their output. {0} is no command.",
    ),
)


_USAGE = re.compile(r"^usage:", re.IGNORECASE | re.MULTILINE)
_USAGE_HINT = "Give the program its arguments when you run it."


def hint_for(errors: str) -> str:
    """One sentence about the last known error in `errors`, empty when none is known."""
    found = [
        (match.start(), hint.format(*match.groups()))
        for pattern, hint in _HINTS
        for match in pattern.finditer(errors)
    ]
    if found:
        return max(found)[1]
    return _USAGE_HINT if _USAGE.search(errors) else ""
