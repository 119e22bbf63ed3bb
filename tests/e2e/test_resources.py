"""What the container uses, as the page shows it."""

import re

from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.e2e.guard import Guard
from tests.e2e.session_page import WAIT, SessionPage, create_session, let_go, script
from tests.serve.server_process import ServerProcess

FILLING = f"""
head -c 57000000 /dev/zero > big
{WAIT}
while :; do head -c 1000000 /dev/zero >> big; sleep 0.05; done
"""


def resource(page: Page, name: str) -> Locator:
    return page.locator(f"#resources [data-metric={name}]")


def test_figures_move_warn_and_stay_after_the_end(
    server: ServerProcess, page: Page, guard: Guard
) -> None:
    page.goto(server.url)
    page.get_by_text("Limits", exact=True).click()
    page.get_by_role("spinbutton", name="Disk (MiB)").fill("64")
    session = create_session(page, script(FILLING))
    strip = page.get_by_role("button", name=re.compile("^Resources"))
    height = strip.bounding_box()
    expect(resource(page, "memory")).to_contain_text(re.compile(r"\d MiB / 1 GiB"), timeout=30_000)
    expect(resource(page, "pids")).to_contain_text(re.compile(r"\d+ / 512"))
    expect(resource(page, "cpu")).to_contain_text(re.compile(r"\d+ %"))
    expect(resource(page, "disk")).to_have_attribute("data-level", "warn", timeout=30_000)
    expect(strip).to_have_accessible_name(re.compile(r"Disk 5\d(\.\d)? MiB of 64 MiB"))
    assert strip.bounding_box() == height, "figures must not move the page"

    let_go(session)
    session.wait_until_done()
    expect(session.card(0)).to_contain_text(
        re.compile(r"disk full \(limit 64 MiB, used [\d.]+ MiB\)")
    )
    expect(page.locator("#timeline")).to_contain_text("The disk space of 64 MiB is used up.")
    expect(resource(page, "disk")).to_have_attribute("data-level", "danger")
    expect(page.locator("#resources")).to_have_attribute("data-state", "past")
    look_at_the_charts(page, strip)

    # A replay shows the same history.
    page.reload()
    session.wait_until_connected()
    expect(resource(page, "disk")).to_have_attribute("data-level", "danger")
    expect(strip).to_have_accessible_name(re.compile(r"as of \d\d:\d\d:\d\d$"))
    guard.allow("507")
    uploads_are_refused(session)


def look_at_the_charts(page: Page, strip: Locator) -> None:
    strip.click()
    charts = page.get_by_role("group", name=re.compile("^Charts"))
    expect(charts.locator("figure")).to_have_count(4)
    expect(charts).to_be_focused()
    disk = charts.locator("figure").nth(3)
    expect(disk.locator(".chart-limit")).to_have_count(1)
    assert (disk.locator(".chart-line").get_attribute("d") or "").count("V") > 1
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    readout = page.locator("[data-resources=readout]")
    expect(readout).to_contain_text(re.compile(r"^\d\d:\d\d:\d\d\s+CPU .* Disk \d+"))
    box = disk.locator("svg").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 40)
    expect(disk.locator(".chart-cursor")).to_have_attribute("visibility", "visible")
    page.get_by_role("button", name="All", exact=True).click()
    charts.focus()
    page.keyboard.press("Escape")
    expect(charts).to_be_hidden()
    expect(strip).to_be_focused()


def uploads_are_refused(session: SessionPage) -> None:
    page = session.page
    page.get_by_role("tab", name="Files").click()
    page.locator("#files-panel input[type=file]").first.set_input_files(
        FilePayload(name="more.txt", mimeType="text/plain", buffer=b"more")
    )
    expect(page.locator("#files-panel")).to_contain_text("delete something first")
