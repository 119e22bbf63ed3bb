"""Everything of the daily round without a mouse."""

from playwright.sync_api import Page, expect

from tests.e2e.session_page import SESSION_URL, SessionPage, script


def focused_name(page: Page) -> str:
    return str(
        page.evaluate(
            "() => { const at = document.activeElement; if (at === document.body) return '';"
            " return at.id || at.innerText.trim() || at.getAttribute('aria-label') || ''; }"
        )
    )


def tab_to(page: Page, wanted: str, *, presses: int = 40) -> None:
    for _ in range(presses):
        if wanted in focused_name(page):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} cannot be reached; the focus is on {focused_name(page)}")


def test_create_watch_stop_and_write_again(page: Page) -> None:
    tab_to(page, "task")
    page.keyboard.insert_text(script("echo begun; sleep 300"))
    tab_to(page, "new-session-submit")
    page.keyboard.press("Enter")
    page.wait_for_url(SESSION_URL)
    session = SessionPage(page)
    session.wait_for_terminal("begun")

    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(session.card(0)).to_have_attribute("data-ending", "stopped")
    session.wait_until_done()

    page.locator("body").press("/")
    expect(session.message).to_be_focused()
    page.keyboard.insert_text(script("echo written-by-keyboard > typed.txt"))
    page.keyboard.press("Enter")
    expect(session.cards).to_have_count(2)
    session.wait_until_done()

    tab_to(page, "tab-terminal")
    page.keyboard.press("ArrowRight")
    expect(session.entry("typed.txt")).to_be_visible()
    tab_to(page, "typed.txt")
    page.keyboard.press("Enter")
    expect(session.viewer.locator(".file-code")).to_contain_text("written-by-keyboard")


def test_control_enter_starts_a_session(page: Page) -> None:
    task = page.get_by_role("textbox", name="What should the agent do?")
    task.fill(script("echo quick"))
    task.press("Control+Enter")
    page.wait_for_url(SESSION_URL)
    SessionPage(page).wait_until_done()


def test_skip_link_is_first_and_leads_to_the_content(page: Page) -> None:
    page.keyboard.press("Tab")
    assert focused_name(page) == "Skip to content"
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_three_leads_into_the_tree(page: Page) -> None:
    page.get_by_role("textbox", name="What should the agent do?").fill(script("echo a > one.txt"))
    page.keyboard.press("Control+Enter")
    page.wait_for_url(SESSION_URL)
    session = SessionPage(page)
    session.wait_until_done()
    session.open_files()
    expect(session.entry("one.txt")).to_be_visible()
    page.keyboard.press("1")
    page.keyboard.press("3")
    expect(session.entry("one.txt")).to_be_focused()
