"""The tree by keyboard and mouse, while the agent works, and with names that would deceive."""

from pathlib import Path

from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.e2e.guard import Guard
from tests.e2e.session_page import WAIT, SessionPage, create_session, let_go, script

MAKE_TREE = """
mkdir -p docs/deep src; echo readme > docs/readme.txt; echo x > docs/deep/x.txt
echo main > src/main.py; for n in 1 2 10; do echo $n > item$n.txt; done; ln -s src source
"""


def opened(page: Page, commands: str) -> SessionPage:
    session = create_session(page, script(commands))
    session.wait_until_done()
    session.open_files()
    return session


def focused(session: SessionPage) -> Locator:
    return session.tree.locator("[role=treeitem]:focus .files-name")


def names(session: SessionPage) -> list[str]:
    return session.tree.locator(".files-name").all_text_contents()


def test_every_row_is_reached_by_keyboard(page: Page) -> None:
    session = opened(page, MAKE_TREE)
    assert names(session) == ["docs", "src", "item1.txt", "item2.txt", "item10.txt", "source"]
    press = page.keyboard.press
    session.entry("docs").focus()
    press("ArrowRight")
    expect(session.entry("docs")).to_have_attribute("aria-expanded", "true")
    expect(session.entry("readme.txt")).to_have_attribute("aria-level", "2")
    press("ArrowRight")
    expect(focused(session)).to_have_text("deep")
    press("ArrowDown")
    expect(focused(session)).to_have_text("readme.txt")
    press("ArrowLeft")
    expect(focused(session)).to_have_text("docs")
    press("ArrowLeft")
    expect(session.entry("docs")).to_have_attribute("aria-expanded", "false")
    press("End")
    expect(focused(session)).to_have_text("source")
    press("ArrowUp")
    expect(focused(session)).to_have_text("item10.txt")
    press("Home")
    page.keyboard.type("item2")
    expect(focused(session)).to_have_text("item2.txt")
    press("Enter")
    expect(session.viewer.get_by_role("heading", name="item2.txt")).to_be_visible()
    expect(session.entry("item2.txt")).to_have_attribute("aria-selected", "true")


