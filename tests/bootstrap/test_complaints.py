"""Every test that docs/complaints.md names is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(
    r"^\| (?P<complaint>[^|]+) \| `(?P<file>tests/[^:`]+)::(?P<test>test_\w+)` \|$", re.MULTILINE
)
ROWS = ROW.findall((ROOT / "docs" / "complaints.md").read_text())


def test_there_are_fourteen() -> None:
    assert len(ROWS) == 14


@pytest.mark.parametrize(("complaint", "file", "test"), ROWS)
def test_the_named_test_exists(complaint: str, file: str, test: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert test in {node.name for node in ast.walk(tree) if isinstance(node, functions)}
