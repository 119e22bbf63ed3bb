"""Long files arrive whole whatever happens on the way: pause, reload, a server that is killed."""

import hashlib
import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import docker
from tests.e2e.guard import Guard
from tests.e2e.session_page import (
    SessionPage,
    container_of,
    create_session,
    in_container,
    script,
)

MIB = 1024 * 1024
PIECE_BYTES = 8 * MIB
UPLOADS = "**/files/uploads/*/"


class Pieces:
    """Lets `allowed` pieces through and leaves the next without an answer."""

    def __init__(self, page: Page, allowed: int) -> None:
        self.offsets: list[int] = []
        self.allowed = allowed
        self._page = page
        page.route(UPLOADS, self._on_route)

    def _on_route(self, route: Route) -> None:
        if route.request.method == "PATCH":
            self.offsets.append(int(route.request.headers["upload-offset"]))
            if len(self.offsets) > self.allowed:
                return
        route.fallback()

    def wait_for(self, count: int) -> None:
        """The page shows a piece as sent a moment before it sends the next."""
        for _ in range(300):
            if len(self.offsets) >= count:
                return
            self._page.wait_for_timeout(100)
        raise AssertionError(f"{len(self.offsets)} of {count} pieces were sent")


@pytest.fixture
def long_file(tmp_path: Path) -> Path:
    path = tmp_path / "long file.bin"
    path.write_bytes(os.urandom(5 * PIECE_BYTES + 12_345))
    return path


def ready_session(page: Page) -> SessionPage:
    session = create_session(page, script("echo ready"))
    session.wait_until_done()
    session.open_files()
    return session


def choose(page: Page, path: Path) -> None:
    page.get_by_label("Files to upload").last.set_input_files(path)


def assert_arrived(session: SessionPage, path: Path) -> None:
    expect(session.entry(path.name)).to_be_visible(timeout=60_000)
    command = ("exec", container_of(session), "sha256sum", f"/workspace/{path.name}")
    assert docker(*command).split()[0] == hashlib.sha256(path.read_bytes()).hexdigest()
    in_container(session, "[ -z \"$(find . -name '.berth*')\" ]")


def test_a_reload_in_the_middle_goes_on_where_it_stopped(page: Page, long_file: Path) -> None:
    session = ready_session(page)
    pieces = Pieces(page, allowed=2)
    choose(page, long_file)
    uploads = page.get_by_role("region", name="Uploads")
    expect(uploads).to_contain_text("39 %", timeout=30_000)
    page.reload()
    page.unroute_all()
    session.open_files()
    expect(uploads).to_contain_text("Choose the same file again to go on.")
    expect(uploads).to_contain_text("39 %")
    after = Pieces(page, allowed=100)
    choose(page, long_file)
    assert_arrived(session, long_file)
    assert pieces.offsets == [0, PIECE_BYTES, 2 * PIECE_BYTES]
    assert after.offsets == [n * PIECE_BYTES for n in range(2, 6)]
    expect(uploads).to_be_hidden()
    page.reload()
    session.open_files()
    expect(session.entry(long_file.name)).to_be_visible()
    expect(uploads).to_be_hidden()


def test_pause_resume_and_give_up(page: Page, long_file: Path, guard: Guard) -> None:
    session = ready_session(page)
    pieces = Pieces(page, allowed=1)
    choose(page, long_file)
    uploads = page.get_by_role("region", name="Uploads")
    expect(uploads).to_contain_text("19 %", timeout=30_000)
    pieces.wait_for(2)
    uploads.get_by_role("button", name="Pause").click()
    expect(uploads).to_contain_text("Paused")
    pieces.allowed = 100
    assert len(pieces.offsets) == 2
    uploads.get_by_role("button", name="Resume").click()
    assert_arrived(session, long_file)

    other = long_file.with_name("never.bin")
    other.write_bytes(bytes(3 * PIECE_BYTES))
    pieces.allowed = len(pieces.offsets) + 1
    choose(page, other)
    expect(uploads).to_contain_text("33 %", timeout=30_000)
    # The news of the first one lies over the button until it goes by itself.
    expect(page.get_by_role("button", name="Dismiss")).to_have_count(0, timeout=30_000)
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as deleted:
        uploads.get_by_role("button", name="Cancel never.bin").click()
    assert deleted.value.status == 204
    expect(uploads).to_be_hidden()
    expect(session.entry("never.bin")).to_have_count(0)


def test_a_taken_name_is_asked_about_and_replaced(page: Page, long_file: Path) -> None:
    session = ready_session(page)
    in_container(session, f"echo old > '{long_file.name}'")
    choose(page, long_file)
    dialog = page.get_by_role("dialog", name="Replace the file?")
    dialog.get_by_role("button", name="Replace").click()
    expect(page.get_by_text("Uploaded 1 file")).to_be_visible(timeout=60_000)
    assert_arrived(session, long_file)
