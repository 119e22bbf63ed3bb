"""What a model that works in Markdown asks of a code interpreter."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sessions.agent.tools.python import SPEC
from sessions.agent.tools.shell import SPEC as SHELL
from sessions.providers.base import ItemDone, ModelRequest, TextDelta, ToolCall, UserMessage
from sessions.providers.fences import Block
from sessions.providers.markdown import tool_arguments
from sessions.providers.markdown_python import wants_code, with_blocks, with_code

BLOCKS = {
    "code": (Block("python", "print('hi')\n"), "hi\n"),
    "a file": (Block("python", "# a.py\nprint('a', open(__file__).read().count('#'))\n"), "a 2\n"),
    "in a folder": (Block("python", "# b/c.py\nprint('c')\n"), "c\n"),
    "commands": (Block("bash", "echo 'one' \"two\"\necho $((1 + 2))\n"), "one two\n3\n"),
    "two files": (Block("python", "# d.py\nx = 1\n\n# e.py\nimport d\nprint(d.x)\n"), "1\n"),
}


def call_of(block: Block) -> ToolCall:
    found = tool_arguments(block)
    assert found is not None
    return ToolCall("call_1", *found)


@pytest.mark.parametrize("case", BLOCKS)
def test_each_kind_of_block_becomes_code_that_does_the_same(case: str, tmp_path: Path) -> None:
    block, expected = BLOCKS[case]
    made: Any = with_code(ItemDone(call_of(block)))
    assert made.item.name == "python"
    code = made.item.arguments["code"]
    argv = [sys.executable, "-c", code]
    ran = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == expected


@pytest.mark.parametrize("case", BLOCKS)
def test_the_model_sees_its_block_again(case: str) -> None:
    call = call_of(BLOCKS[case][0])
    made: Any = with_code(ItemDone(call))
    (seen,) = with_blocks(ModelRequest("", [made.item], [SPEC])).items
    assert isinstance(seen, ToolCall)
    assert (seen.name, seen.arguments) == (call.name, call.arguments)


def test_code_that_a_program_sends_back_reads_as_a_block() -> None:
    sent = ToolCall("ci_1", "python", {"code": "print(1)"})
    said = UserMessage("Go on")
    seen, same = with_blocks(ModelRequest("", [sent, said], [SPEC])).items
    assert isinstance(seen, ToolCall)
    assert (seen.name, seen.arguments["content"]) == ("run_file", "print(1)")
    assert same is said


def test_with_a_shell_blocks_stay_what_they_are() -> None:
    assert wants_code(ModelRequest("", [], [SPEC]))
    assert not wants_code(ModelRequest("", [], [SPEC, SHELL]))
    assert with_code(TextDelta("x")) == TextDelta("x")
