"""An idle session is suspended before the eyes of whoever watches, archived, and comes back."""

import json
import re

from playwright.sync_api import Page, expect

from tests.e2e.session_page import create_session, script
from tests.e2e.shell_pane import ShellPane
from tests.serve.server_process import ServerProcess, manage

AGE = """
import datetime as dt
from django.utils import timezone
from sessions.models import Session
row = Session.objects.filter(id={session_id})
row.update(last_active_at=timezone.now() - dt.timedelta(seconds={seconds}))
"""
DAY_S = 24 * 3600


def age(server: ServerProcess, page: Page, seconds: int) -> None:
    """Let the session's last activity be so long ago."""
    session_id = json.dumps(page.url.rstrip("/").rpartition("/")[2])
    code = AGE.format(session_id=session_id, seconds=seconds)
    done = manage(server.environment, "shell", "--no-imports", "-c", code)
    assert done.returncode == 0, done.stderr


def test_suspended_archived_and_back(page: Page, server: ServerProcess) -> None:
    session = create_session(page, script("echo kept > kept.txt"))
    session.wait_until_done()
    rest = page.locator("[data-rest=text]")
    expect(rest).to_have_text("Suspends in 20 min")

    age(server, page, 20 * 60 - 90)
    expect(rest).to_contain_text("Suspends in 1:")
    page.get_by_role("button", name="Keep").click()
    expect(rest).to_have_text("Suspends in 20 min")

    page.get_by_label("Details and limits").click()
    page.get_by_label("Suspend when unused for").select_option("1 h")
    expect(rest).to_have_text("Suspends in 60 min")
    page.keyboard.press("Escape")

    age(server, page, 3600 + 5)
    expect(rest).to_have_text("Suspended", timeout=30_000)
    expect(page.locator("#resources b")).to_have_text(["\u2013"] * 4)
    page.get_by_role("button", name="Resume").click()
    expect(rest).to_have_text("Suspends in 60 min")
    expect(page.locator("[data-rest=keep]")).to_be_hidden()  # not under a second click
    expect(page.locator("[data-rest=keep]")).to_be_visible()
    note = page.locator("#timeline .note")
    expect(note).to_have_count(1)
    expect(note).to_contain_text("The container was started again on the same files.")
    expect(note).to_contain_text(re.compile(r"Since \d\d:\d\d:\d\d: suspended, started again\."))

    age(server, page, 40 * DAY_S)
    expect(rest).to_contain_text("Archived,", timeout=90_000)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download").click()
    assert waiting.value.suggested_filename.endswith(".tar.zst")
    page.get_by_role("button", name="Restore").click()
    expect(rest).to_have_text("Suspends in 60 min", timeout=30_000)
    session.open_files()
    expect(session.entry("kept.txt")).to_be_visible()
    expect(note).to_have_count(1)
    expect(note).to_contain_text("suspended twice, started again twice, archived.")


def test_the_files_say_that_they_start_the_container(page: Page, server: ServerProcess) -> None:
    session = create_session(page, script("echo kept > kept.txt"))
    session.wait_until_done()
    age(server, page, 20 * 60)
    expect(page.locator("[data-rest=text]")).to_have_text("Suspended", timeout=30_000)
    pause = "(document.querySelector('.files-starting'))"
    page.evaluate(
        f"""() => {{
            window.starting = [];
            new MutationObserver(() => window.starting.push({pause}.textContent))
                .observe({pause}, {{childList: true, characterData: true, subtree: true}});
        }}"""
    )
    session.open_files()
    expect(session.entry("kept.txt")).to_be_visible()
    expect(page.locator(".files-starting")).to_be_hidden()
    assert page.evaluate("window.starting")[0] == "Starting the container to read its files…"


def test_it_says_what_keeps_it_and_a_shell_ends_with_one_reason(
    page: Page, server: ServerProcess
) -> None:
    create_session(page, script("true")).wait_until_done()
    rest = page.locator("[data-rest=text]")
    shell = ShellPane(page).open()
    shell.run("sleep 100")
    expect(rest).to_have_text("Kept by a program in a shell", timeout=30_000)
    expect(page.locator("[data-rest=keep]")).to_be_hidden()
    shell.type("x")
    page.keyboard.press("Control+c")
    expect(rest).to_contain_text("Suspends in", timeout=60_000)

    page.wait_for_timeout(11_000)  # the keys just typed keep it as well
    age(server, page, 20 * 60)
    expect(rest).to_have_text("Suspended", timeout=30_000)
    expect(shell.state).to_have_text(re.compile("^Ended. Suspended, as nobody used it"))
    expect(page.locator(".shell-note").last).to_contain_text("Shell 1 ended with the container.")
    told = page.locator("#timeline").get_by_text("Suspended, as nobody used it")
    expect(told).to_have_count(1)


def test_a_message_wakes_it(page: Page, server: ServerProcess) -> None:
    session = create_session(page, script("echo first > kept.txt"))
    session.wait_until_done()
    age(server, page, 20 * 60)
    expect(page.locator("[data-rest=text]")).to_have_text("Suspended", timeout=30_000)
    session.send(script("cat kept.txt; echo woken"))
    session.wait_for_terminal("woken")
    assert "first" in session.terminal_text()
