from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect

from tests.e2e.accounts import new_link
from tests.serve.server_process import ServerProcess


def test_link_signs_in_once(
    server: ServerProcess, new_context: Callable[..., BrowserContext]
) -> None:
    link = new_link(server, "admin", is_staff=True)
    page = new_context().new_page()
    page.goto(link)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("textbox", name="What should the agent do?")).to_be_visible()

    context = new_context()
    context.guard.allow("404")  # type: ignore[attr-defined]  # put there by new_context
    again = context.new_page()
    again.goto(link)
    expect(again.get_by_text("has been used or has expired")).to_be_visible()
    expect(again.get_by_role("button", name="Sign in")).to_have_count(0)


def test_every_page_asks_for_sign_in(
    server: ServerProcess, new_context: Callable[..., BrowserContext]
) -> None:
    page = new_context().new_page()
    page.goto(server.url + "/account/")
    expect(page.get_by_label("Password")).to_be_visible()
    assert "/sign-in/" in page.url