def test_rename_menu_and_delete_by_keyboard_give_the_focus_back(page: Page, guard: Guard) -> None:
    session = opened(page, MAKE_TREE)
    press = page.keyboard.press
    session.entry("item1.txt").focus()
    press("Shift+F10")
    expect(page.get_by_role("menuitem").first).to_be_focused()
    press("Escape")
    expect(focused(session)).to_have_text("item1.txt")
    press("F2")
    page.keyboard.type("renamed")  # the part before the suffix is selected
    press("Enter")
    expect(focused(session)).to_have_text("renamed.txt")
    guard.allow("409")
    press("F2")
    press("Control+a")
    page.keyboard.type("src")
    press("Enter")
    expect(page.get_by_role("dialog").get_by_role("alert")).not_to_be_empty()
    press("Escape")
    expect(focused(session)).to_have_text("renamed.txt")
    press("Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(session.entry("renamed.txt")).to_have_count(0)
    expect(focused(session)).to_have_count(1)


def test_a_link_to_a_folder_opens_like_one(page: Page) -> None:
    session = opened(page, MAKE_TREE)
    session.entry("source").click()
    expect(session.entry("source")).to_have_attribute("aria-expanded", "true")
    session.entry("main.py").click()
    expect(session.viewer.get_by_role("heading", name="main.py")).to_be_visible()


def test_a_refresh_keeps_focus_selection_and_scroll(page: Page) -> None:
    busy = f"for n in $(seq 300); do echo $n > file$n; done; echo ready; {WAIT}; "
    busy += "for n in $(seq 9); do echo $n > added$n; echo more >> file5; sleep 0.5; done"
    session = create_session(page, script(busy))
    session.wait_for_terminal("ready")
    session.open_files()
    row = session.entry("file150")
    row.scroll_into_view_if_needed()
    row.focus()
    row.evaluate("row => { row.mark = 'the same element'; }")
    let_go(session)
    expect(session.entry("added9")).to_be_attached(timeout=20_000)
    expect(focused(session)).to_have_text("file150")
    assert row.evaluate("row => row.mark") == "the same element"
    session.wait_until_done()


def test_the_open_file_follows_the_agent(page: Page) -> None:
    session = create_session(page, script(f"echo one > log; echo made; {WAIT}; echo two >> log"))
    session.wait_for_terminal("made")
    session.open_files()
    session.entry("log").click()
    code = session.viewer.locator(".file-code")
    expect(code).to_have_text("one\n")
    let_go(session)
    expect(code).to_have_text("one\ntwo\n", timeout=15_000)
    session.wait_until_done()


def test_names_that_would_deceive_are_shown_for_what_they_are(page: Page) -> None:
    commands = r"""
printf a > "$(printf 'new\nline.txt')"; printf b > "$(printf 'gpj.\342\200\256exe')"
printf c > "$(printf 'bad\377.bin')"; printf d > '<img src=x onerror=alert(1)>'
"""
    session = opened(page, commands)
    shown = {r"new\nline.txt": "a", r"gpj.\u202eexe": "b", "<img src=x onerror=alert(1)>": "d"}
    for name, text in shown.items():
        session.entry(name).click()
        expect(session.viewer.get_by_role("heading", name=name)).to_be_visible()
        expect(session.viewer.locator(".file-code")).to_have_text(text)
    expect(session.entry(r"bad\xff.bin")).to_be_visible()
    assert page.locator(".files img").count() == 0


def test_an_existing_file_is_replaced_only_when_told(page: Page, guard: Guard) -> None:
    session = opened(page, MAKE_TREE)
    guard.allow("409")
    pick = page.locator(".files-pick")
    new = FilePayload(name="item1.txt", mimeType="text/plain", buffer=b"replaced")
    pick.set_input_files(new)
    dialog = page.get_by_role("dialog", name="Replace the file?")
    dialog.get_by_role("button", name="Skip").click()
    session.entry("item1.txt").click()
    expect(session.viewer.locator(".file-code")).to_have_text("1\n")
    pick.set_input_files(new)
    dialog.get_by_role("button", name="Replace").click()
    expect(session.viewer.locator(".file-code")).to_have_text("replaced")


def test_a_drop_on_a_folder_goes_into_it(page: Page) -> None:
    session = opened(page, MAKE_TREE)
    drop = """(row) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(["dropped"], "drop ped.txt"));
      for (const type of ["dragover", "drop"]) {
        row.dispatchEvent(new DragEvent(type, {dataTransfer: transfer, bubbles: true, cancelable: true}));
      }
    }"""
    session.entry("docs").evaluate(drop)
    expect(session.entry("drop ped.txt")).to_have_attribute("aria-level", "2")


def test_a_folder_is_uploaded_with_what_is_in_it(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "brought"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "inner" / "übung.txt").write_text("b")
    session = opened(page, "echo nothing")
    expect(page.get_by_text("Nothing in the workspace yet.")).to_be_visible()
    page.locator(".files-pick-folder").set_input_files(folder)
    session.entry("brought").click()
    session.entry("inner").click()
    session.entry("übung.txt").click()
    expect(session.viewer.locator(".file-code")).to_have_text("b")


def test_ten_thousand_entries_stay_usable(page: Page) -> None:
    session = opened(page, "mkdir many; cd many; seq 10000 | xargs touch")
    session.entry("many").click()
    expect(session.entry("500")).to_be_attached()
    more = session.tree.get_by_role("treeitem").filter(has_text="Show more (9,500 left)")
    more.click()
    expect(session.entry("1500")).to_be_attached(timeout=15_000)
    session.entry("many").focus()
    page.keyboard.press("End")
    expect(session.tree.locator("[role=treeitem]:focus")).to_contain_text("8,500 left")


def test_an_outage_is_told_and_the_page_comes_back(page: Page, guard: Guard) -> None:
    session = opened(page, MAKE_TREE)
    guard.allow("ERR_FAILED|Failed to load")
    page.route("**/files/**", lambda route: route.abort())
    page.get_by_role("button", name="Refresh").click()
    trouble = page.locator(".files-trouble")
    expect(trouble).to_contain_text("Berth does not answer")
    page.unroute("**/files/**")
    trouble.get_by_role("button", name="Try again").click()
    expect(trouble).to_be_hidden()
    expect(session.entry("docs")).to_be_visible()


def test_an_upload_shows_its_progress_and_can_be_cancelled(page: Page) -> None:
    session = opened(page, "echo nothing")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 500_000}
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", slow)
    large = FilePayload(name="large.bin", mimeType="", buffer=bytes(20_000_000))
    page.locator(".files-pick").set_input_files(large)
    uploads = page.get_by_role("region", name="Uploads")
    progress = uploads.get_by_role("progressbar", name="large.bin")
    page.wait_for_function("bar => bar.value > 500_000", arg=progress.element_handle())
    uploads.get_by_role("button", name="Cancel large.bin").click()
    expect(uploads).to_be_hidden()
    network.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
    page.get_by_role("button", name="Refresh").click()
    expect(session.tree).to_have_attribute("aria-busy", "false")
    expect(page.get_by_text("Nothing in the workspace yet.")).to_be_visible()
