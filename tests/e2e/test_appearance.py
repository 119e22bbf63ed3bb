"""Both pages at a phone's and a desk's width, light and dark; screenshots to look at."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.conftest import RESULTS, sign_in
from tests.e2e.session_page import SessionPage, script
from tests.serve.berth_client import BerthClient
from tests.serve.server_process import ServerProcess

TASK = "Count to three, in colour.\n" + script(
    r"for i in 1 2 3; do printf '\033[3%dmstep %d\033[0m\n' $i $i; done; echo problem >&2",
    r"mkdir -p src; printf '# Notes\n\nhello\n' > notes.md; echo 'print(1)' > src/app.py; exit 3",
)
VIEWPORTS = {"narrow": (380, 800), "wide": (1440, 900), "huge": (2560, 1300)}
TARGET_PX = 40
OVERFLOW = """() => {
  const wide = [...document.querySelectorAll("body *")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width > 0 && box.right > innerWidth + 1 && getComputedStyle(element).position !== "fixed"
      && element.closest(".xterm") === null && !isScrolled(element);
  });
  function isScrolled(element) {
    for (let up = element.parentElement; up; up = up.parentElement) {
      if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(up).overflowX)) return true;
    }
    return false;
  }
  return [document.documentElement.scrollWidth - innerWidth, wide.slice(0, 5).map((e) => e.outerHTML.slice(0, 120))];
}"""


@pytest.fixture(scope="module")
def finished_session(client: BerthClient) -> str:
    return str(client.create_session(TASK))


@pytest.fixture(
    params=[(size, scheme) for size in VIEWPORTS for scheme in ("light", "dark")],
    ids="-".join,
)
def look(
    request: pytest.FixtureRequest,
    new_context: Callable[..., BrowserContext],
    client: BerthClient,
) -> tuple[str, Page]:
    size, scheme = request.param
    width, height = VIEWPORTS[size]
    options: dict[str, Any] = {
        "viewport": {"width": width, "height": height},
        "color_scheme": scheme,
        "reduced_motion": "reduce",
    }
    if size == "narrow":
        options |= {"has_touch": True, "is_mobile": True}
    context = new_context(**options)
    sign_in(context, client)
    RESULTS.mkdir(exist_ok=True)
    return f"{size}-{scheme}", context.new_page()


def assert_no_sideways_scroll(page: Page) -> None:
    extra, elements = page.evaluate(OVERFLOW)
    assert extra <= 0, f"the page is {extra} px too wide: {elements}"
    assert not elements, elements


def shoot(page: Page, name: str) -> None:
    page.screenshot(path=RESULTS / f"{name}.png")
    assert_no_sideways_scroll(page)


def test_dashboard_fits(
    look: tuple[str, Page], server: ServerProcess, finished_session: str
) -> None:
    name, page = look
    page.goto(server.url)
    expect(page.locator("#session-rows .row").first).to_be_visible()
    shoot(page, f"dashboard-{name}")


def test_session_page_fits_in_each_view(
    look: tuple[str, Page], server: ServerProcess, finished_session: str
) -> None:
    name, page = look
    page.goto(f"{server.url}/sessions/{finished_session}/")
    session = SessionPage(page)
    session.wait_until_connected()
    session.wait_until_done()
    shoot(page, f"session-{name}")
    views = page.get_by_role("navigation", name="Views")
    if name.startswith("narrow"):
        views.get_by_role("button", name="Terminal").click()
        session.wait_for_terminal("step 3")
        shoot(page, f"session-terminal-{name}")
        views.get_by_role("button", name="Files").click()
    else:
        page.get_by_role("tab", name="Files").click()
    session.entry("notes.md").click()
    expect(session.viewer.get_by_role("heading", name="Notes", exact=True)).to_be_visible()
    shoot(page, f"session-files-{name}")


def test_targets_are_large_enough_for_fingers(
    new_context: Callable[..., BrowserContext],
    client: BerthClient,
    server: ServerProcess,
    finished_session: str,
) -> None:
    context = new_context(viewport={"width": 380, "height": 800}, has_touch=True, is_mobile=True)
    sign_in(context, client)
    page = context.new_page()
    page.goto(f"{server.url}/sessions/{finished_session}/")
    SessionPage(page).wait_until_connected()
    small = [
        button.evaluate("e => `${Math.round(e.getBoundingClientRect().height)} ${e.outerHTML}`")[
            :120
        ]
        for button in page.get_by_role("button").all()
        if button.is_visible() and (button.bounding_box() or {"height": 0})["height"] < TARGET_PX
    ]
    assert not small, small


def test_sign_in_page_fits(
    look: tuple[str, Page], server: ServerProcess, new_context: Callable[..., BrowserContext]
) -> None:
    name, page = look
    page.context.clear_cookies()
    page.goto(server.url + "/sign-in/")
    shoot(page, f"sign-in-{name}")
