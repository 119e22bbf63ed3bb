"""The whole product once through, as a person uses it."""

import hashlib
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.accounts import new_link
from tests.e2e.session_page import WAIT, SessionPage, create_session, let_go, script
from tests.serve.server_process import ServerProcess

LINES = 24
WRITING = f"""
echo "starting to write"
for i in $(seq 24); do
  printf 'line %d of the report\\n' $i
  printf 'warning %d\\n' $i >&2
  sleep 0.25
  [ $i != 12 ] || {WAIT}
done
"""
MAKING_FILES = """
mkdir -p out/deep
head -c 300000 /dev/urandom > out/data.bin
printf 'a text with an accent: \\303\\251\\n' > out/deep/note.txt
printf 'odd name\\n' > "out/with space & 100%.txt"
sha256sum out/data.bin out/deep/note.txt "out/with space & 100%.txt"
"""
ENDLESS = "sleep 300 & echo running; sleep 300"


def crc32(lines: list[str]) -> str:
    return format(zlib.crc32("".join(lines).encode()), "08x")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def watch_and_reload(session: SessionPage) -> None:
    """Output is there before the command ends, and once, byte for byte, after a reload."""
    expect(session.card(0)).to_have_attribute("data-state", "running", timeout=30_000)
    session.wait_for_terminal("line 2 of the report")
    expect(session.card(0)).to_have_attribute("data-state", "running")
    assert f"line {LINES} of the report" not in session.terminal_text()

    session.page.reload()
    session.wait_for_terminal("line 4 of the report")
    expect(session.card(0)).to_have_attribute("data-state", "running")
    let_go(session)
    session.wait_until_done()
    expect(session.cards).to_have_count(2)
    stdout = ["starting to write\n"] + [f"line {i} of the report\n" for i in range(1, LINES + 1)]
    stderr = [f"warning {i}\n" for i in range(1, LINES + 1)]
    expect(session.card(0)).to_have_attribute("data-stdout-crc32", crc32(stdout))
    expect(session.card(0)).to_have_attribute("data-stderr-crc32", crc32(stderr))
    shown = session.terminal_text()
    for line in stdout[1:] + stderr:
        assert shown.count(line) == 1, line
    expect(session.card(0)).to_contain_text("exit 0")


def stop_another(page: Page) -> None:
    """A second session's command is stopped and says how it ended."""
    other = create_session(page, script(ENDLESS))
    other.wait_for_terminal("running")
    other.stop.click()
    expect(other.card(0)).to_have_attribute("data-ending", "stopped")
    expect(other.card(0)).to_contain_text("stopped")
    other.wait_until_done()
    expect(page.locator(".turn-end")).to_contain_text("Stopped")


def take_files_home(session: SessionPage, folder: Path) -> None:
    """One file alone and all as a zip, compared with the sums that the command printed."""
    printed = re.findall(r"^([0-9a-f]{64})  (\S.*\S)", session.terminal_text(), re.MULTILINE)
    sums = {name: digest for digest, name in printed}
    assert set(sums) == {"out/data.bin", "out/deep/note.txt", "out/with space & 100%.txt"}
    session.open_files()
    session.entry("out").click()
    session.entry("data.bin").click(button="right")
    one = session.download(session.page.get_by_role("menuitem", name="Download"), folder)
    assert one.name == "data.bin"
    assert sha256(one.read_bytes()) == sums["out/data.bin"]
    everything = session.download(session.page.get_by_role("link", name="Zip of all"), folder)
    with zipfile.ZipFile(everything) as archive:
        files = [name for name in archive.namelist() if not name.endswith("/")]
        found = {name[name.index("out/") :]: sha256(archive.read(name)) for name in files}
    assert found == sums


def test_from_signing_in_to_taking_the_files_home(
    server: ServerProcess, new_context: Callable[..., BrowserContext], tmp_path: Path
) -> None:
    context = new_context(accept_downloads=True)
    page = context.new_page()
    page.goto(new_link(server, "admin", is_staff=True))
    page.get_by_role("button", name="Sign in").click()
    session = create_session(page, script(WRITING, MAKING_FILES))
    watch_and_reload(session)
    other_page = context.new_page()
    other_page.goto(server.url)
    stop_another(other_page)
    take_files_home(session, tmp_path)


def test_follow_up_continues_in_the_same_container(page: Page) -> None:
    session = create_session(page, script("echo kept > note.txt; hostname"))
    session.wait_until_done()
    session.send(script("cat note.txt"))
    expect(session.cards).to_have_count(2)
    expect(session.card(1)).to_contain_text("kept")


def test_commands_of_one_step_run_at_the_same_time(page: Page) -> None:
    first = "for i in 1 2 3 4; do echo first $i; sleep 0.3; done"
    second = "for i in 1 2 3 4; do echo second $i; sleep 0.3; done"
    session = create_session(page, f"```bash\n{first}\n```\n```bash\n{second}\n```")
    session.wait_until_done()
    shown = session.terminal_text()
    assert shown.index("second 1") < shown.index("first 4")
    assert shown.index("first 1") < shown.index("second 4")
    for word in ("first", "second"):
        for number in range(1, 5):
            assert shown.count(f"{word} {number}\n") == 1
