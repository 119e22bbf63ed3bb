"""One user never sees, guesses or reaches another's session."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.accounts import new_link
from tests.e2e.conftest import sign_in
from tests.e2e.session_page import SessionPage, create_session, script
from tests.serve.berth_client import BerthClient
from tests.serve.server_process import ServerProcess

SOCKET = """(url) => new Promise((resolve) => {
    const socket = new WebSocket(url);
    let frames = 0;
    socket.onopen = () => socket.send('{"type":"follow","after":0}');
    socket.onmessage = () => { frames += 1; };
    socket.onclose = ({code}) => resolve({code, frames});
})"""


@pytest.fixture(scope="module")
def bob(server: ServerProcess) -> BerthClient:
    return BerthClient(server.url, new_link(server, "bob"))


@pytest.fixture
def bobs_page(
    new_context: Callable[..., BrowserContext], bob: BerthClient, server: ServerProcess
) -> Page:
    context = new_context()
    context.guard.allow("404")  # type: ignore[attr-defined]  # put there by new_context
    sign_in(context, bob)
    page = context.new_page()
    page.goto(server.url)
    return page


def test_second_user_gets_404_and_no_frame(
    page: Page, bobs_page: Page, server: ServerProcess
) -> None:
    session = create_session(page, script("echo secret-of-alice"))
    session.wait_until_done()
    path = page.url.removeprefix(server.url)

    for address in (path, f"{path}files/list/?path=", f"{path}files/archive/?path="):
        answer = bobs_page.request.get(server.url + address)
        assert answer.status == 404, address
        assert "secret-of-alice" not in answer.text()
    bobs_page.goto(server.url)
    expect(bobs_page.get_by_text("secret-of-alice")).to_have_count(0)

    socket_url = server.url.replace("http", "ws") + "/ws" + path
    assert bobs_page.evaluate(SOCKET, socket_url) == {"code": 4404, "frames": 0}


def test_unknown_session_looks_the_same_as_anothers(
    page: Page, bobs_page: Page, server: ServerProcess
) -> None:
    session = create_session(page, script("true"))
    session.wait_until_done()
    anothers = bobs_page.goto(page.url)
    theirs = bobs_page.locator("main").inner_text()
    unknown = bobs_page.goto(f"{server.url}/sessions/00000000-0000-4000-8000-000000000000/")
    assert anothers is not None
    assert unknown is not None
    assert anothers.status == unknown.status == 404
    assert bobs_page.locator("main").inner_text() == theirs


def test_administrator_sees_every_session(
    page: Page, bob: BerthClient, server: ServerProcess
) -> None:
    session_id = bob.create_session(script("echo from-bob"))
    page.goto(f"{server.url}/sessions/{session_id}/")
    session = SessionPage(page)
    session.wait_until_done()
    assert "from-bob" in session.terminal_text()


def test_anonymous_socket_is_refused(
    new_context: Callable[..., BrowserContext], server: ServerProcess
) -> None:
    page = new_context().new_page()
    page.goto(server.url + "/sign-in/")
    url = server.url.replace("http", "ws") + "/ws/sessions/00000000-0000-4000-8000-000000000000/"
    assert page.evaluate(SOCKET, url) == {"code": 4401, "frames": 0}
