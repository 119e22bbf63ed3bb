"""What a test does on the pages, in the words of a person."""

import re
import time
from pathlib import Path

from playwright.sync_api import Download, Locator, Page, expect

from tests.e2e.conftest import docker

EXPORT = """() => new Promise((resolve) => document.querySelector("#terminal").dispatchEvent(
    new CustomEvent("berth:export", {detail: {resolve}})))"""
SESSION_URL = re.compile(r"/sessions/[0-9a-f-]{36}/$")
WAIT = "until rm go 2>/dev/null; do sleep 0.1; done"
"""A command that goes on at `let_go`: a sleep would have to be longer than what a page takes."""


def script(*steps: str) -> str:
    """A task for the scripted provider: each step's commands run after the step before."""
    return "\n---\n".join(f"```bash\n{step}\n```" for step in steps)


def create_session(page: Page, task: str) -> "SessionPage":
    """From the dashboard, as a person does."""
    page.get_by_role("textbox", name="What should the agent do?").fill(task)
    page.get_by_role("combobox", name="Model").select_option("scripted:scripted")
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(SESSION_URL)
    return SessionPage(page)


def container_of(session: "SessionPage") -> str:
    name = session.page.locator("[data-header=container-name]")
    expect(name).to_have_text(re.compile("^berth-"))
    return name.text_content() or ""


def in_container(session: "SessionPage", command: str) -> None:
    """As the agent's user, behind the page's back."""
    user = ("--user", "1000", "--workdir", "/workspace")
    docker("exec", *user, container_of(session), "sh", "-c", command)


def let_go(session: "SessionPage") -> None:
    in_container(session, "touch go")


class SessionPage:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator("#session")
        self.cards = page.get_by_role("article", name=re.compile("^Command"))
        self.stop = page.locator("#composer").get_by_role("button", name="Stop")
        self.message = page.get_by_role("textbox", name="Message to the agent")
        self.queue = page.get_by_role("region", name="Messages that wait")
        self.tree = page.get_by_role("tree", name="Workspace")
        self.viewer = page.locator(".files-viewer")

    def card(self, number: int) -> Locator:
        return self.cards.nth(number)

    def wait_until_connected(self) -> None:
        expect(self.root).to_have_attribute("data-connected", "true")
        expect(self.root).to_have_attribute("data-caught-up", "true")

    def wait_until_done(self, *, timeout_s: float = 60) -> None:
        """All turns that were sent have ended."""
        milliseconds = timeout_s * 1000
        expect(self.page.locator(".turn-end").last).to_be_visible(timeout=milliseconds)
        expect(self.root).to_have_attribute("data-running", "false", timeout=milliseconds)
        expect(self.queue).to_be_hidden(timeout=milliseconds)

    def terminal_text(self) -> str:
        """All of the terminal, scrollback included, as plain text."""
        return str(self.page.evaluate(EXPORT))

    def wait_for_terminal(self, text: str, *, timeout_s: float = 30) -> None:
        # Not `wait_for_function`, to which the promise of a text is as good as the text.
        deadline = time.monotonic() + timeout_s
        while text not in (shown := self.terminal_text()):
            assert time.monotonic() < deadline, f"no {text!r} in:\n{shown[-2000:]}"
            self.page.wait_for_timeout(50)

    def shown_bytes(self, number: int) -> dict[str, str | None]:
        """Sizes and checksums of the bytes a card got, per stream."""
        card = self.card(number)
        return {
            name: card.get_attribute(f"data-{name}")
            for name in ("stdout-bytes", "stdout-crc32", "stderr-bytes", "stderr-crc32")
        }

    def send(self, text: str) -> None:
        self.message.fill(text)
        self.page.locator("#composer").get_by_role(
            "button", name=re.compile("^(Send|Queue)$")
        ).click()
        expect(self.message).to_have_value("")

    def open_files(self) -> None:
        self.page.get_by_role("tab", name="Files").click()
        expect(self.tree).to_have_attribute("aria-busy", "false")

    def entry(self, name: str) -> Locator:
        has_name = self.page.get_by_text(name, exact=True)
        return self.tree.get_by_role("treeitem").filter(has=has_name)

    def choose(self, name: str, action: str) -> None:
        """An action from the menu of an entry."""
        self.entry(name).click(button="right")
        self.page.get_by_role("menuitem", name=action).click()

    def download(self, press: Locator, folder: Path) -> Path:
        with self.page.expect_download() as waiting:
            press.click()
        download: Download = waiting.value
        target = folder / download.suggested_filename
        download.save_as(target)
        return target
