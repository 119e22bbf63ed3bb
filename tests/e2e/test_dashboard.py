"""The dashboard stays current under a person's hands, and its form loses nothing."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.guard import Guard
from tests.e2e.session_page import script
from tests.serve.berth_client import BerthClient

DROP = """(form) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File(["dropped"], "dropped.txt"));
  for (const type of ["dragenter", "dragover", "drop"]) {
    form.dispatchEvent(new DragEvent(type, {dataTransfer: transfer, bubbles: true, cancelable: true}));
  }
}"""


def test_a_refresh_keeps_focus_and_the_rows_that_did_not_change(
    page: Page, client: BerthClient
) -> None:
    client.create_session(f"Quiet\n{script('true')}")
    quiet = page.locator(".row", has_text="Quiet").first
    expect(quiet.locator(".chip")).to_have_text("Idle", timeout=60_000)
    quiet.get_by_role("link").focus()
    row = quiet.element_handle()
    client.create_session(f"Busy\n{script('echo line one; sleep 6')}")
    busy = page.locator(".row", has_text="Busy").first
    expect(busy).to_contain_text("line one", timeout=60_000)
    expect(busy.locator(".chip")).to_have_text("Idle", timeout=60_000)
    expect(quiet.get_by_role("link")).to_be_focused()
    assert row is not None
    assert row.evaluate("(row) => row.isConnected")


def test_a_search_stays_in_the_address_and_in_the_refreshes(
    page: Page, client: BerthClient
) -> None:
    client.create_session(f"Needle\n{script('true')}")
    client.create_session(f"Straw\n{script('true')}")
    page.get_by_role("searchbox").press_sequentially("needle")
    expect(page.locator(".row", has_text="Straw")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"\?q=needle$"))
    page.evaluate("htmx.trigger('#session-rows', 'nudge')")
    page.wait_for_load_state("networkidle")
    expect(page.locator(".row", has_text="Straw")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("needle")
    expect(page.locator(".row", has_text="Needle").first).to_be_visible()


def test_an_error_keeps_the_files_and_opens_the_place_it_speaks_of(
    page: Page, guard: Guard, tmp_path: Path
) -> None:
    guard.allow("422")
    note = tmp_path / "note.txt"
    note.write_text("note")
    page.locator("#files").set_input_files(note)
    page.locator("#new-session").evaluate(DROP)
    expect(page.locator("#chosen-files li")).to_have_count(2)
    page.get_by_role("textbox", name="What should the agent do?").fill("Do it")
    page.locator("#memory_mb").evaluate("(field) => { field.value = '1' }")
    page.locator("#new-session").evaluate("(form) => { form.noValidate = true }")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#error-memory_mb")).to_contain_text("64")
    expect(page.locator("#memory_mb")).to_be_focused()
    assert page.locator("#files").evaluate("(input) => input.files.length") == 2
    page.get_by_role("button", name="Remove note.txt").click()
    assert page.locator("#files").evaluate("(input) => [...input.files].map((f) => f.name)") == [
        "dropped.txt"
    ]


def test_a_chosen_theme_is_there_before_the_page_is_drawn(page: Page) -> None:
    toggle = page.get_by_role("button", name="Theme")
    toggle.click()
    toggle.click()
    expect(toggle).to_have_accessible_name("Theme: dark")
    page.reload(wait_until="commit")
    page.wait_for_function("() => document.body !== null")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
