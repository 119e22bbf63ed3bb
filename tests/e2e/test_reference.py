"""The API reference in a browser: filtered, linked to, expanded, at both widths."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.conftest import RESULTS, sign_in
from tests.e2e.guard import Guard
from tests.e2e.test_appearance import OVERFLOW
from tests.serve.berth_client import BerthClient
from tests.serve.server_process import ServerProcess


@pytest.fixture
def reference(page: Page, guard: Guard, server: ServerProcess) -> Page:
    page.goto(f"{server.url}/reference/")
    return page


def test_the_filter_leaves_what_was_asked_for(reference: Page) -> None:
    reference.keyboard.press("/")
    reference.keyboard.type("delete skill")
    expect(reference.locator("#reference-count")).to_have_text("2 found")
    shown = reference.locator("details.reference-entry:visible")
    expect(shown).to_have_count(2)
    reference.locator("#reference-search").fill("")
    expect(reference.locator("#listModels")).to_be_visible()


def test_a_link_opens_what_it_leads_to_even_when_that_is_filtered_out(reference: Page) -> None:
    reference.locator("#reference-search").fill("skill")
    reference.evaluate("location.hash = 'createContainer'")
    entry = reference.locator("#createContainer")
    expect(entry).to_have_attribute("open", "")
    expect(entry.locator("h3").first).to_be_in_viewport()
    expect(reference.locator("#reference-search")).to_have_value("")


def test_fields_are_expanded_in_place_as_deep_as_they_go(reference: Page) -> None:
    reference.goto(reference.url + "#createResponse")
    body = reference.locator("#createResponse details.nested").first
    message = body.locator("summary", has_text="Fields of Message").first
    message.focus()
    reference.keyboard.press("Enter")
    inner = body.locator("summary", has_text="Fields of InputText").first
    inner.click()
    nested = inner.locator("xpath=..")
    expect(nested.locator("code", has_text="text").first).to_be_visible()
    # What is opened here stays closed where it is defined.
    expect(reference.locator("#object-Message")).not_to_have_attribute("open", "")


def test_a_request_can_be_copied(reference: Page, server: ServerProcess) -> None:
    reference.context.grant_permissions(["clipboard-read", "clipboard-write"])
    reference.goto(reference.url + "#listContainers")
    reference.locator("#listContainers").get_by_role("button", name="Copy the request").click()
    expect(reference.locator(".toast-text").first).to_have_text("Copied.")
    copied = reference.evaluate("navigator.clipboard.readText()")
    assert f"{server.url}/v1/containers" in copied


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1440])
def test_nothing_is_cut_off(
    new_context: Callable[..., BrowserContext],
    client: BerthClient,
    server: ServerProcess,
    width: int,
    scheme: Any,
) -> None:
    context = new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    sign_in(context, client)
    page = context.new_page()
    page.goto(f"{server.url}/reference/#createResponse")
    page.locator("#createResponse summary", has_text="Fields of Message").first.click()
    over, elements = page.evaluate(OVERFLOW)
    RESULTS.mkdir(exist_ok=True)
    page.screenshot(path=RESULTS / f"reference-{width}-{scheme}.png")
    assert over <= 0, elements
