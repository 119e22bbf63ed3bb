"""The server is killed while a command runs and a page watches it."""

import uuid
import zlib
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.accounts import new_link
from tests.e2e.conftest import remove_all_of, sign_in
from tests.e2e.session_page import create_session, script
from tests.e2e.shell_pane import ShellPane
from tests.serve.berth_client import BerthClient
from tests.serve.server_process import ServerProcess, berth_environment, migrate

COUNTING = "for i in $(seq 40); do echo tick $i; sleep 0.25; done; date +%s%N > started-once"


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of this test's own, which it may kill."""
    installation = f"e2e-{uuid.uuid4().hex[:8]}"
    environment = berth_environment(tmp_path_factory.mktemp("berth"), installation)
    migrate(environment)
    server = ServerProcess(environment).start()
    try:
        yield server
    finally:
        server.kill()
        remove_all_of(installation)


@pytest.fixture
def page(server: ServerProcess, new_context: Callable[..., BrowserContext]) -> Page:
    """The administrator's, which may complain while there is no server."""
    context = new_context()
    guard = context.guard  # type: ignore[attr-defined]  # put there by new_context
    guard.allow("ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|WebSocket connection|ERR_EMPTY")
    sign_in(context, BerthClient(server.url, new_link(server, "admin", is_staff=True)))
    page = context.new_page()
    page.goto(server.url)
    return page


def test_page_says_so_and_comes_back_with_every_byte(server: ServerProcess, page: Page) -> None:
    session = create_session(page, script(COUNTING))
    session.wait_for_terminal("tick 3")

    server.kill()
    expect(page.get_by_text("Disconnected")).to_be_visible()
    ServerProcess.start(server)
    expect(session.root).to_have_attribute("data-connected", "true", timeout=30_000)
    expect(page.get_by_text("Disconnected")).to_be_hidden()

    session.wait_until_done()
    shown = session.terminal_text()
    for number in range(1, 41):
        assert shown.count(f"tick {number}\n") == 1, number
    expect(session.cards).to_have_count(1)
    expect(session.card(0)).to_contain_text("exit 0")


COMMANDS = 10


def test_ten_running_commands_go_on_by_themselves(server: ServerProcess, page: Page) -> None:
    """Started at the same time, and all in the middle of it; each leaves its mark once."""
    blocks = "\n".join(
        f"```bash\necho {number} >> marks; for i in $(seq 30); do echo c{number} $i; sleep 0.4; "
        f"done; echo end-{number}\n```"
        for number in range(COMMANDS)
    )
    session = create_session(page, f"{blocks}\n---\n```bash\nsort -n marks | tr '\\n' ,\n```")
    expect(session.cards).to_have_count(COMMANDS)
    for number in range(COMMANDS):
        session.wait_for_terminal(f"c{number} 3")

    server.kill()
    expect(page.get_by_text("Disconnected")).to_be_visible()
    ServerProcess.start(server)
    expect(session.root).to_have_attribute("data-connected", "true", timeout=30_000)

    session.wait_until_done()
    expect(session.cards).to_have_count(COMMANDS + 1)
    for number in range(COMMANDS + 1):
        expect(session.card(number)).to_contain_text("exit 0")
    for number in range(COMMANDS):
        lines = "".join(f"c{number} {i}\n" for i in range(1, 31)) + f"end-{number}\n"
        shown = session.shown_bytes(number)
        assert shown["stdout-bytes"] == str(len(lines))
        assert shown["stdout-crc32"] == f"{zlib.crc32(lines.encode()):08x}"
    marks = "".join(f"{number}," for number in range(COMMANDS))
    session.wait_for_terminal(marks)


def test_shell_goes_on_and_its_page_continues_by_itself(server: ServerProcess, page: Page) -> None:
    create_session(page, script("true")).wait_until_done()
    shell = ShellPane(page).open()
    shell.run("x=kept; for i in $(seq 80); do echo tick $i; sleep 0.1; done; echo do''ne")
    shell.wait_for("tick 5\n")

    server.kill()
    shell.wait_for_state("reconnecting")
    shell.type("lost")
    expect(page.get_by_text("Disconnected. Reconnecting in")).to_be_visible()
    ServerProcess.start(server)
    shell.wait_for_state("typing")
    # Whichever of the page's sockets gets through first brings the other back.
    expect(page.locator("#session")).to_have_attribute("data-connected", "true", timeout=400)

    shell.wait_for("\ndone", timeout_s=60)
    shown = shell.text() + "\n"
    for number in range(1, 81):
        assert shown.count(f"\ntick {number}\n") == 1, number
    shell.run("echo still $x")
    shell.wait_for("\nstill kept")
    assert "lost" not in shell.text()
