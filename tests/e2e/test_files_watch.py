"""The tree shows what happens in the container as it happens, without being asked to look."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.guard import Guard
from tests.e2e.session_page import SessionPage, create_session, in_container, script

SOON_MS = 15_000
"""Below the 20 s after which a watched tree is asked for as a fallback."""


def watched_session(page: Page, *steps: str) -> SessionPage:
    session = create_session(page, script(*steps))
    expect(session.cards.first).to_be_visible(timeout=60_000)  # the container is there
    session.open_files()
    expect(page.locator("#files-panel")).to_have_attribute("data-watched", "true", timeout=30_000)
    return session


def test_a_file_appears_while_its_command_still_runs(page: Page) -> None:
    session = watched_session(page, "until [ -e go ]; do sleep 0.1; done; touch made; sleep 300")
    in_container(session, "touch go")
    expect(session.entry("made")).to_be_visible(timeout=SOON_MS)
    session.stop.click()
    session.wait_until_done()


def test_changes_are_shown_when_no_turn_runs(page: Page) -> None:
    session = watched_session(page, "mkdir folder; echo x > folder/inner; echo one > note")
    session.wait_until_done()
    session.entry("folder").click()
    expect(session.entry("inner")).to_be_visible()
    in_container(session, "touch folder/second")
    expect(session.entry("second")).to_be_visible(timeout=SOON_MS)
    in_container(session, "rm folder/inner; mv folder/second top")
    expect(session.entry("inner")).to_have_count(0, timeout=SOON_MS)
    expect(session.entry("top")).to_be_visible(timeout=SOON_MS)
    session.entry("note").click()
    expect(session.viewer).to_contain_text("one")
    in_container(session, "echo two > note")
    expect(session.viewer).to_contain_text("two", timeout=SOON_MS)
    in_container(session, "rm -r folder; mkdir folder; touch folder/anew")
    session.entry("folder").wait_for()
    expect(session.entry("anew")).to_be_visible(timeout=SOON_MS)


def test_another_pages_upload_appears(page: Page, tmp_path) -> None:
    session = watched_session(page, "echo begun")
    session.wait_until_done()
    other = page.context.new_page()
    other.goto(page.url)
    SessionPage(other).open_files()
    brought = tmp_path / "brought"
    brought.write_text("from the other page")
    page.bring_to_front()
    other.get_by_label("Files to upload").last.set_input_files(brought)
    expect(session.entry("brought")).to_be_visible(timeout=SOON_MS)


@pytest.mark.slow
def test_what_happened_while_the_page_was_cut_off_is_shown(page: Page, guard: Guard) -> None:
    session = watched_session(page, "echo begun")
    session.wait_until_done()
    guard.allow("ERR_INTERNET_DISCONNECTED")
    page.context.set_offline(True)
    expect(session.root).to_have_attribute("data-connected", "false")
    in_container(session, "touch meanwhile")
    page.context.set_offline(False)
    expect(session.entry("meanwhile")).to_be_visible(timeout=SOON_MS)
    expect(page.locator("#files-panel")).to_have_attribute("data-watched", "true")
    in_container(session, "touch afterwards")
    expect(session.entry("afterwards")).to_be_visible(timeout=SOON_MS)
