"""The terminal's own tools: a card leads to its bytes, pause, copy, full screen."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.session_page import SessionPage, create_session, script


@pytest.fixture
def session(page: Page) -> SessionPage:
    session = create_session(page, script("seq 1 300", "echo in-the-middle", "seq 301 600"))
    session.wait_until_done()
    session.wait_for_terminal("600")
    return session


def test_card_leads_to_its_bytes(page: Page, session: SessionPage) -> None:
    rows = page.locator("#terminal .xterm-rows")
    expect(rows).to_contain_text("600")
    expect(rows).not_to_contain_text("in-the-middle")
    session.card(1).click(position={"x": 8, "y": 8})
    expect(rows).to_contain_text("in-the-middle")
    expect(rows).not_to_contain_text("599")


def test_paused_terminal_stays_and_counts_what_is_new(page: Page, session: SessionPage) -> None:
    rows = page.locator("#terminal .xterm-rows")
    follow = page.get_by_role("button", name="Follow new output")
    expect(follow).to_have_attribute("aria-pressed", "true")
    follow.click()
    expect(follow).to_have_attribute("aria-pressed", "false")
    session.send(script("seq 601 700"))
    session.wait_for_terminal("700")
    expect(rows).not_to_contain_text("700")
    page.get_by_role("button", name=re.compile(r"^\d+ new lines$")).click()
    expect(rows).to_contain_text("700")
    expect(follow).to_have_attribute("aria-pressed", "true")


def test_terminal_is_copied_as_text(page: Page, session: SessionPage) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the selection, or everything").click()
    expect(page.get_by_text("All of the terminal copied.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.index("300") < copied.index("in-the-middle") < copied.index("600")


def test_terminal_fills_the_screen_and_comes_back(page: Page, session: SessionPage) -> None:
    panel = page.locator("#terminal-panel")
    before = panel.bounding_box()
    button = page.get_by_role("button", name="Full screen")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    wide = panel.bounding_box()
    assert before is not None
    assert wide is not None
    assert wide["width"] > before["width"]
    expect(page.locator("#terminal .xterm-rows")).to_contain_text("600")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    page.wait_for_function(
        "(width) => document.querySelector('#terminal-panel').offsetWidth <= width + 1",
        arg=before["width"],
    )
