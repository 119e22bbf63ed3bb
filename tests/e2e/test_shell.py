"""A person's own shell in the agent's container, in a real browser."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.accounts import new_link
from tests.e2e.conftest import sign_in
from tests.e2e.session_page import SessionPage, create_session, script
from tests.e2e.shell_pane import ShellPane
from tests.serve.berth_client import BerthClient
from tests.serve.server_process import ServerProcess

PASTE_BYTES = 1024 * 1024
COLOUR = "printf '\\033[38;2;10;200;30mgreen\\033[0m\\n'"


@pytest.fixture
def session(page: Page) -> SessionPage:
    session = create_session(page, script("echo by-the-agent > /workspace/agent.txt"))
    session.wait_until_done()
    return session


@pytest.fixture
def shell(session: SessionPage) -> ShellPane:
    return ShellPane(session.page).open()


def test_it_is_in_the_agents_container_and_has_colours(shell: ShellPane) -> None:
    shell.run("cat agent.txt; id -un; echo $TERM $COLORTERM")
    shell.wait_for("by-the-agent")
    shell.wait_for("agent\n")
    shell.wait_for("xterm-256color truecolor")
    shell.run(COLOUR)
    shell.wait_for("\ngreen")
    style = shell.screen.get_by_text("green", exact=True).last.get_attribute("style") or ""
    assert "color" in style
    shell.run("echo ü→😀 | wc -c")
    shell.wait_for("ü→😀")
    shell.wait_for("\n10")


def test_full_screen_program_and_a_new_size(page: Page, shell: ShellPane) -> None:
    # In any image: Python is in both, vim only in the larger one.
    shell.run(
        "python3 -c 'import curses; curses.wrapper(lambda s: ("
        's.addstr(2, 4, f"size {s.getmaxyx()}"), s.getch(), s.clear(), '
        's.addstr(1, 1, "resized" if curses.is_term_resized(1, 1) else ""), s.getch()))\''
    )
    shell.wait_for("size (")
    page.set_viewport_size({"width": 1200, "height": 700})
    shell.wait_for("resized")
    shell.type("q")
    shell.run("stty size; echo ba''ck")
    shell.wait_for("\nback")
    assert "size (3" not in shell.text()
    rows = page.evaluate(
        "document.querySelectorAll('.shell-host:not([hidden]) .xterm-rows > div').length"
    )
    shell.wait_for(f"\n{rows} ")


def test_control_c_and_the_end(page: Page, shell: ShellPane) -> None:
    shell.run("sh -c 'echo up-$((1 + 1)); exec sleep 100'; echo not-yet")
    shell.wait_for("\nup-2")  # the job has the terminal
    page.keyboard.press("Control+c")
    shell.wait_for("^C")
    shell.run("exit 4")
    expect(shell.state).to_have_text("Ended: exit 4.")
    expect(page.locator(".shell-note").last).to_contain_text("Shell 1 ended: exit 4.")
    with page.expect_download() as waiting:
        shell.panel.get_by_role("button", name="Download").click()
    path = waiting.value.path()
    assert b"exit 4" in Path(path).read_bytes()
    shell.panel.get_by_role("button", name="New shell", exact=True).last.click()
    shell.wait_for_state("typing")
    expect(shell.chip(2)).to_be_visible()


def test_paste_of_a_megabyte_arrives_whole(shell: ShellPane) -> None:
    pasted = "".join(f"{i:06d} {'x' * 56}\n" for i in range(PASTE_BYTES // 64))
    shell.run(f"stty -echo; head -c {len(pasted)} | sha256sum; stty echo; echo al''l")
    shell.wait_for("al''l")
    shell.page.wait_for_timeout(500)
    shell.paste(pasted)
    shell.wait_for("\nall", timeout_s=60)
    assert hashlib.sha256(pasted.encode()).hexdigest() in shell.text()


def test_reload_keeps_the_screen_and_the_keyboard(page: Page, shell: ShellPane) -> None:
    shell.run("x=kept; seq 1 30")
    shell.wait_for("\n30\n")
    before = shell.text()
    page.reload()
    shell.wait_for_state("typing")
    shell.wait_for("\n30\n")
    assert shell.text() == before
    shell.run("echo still $x")
    shell.wait_for("\nstill kept")


def test_reload_in_a_full_screen_program_shows_it_again(page: Page, shell: ShellPane) -> None:
    program = (
        "import curses",
        "def main(s):",
        "  key = 0",
        "  while key != 113:",
        '    s.erase(); s.addstr(2, 4, "full-%d" % (40 + 2)); s.refresh(); key = s.getch()',
        "curses.wrapper(main)",
    )
    lines = " ".join(f"'{line}'" for line in program)
    shell.run(f"printf '%s\\n' {lines} > full.py; python3 full.py; echo ba''ck")
    shell.wait_for("full-42")
    page.reload()
    shell.wait_for_state("typing")
    shell.wait_for("full-42")
    assert "printf" not in shell.text(), "the line that started it is on the other screen"
    shell.type("q")
    shell.wait_for("\nback")
    shell.wait_for("printf")
    assert "full-42" not in shell.text()


def test_a_second_browser_watches_and_takes_over(
    page: Page,
    server: ServerProcess,
    session: SessionPage,
    new_context: Callable[..., BrowserContext],
) -> None:
    context = new_context(viewport={"width": 900, "height": 700})
    sign_in(context, BerthClient(server.url, new_link(server, "second", is_staff=True)))
    other_page = context.new_page()
    other_page.goto(page.url)
    expect(other_page.locator("#session")).to_have_attribute("data-caught-up", "true")
    shell = ShellPane(page).open()
    shell.run("echo for-both")
    other = ShellPane(other_page).show()
    other.wait_for_state("watching")
    other.wait_for("\nfor-both")
    expect(other.state).to_have_text("Watching. admin has the keyboard.")
    assert other.text() == shell.text()
    other.type("echo intruder")
    other.take_over.click()
    other.wait_for_state("typing")
    shell.wait_for_state("watching")
    expect(shell.state).to_have_text("Watching. second has the keyboard.")
    other.run("echo by-the-second")
    shell.wait_for("\nby-the-second")
    assert "intruder" not in shell.text()
    note = page.locator(".shell-note", has_text="second took over the keyboard of Shell 1.")
    expect(note).to_be_visible()
    other_page.close()
    shell.wait_for_state("free")


def test_ones_own_other_tab_is_no_stranger(page: Page, shell: ShellPane) -> None:
    other_page = page.context.new_page()
    other_page.goto(page.url)
    other = ShellPane(other_page)
    expect(other_page.locator("#session")).to_have_attribute("data-caught-up", "true")
    other.show()
    other.wait_for_state("watching")
    expect(other.state).to_have_text("You have the keyboard in another tab or window.")
    other.take_over.click()
    other.wait_for_state("typing")
    shell.wait_for_state("watching")


def test_stray_answers_of_a_terminal_are_not_typed(page: Page, shell: ShellPane) -> None:
    """A program asks the terminal who it is; a reload parses the question again."""
    shell.run("printf '\\033[c'; read -s -t 5 -d c answer; echo ${#answer} as''ked")
    shell.wait_for("\n6 asked")
    page.reload()
    shell.wait_for_state("typing")
    page.wait_for_timeout(500)
    shell.run("echo clean")
    shell.wait_for("\nclean")
    assert not re.search(r"\d;\d+c", shell.text().split("asked")[-1])


def test_keys_of_the_page_stay_out_of_it(page: Page, shell: ShellPane) -> None:
    shell.run("echo /?fg1234")
    shell.wait_for("\n/?fg1234")
    expect(page.locator("#shortcuts")).to_be_hidden()
    page.keyboard.press("Shift+Escape")
    expect(page.get_by_role("tab", name="Shell", exact=True)).to_be_focused()


def test_phone_has_the_keys_it_lacks(
    server: ServerProcess,
    client: BerthClient,
    session: SessionPage,
    new_context: Callable[..., BrowserContext],
) -> None:
    context = new_context(viewport={"width": 380, "height": 760}, has_touch=True, is_mobile=True)
    sign_in(context, client)
    phone = context.new_page()
    phone.goto(session.page.url)
    phone.get_by_role("button", name="Shell", exact=True).click()
    shell = ShellPane(phone)
    shell.panel.get_by_role("button", name="Open a shell").click()
    shell.wait_for_state("typing")
    shell.run("sleep 100")
    keys = phone.get_by_role("group", name="Keys")
    keys.get_by_role("button", name="Ctrl").tap()
    phone.keyboard.type("c")
    shell.wait_for("^C")
    shell.run("echo one")
    keys.get_by_role("button", name="Up").tap()
    phone.keyboard.press("Enter")
    phone.wait_for_function(
        "(text) => document.querySelector('.shell-host .xterm-rows').textContent.split(text).length > 4",
        arg="one",
    )
