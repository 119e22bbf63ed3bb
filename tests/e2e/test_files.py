"""The Files tab: look at, bring in, change."""

import base64
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.session_page import WAIT, create_session, let_go, script

PNG = base64.b64encode(
    base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGP4z8CAB+GTG8HSALfKY52fTcuY"
        "AAAAAElFTkSuQmCC"
    )
).decode()
MAKE_FILES = f"""
printf 'name,count\\n"two words",2\\nplain,3\\n' > table.csv
printf '# Heading\\n\\nsome **bold** words\\n\\n- one\\n- two\\n' > doc.md
printf 'def hello():\\n    return "hi"\\n' > code.py
head -c 100000 /dev/zero > zeros.bin
echo {PNG} | base64 -d > square.png
mkdir -p folder; echo inside > folder/inner.txt
truncate -s 5G sparse.bin
: > empty.txt
echo made
"""


def test_each_kind_is_shown_as_what_it_is(page: Page) -> None:
    session = create_session(page, script(MAKE_FILES))
    session.wait_until_done()
    session.open_files()
    viewer = session.viewer

    session.entry("table.csv").click()
    expect(viewer.get_by_role("columnheader", name="count")).to_be_visible()
    expect(viewer.get_by_role("cell", name="two words")).to_be_visible()
    session.entry("doc.md").click()
    expect(viewer.get_by_role("heading", name="Heading")).to_be_visible()
    expect(viewer.locator("strong")).to_have_text("bold")
    session.entry("code.py").click()
    expect(viewer.locator(".file-code")).to_contain_text('return "hi"')
    assert viewer.locator(".file-code span").count() > 2, "no highlighting"
    session.entry("square.png").click()
    expect(viewer.get_by_role("img", name="square.png")).to_be_visible()
    width = "img => img.decode().then(() => img.naturalWidth)"
    assert viewer.get_by_role("img", name="square.png").evaluate(width) == 10
    session.entry("zeros.bin").click()
    expect(viewer.locator(".file-hex-cells")).to_contain_text("00 00 00 00")
    session.entry("sparse.bin").click()
    expect(viewer.locator(".file-hex-cells")).to_contain_text("00 00 00 00")
    session.entry("empty.txt").click()
    expect(viewer).to_contain_text("The file is empty")


def test_upload_rename_delete_and_new_folder(page: Page, tmp_path: Path) -> None:
    session = create_session(page, script(MAKE_FILES))
    session.wait_until_done()
    session.open_files()
    brought = tmp_path / "brought in.txt"
    brought.write_text("from outside\n")
    page.get_by_label("Files to upload").last.set_input_files(brought)
    expect(session.entry("brought in.txt")).to_be_visible()

    session.choose("brought in.txt", "Rename")
    dialog = page.get_by_role("dialog", name="Rename")
    dialog.get_by_role("textbox", name="Name").fill("renamed.txt")
    dialog.get_by_role("button", name="Rename").click()
    expect(session.entry("renamed.txt")).to_be_visible()
    expect(session.entry("brought in.txt")).to_have_count(0)

    page.get_by_role("button", name="New folder").click()
    dialog = page.get_by_role("dialog", name="New folder")
    dialog.get_by_role("textbox", name="Name").fill("fresh")
    dialog.get_by_role("button", name="Create").click()
    expect(session.entry("fresh")).to_be_visible()

    session.choose("folder", "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(session.entry("folder")).to_have_count(0)

    session.send(script("cat renamed.txt; ls"))
    expect(session.cards).to_have_count(2)
    session.wait_until_done()
    listed = session.terminal_text().split("cat renamed.txt", 1)[1]
    assert "from outside" in listed
    assert "fresh" in listed
    assert "folder" not in listed


def test_tree_follows_the_agent_while_it_works(page: Page) -> None:
    session = create_session(
        page, script(f"touch first.txt; echo first-there; {WAIT}; touch second.txt; {WAIT}")
    )
    session.wait_for_terminal("first-there")
    session.open_files()
    expect(session.entry("first.txt")).to_be_visible()
    let_go(session)
    expect(session.entry("second.txt")).to_be_visible()
    expect(session.card(0)).to_have_attribute("data-state", "running")
    let_go(session)
    session.wait_until_done()


def test_files_that_come_with_the_task_are_there(page: Page, tmp_path: Path) -> None:
    given = tmp_path / "given.txt"
    given.write_text("given with the task\n")
    page.locator("#files").set_input_files(given)
    expect(page.get_by_role("list", name="Files to upload")).to_contain_text("given.txt")
    session = create_session(page, script("cat given.txt"))
    session.wait_until_done()
    assert "given with the task" in session.terminal_text()
