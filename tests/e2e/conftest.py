"""A real server with a real engine behind it, and Chromium in front.

Playwright's own loop runs while it is open, so it is opened and closed per module: tests of other
folders that use a loop then never meet it.
"""

import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from scripts.chromium import PROGRAMS
from tests.e2e.accounts import new_link
from tests.e2e.guard import Guard
from tests.serve.berth_client import BerthClient
from tests.serve.server_process import ROOT, ServerProcess, berth_environment, migrate

REMOVAL_TIMEOUT_S = 30.0
EXPECT_TIMEOUT_MS = 15_000
"""Three times Playwright's own, which a machine with other work does not always keep."""

RESULTS = ROOT / "test-results"
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
LOG_TAIL_CHARS = 20_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.docker)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    arguments = getattr(item, "funcargs", {})
    if report.failed and "server" in arguments:
        report.sections.append(("server log", arguments["server"].log[-LOG_TAIL_CHARS:]))
    if report.failed and report.when == "call" and "context" in arguments:
        RESULTS.mkdir(exist_ok=True)
        name = re.sub(r"[^\w-]+", "-", item.name)
        for number, page in enumerate(arguments["context"].pages):
            page.screenshot(path=RESULTS / f"failed-{name}-{number}.png")
    return report


def docker(*argv: str) -> str:
    result = subprocess.run(["docker", *argv], capture_output=True, text=True, check=True)
    return result.stdout


def remove_all_of(installation: str) -> None:
    wanted = f"label=berth.installation={installation}"
    deadline = time.monotonic() + REMOVAL_TIMEOUT_S
    while containers := docker("ps", "-aq", "--filter", wanted).split():
        # One that the server was removing when it was ended is refused, and soon gone.
        subprocess.run(["docker", "rm", "-f", *containers], capture_output=True, check=False)
        assert time.monotonic() < deadline, f"containers of {installation} are still there"
    volumes = docker("volume", "ls", "-q", "--filter", wanted).split()
    if volumes:
        docker("volume", "rm", *volumes)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Settings and a migrated database for a server of these tests alone."""
    if shutil.which("docker") is None:
        pytest.skip("no Docker client")
    installation = f"e2e-{uuid.uuid4().hex[:8]}"
    environment = berth_environment(tmp_path_factory.mktemp("berth"), installation)
    migrate(environment)
    try:
        yield environment
    finally:
        remove_all_of(installation)


@pytest.fixture(scope="session")
def server(environment: dict[str, str]) -> Iterator[ServerProcess]:
    server = ServerProcess(environment).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def client(server: ServerProcess) -> BerthClient:
    """The administrator without a browser, to arrange what a test looks at."""
    return BerthClient(server.url, new_link(server, "admin", is_staff=True))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    expect.set_options(timeout=EXPECT_TIMEOUT_MS)
    with sync_playwright() as playwright:
        # Without one on the path it is Playwright's own, where set-up installed that.
        if chromium is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("Chromium is not installed")
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def new_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser contexts, each watched; every one must have been clean at the end."""
    made: list[tuple[BrowserContext, Guard]] = []

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        context.set_default_timeout(15_000)
        made.append((context, Guard(context)))
        context.guard = made[-1][1]  # type: ignore[attr-defined]  # for tests that allow errors
        return context

    yield make
    for context, _ in made:
        # A request that the guard is asked about while its page goes away blocked the close once.
        context.unroute_all(behavior="ignoreErrors")
        context.close()
    for _, guard in made:
        guard.check()


def sign_in(context: BrowserContext, client: BerthClient) -> None:
    """Give the context the client's cookies."""
    pairs = (pair.split("=", 1) for pair in client.cookies.split("; "))
    context.add_cookies(
        [{"name": name, "value": value, "url": client.url} for name, value in pairs]
    )


@pytest.fixture
def context(new_context: Callable[..., BrowserContext], client: BerthClient) -> BrowserContext:
    """The administrator's browser."""
    context = new_context()
    sign_in(context, client)
    return context


@pytest.fixture
def guard(context: BrowserContext) -> Guard:
    found: Guard = context.guard  # type: ignore[attr-defined]  # put there by new_context
    return found


@pytest.fixture
def page(context: BrowserContext, server: ServerProcess) -> Page:
    page = context.new_page()
    page.goto(server.url)
    return page
