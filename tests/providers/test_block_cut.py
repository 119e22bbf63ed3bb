"""The stream is cut behind the first block that can be run, wherever the pieces are split."""

import pytest

from sessions.providers.block_cut import BlockCut
from sessions.providers.fences import Block

REPLY = "I list.\n```bash\nls\n```\nOutput:\n```\na b c\n```\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_nothing_behind_the_block_is_passed_on(size: int) -> None:
    cut = BlockCut()
    passed = ""
    for start in range(0, len(REPLY), size):
        passed += cut.feed(REPLY[start : start + size])
        if cut.is_complete:
            break
    passed += cut.finish(was_cut_off=False)
    assert passed == cut.text == "I list.\n```bash\nls\n```\n"
    assert cut.block == Block("bash", "ls\n")


def test_a_block_that_is_not_to_be_run_does_not_cut() -> None:
    cut = BlockCut()
    cut.feed("It prints:\n```text\nhello\n```\nThat is all.")
    assert not cut.is_complete
    assert cut.finish(was_cut_off=False) == ""
    assert cut.text.endswith("That is all.")


def test_a_forgotten_fence_is_added_at_the_end() -> None:
    cut = BlockCut()
    cut.feed("```bash\nls")
    assert cut.finish(was_cut_off=False) == "\n```\n"
    assert cut.text == "```bash\nls\n```\n"
    assert cut.block is not None


def test_a_block_that_was_cut_off_does_not_run() -> None:
    cut = BlockCut()
    cut.feed("```bash\nrm -rf build/")
    cut.finish(was_cut_off=True)
    assert cut.block is None


def test_a_reply_that_begins_with_a_file_name_gets_its_fence() -> None:
    cut = BlockCut()
    passed = cut.feed("# a") + cut.feed(".py\nprint(1)\n") + cut.finish(was_cut_off=False)
    assert passed == cut.text == "```python\n# a.py\nprint(1)\n```\n"
    assert cut.block == Block("python", "# a.py\nprint(1)\n", is_closed=False)


def test_one_line_without_an_end_is_passed_on_whole() -> None:
    cut = BlockCut()
    assert cut.feed("All ") + cut.feed("done.") + cut.finish(was_cut_off=False) == "All done."
    assert cut.text == "All done."
