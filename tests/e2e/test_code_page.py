"""Making a key and taking a program that uses it, with a keyboard and on a phone."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.conftest import RESULTS, sign_in
from tests.e2e.test_appearance import OVERFLOW, VIEWPORTS
from tests.serve.berth_client import BerthClient

CLIENTS = ["python", "javascript", "curl", "agents", "codex"]


def test_tabs_are_moved_along_by_keyboard(page: Page) -> None:
    page.goto(f"{page.url}account/code/")
    page.locator("#tab-python").focus()
    for key, name in (
        ("ArrowRight", "javascript"),
        ("ArrowLeft", "python"),
        ("ArrowLeft", "codex"),
        ("Home", "python"),
        ("End", "codex"),
        ("ArrowRight", "python"),
    ):
        page.keyboard.press(key)
        expect(page.locator(f"#tab-{name}")).to_be_focused()
        for other in CLIENTS:
            expect(page.locator(f"#code-{other}")).to_be_visible(visible=other == name)
    page.keyboard.press("Tab")
    expect(page.locator("#code-python [data-copy]").first).to_be_focused()
    page.locator("#tab-curl").click()
    page.reload()
    expect(page.locator("#code-curl")).to_be_visible()


def test_a_new_key_goes_into_the_program_that_is_copied(
    new_context: Callable[..., BrowserContext], client: BerthClient
) -> None:
    context = new_context(permissions=["clipboard-read", "clipboard-write"])
    sign_in(context, client)
    page = context.new_page()
    page.goto(f"{client.url}/account/")
    page.get_by_label("Name", exact=True).fill("from a browser")
    page.get_by_label("do what is chosen here").check()
    page.get_by_label("Responses", exact=True).select_option("write")
    page.get_by_role("button", name="Create key").click()
    secret = page.locator("#new-secret").inner_text()
    page.locator(".banner").get_by_role("button", name="Use it from code").click()
    expect(page.get_by_role("tablist", name="Client")).to_be_visible()
    page.get_by_role("button", name="Copy A shell, watched live").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert f'api_key="{secret}"' in copied
    assert f'base_url="{client.url}/v1"' in copied
    page.goto(f"{client.url}/account/")
    page.get_by_role("button", name="Revoke from a browser").click()
    page.get_by_role("button", name="Revoke", exact=True).last.click()
    expect(page.locator(".key.is-dead", has_text="from a browser")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["narrow", "wide"])
def test_both_pages_fit(
    new_context: Callable[..., BrowserContext], client: BerthClient, size: str, scheme: Any
) -> None:
    width, height = VIEWPORTS[size]
    context = new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    sign_in(context, client)
    page = context.new_page()
    for path in ("account/", "account/code/"):
        page.goto(f"{client.url}/{path}")
        if path == "account/":
            page.get_by_label("do what is chosen here").check()
        page.screenshot(path=RESULTS / f"{path.strip('/').replace('/', '-')}-{size}-{scheme}.png")
        assert page.evaluate(OVERFLOW) == [0, []]
