"""The Shell tab in the words of a person."""

import time

from playwright.sync_api import Locator, Page, expect

EXPORT = """() => new Promise((resolve) => {
    const host = document.querySelector(".shell-host:not([hidden])");
    if (!host) resolve("");
    else host.dispatchEvent(new CustomEvent("berth:export", {detail: {resolve}}));
})"""


class ShellPane:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.panel = page.locator("#shells-panel")
        self.state = page.locator(".shell-state")
        self.input = page.locator(".shell-host:not([hidden]) .xterm-helper-textarea")
        self.take_over = page.get_by_role("button", name="Take over")
        self.screen = page.locator(".shell-host:not([hidden]) .xterm-rows")

    def show(self) -> "ShellPane":
        self.page.get_by_role("tab", name="Shell", exact=True).click()
        return self

    def open(self) -> "ShellPane":
        self.show()
        self.panel.get_by_role("button", name="Open a shell").click()
        self.wait_for_state("typing")
        self.wait_for("$")
        return self

    def wait_for_state(self, name: str) -> None:
        expect(self.panel).to_have_attribute("data-state", name, timeout=30_000)

    def type(self, text: str) -> None:
        self.input.focus()
        self.page.keyboard.type(text)

    def run(self, line: str) -> None:
        self.type(line)
        self.page.keyboard.press("Enter")

    def text(self) -> str:
        """What the terminal holds, scrollback included."""
        return str(self.page.evaluate(EXPORT))

    def wait_for(self, text: str, *, timeout_s: float = 20) -> None:
        deadline = time.monotonic() + timeout_s
        while text not in (shown := self.text()):
            assert time.monotonic() < deadline, f"no {text!r} in:\n{shown[-2000:]}"
            self.page.wait_for_timeout(50)

    def paste(self, text: str) -> None:
        """As the browser does, from a clipboard that holds `text`."""
        self.input.evaluate(
            """(element, text) => {
                const data = new DataTransfer();
                data.setData("text/plain", text);
                const options = {clipboardData: data, bubbles: true, cancelable: true};
                element.dispatchEvent(new ClipboardEvent("paste", options));
            }""",
            text,
        )

    def chip(self, number: int) -> Locator:
        return self.panel.get_by_role("button", name=f"Shell {number}", exact=True)
