from playwright.sync_api import Page, expect

from tests.e2e.session_page import create_session, script


def test_session_deleted_in_another_tab_takes_no_more_messages(page: Page) -> None:
    session = create_session(page, script("echo here"))
    session.wait_until_done()
    expect(page.locator("[data-rest=box]")).to_be_visible()
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_label("Details and limits").click()
    other.get_by_role("button", name="Delete session").click()
    other.get_by_role("dialog").get_by_role("button", name="Delete").click()

    expect(page.get_by_text("This session is gone.")).to_be_visible(timeout=30_000)
    expect(session.message).to_be_disabled()
    expect(page.locator("[data-header=status]")).to_have_text("Deleted")
    expect(page.get_by_role("link", name="All sessions")).to_be_visible()
    expect(page.locator("[data-rest=box]")).to_be_hidden()


def test_find_key_opens_the_search_of_the_terminal(page: Page) -> None:
    session = create_session(page, script("echo here"))
    session.wait_until_done()
    page.locator(".timeline-scroll").focus()
    page.keyboard.press("Control+f")
    expect(page.get_by_role("searchbox", name="Search in the terminal")).to_be_focused()
