"""Watches a browser context: no foreign request, no console error, no error in a page."""

import re
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Route, WebSocket

LOCAL_SCHEMES = {"data", "blob", "about"}


class Guard:
    """`allow` what a test provokes on purpose; `check` at its end."""

    def __init__(self, context: BrowserContext) -> None:
        self.foreign: list[str] = []
        self.errors: list[str] = []
        self.requested: list[str] = []
        # htmx logs a request that a newer one replaces, as typing into a search does. A request
        # that fails is htmx:sendError or htmx:responseError.
        self._allowed = [re.compile(r"^htmx:(sendAbort|afterRequest)\b")]
        context.route("**/*", self._on_route)
        context.on("page", self._on_page)

    def allow(self, pattern: str) -> None:
        self._allowed.append(re.compile(pattern))

    def check(self) -> None:
        assert not self.foreign, f"requests to other hosts: {self.foreign}"
        unexpected = [
            error for error in self.errors if not any(p.search(error) for p in self._allowed)
        ]
        assert not unexpected, "errors in the page:\n" + "\n".join(unexpected)

    def _on_route(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        self.requested.append(route.request.url)
        if url.scheme in LOCAL_SCHEMES or url.hostname in {"127.0.0.1", "localhost"}:
            route.continue_()
        else:
            self.foreign.append(route.request.url)
            route.abort()

    def _on_page(self, page: Page) -> None:
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        page.on("websocket", self._on_websocket)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _on_websocket(self, socket: WebSocket) -> None:
        if urlsplit(socket.url).hostname not in {"127.0.0.1", "localhost"}:
            self.foreign.append(socket.url)
