"""What a program prints or leaves behind is shown, never obeyed."""

from playwright.sync_api import Page, expect

from tests.e2e.guard import Guard
from tests.e2e.session_page import create_session, script
from tests.serve.server_process import ServerProcess

SEQUENCES = r"""
printf '\033]0;stolen title\007\033]2;stolen title\007'
printf '\033[c\033[6n\033[5n\033]10;?\007\033P$qm\033\\\033[21t'
i=0; while [ $i -lt 3000 ]; do printf '\007'; i=$((i+1)); done
printf '\033]52;c;c3RvbGVu\007'
printf '\033]8;;https://example.org/\033\\a link\033]8;;\033\\\n'
printf '\033[?1049h\033[2J\033[Hfull screen\n'
printf '\033[?1000h\033[?2004h\033c\n'
printf '\377\376\200 broken utf-8\n'
echo "the end is near"
"""
HOSTILE_FILES = r"""
printf '<script>document.title="owned"</script><h1 id=owned>hi</h1>' > page.html
printf '<svg xmlns="http://www.w3.org/2000/svg" onload="document.title=1"><script>1</script></svg>' \
  > picture.svg
printf '# Title\n<img src=x onerror="document.title=2"><script>1</script>[x](javascript:alert(1))' \
  > doc.md
printf '![remote](https://example.org/pixel.png)\n' > remote.md
printf 'x' > "$(printf 'new\nline.txt')"
printf 'x' > "$(printf 'rtl\342\200\256gpj.txt')"
printf 'x' > "$(printf 'bad\377name.txt')"
ln -s /etc/passwd leak
echo made
"""


def test_terminal_sequences_change_nothing_outside_the_terminal(page: Page) -> None:
    session = create_session(page, script("true"))
    session.wait_until_done()
    title = page.title()
    session.send(script(SEQUENCES, "echo still usable"))
    session.wait_for_terminal("still usable\n")
    expect(session.cards).to_have_count(3)
    session.wait_until_done()
    shown = session.terminal_text()
    assert "the end is near" in shown
    assert "still usable" in shown
    assert page.title() == title
    # A report that is asked for would come back as typed text; nothing may be sent.
    expect(session.message).to_have_value("")
    assert page.evaluate("document.querySelectorAll('#terminal a[href]').length") == 0


def test_files_are_shown_as_text_and_downloaded_as_attachments(
    page: Page, guard: Guard, server: ServerProcess
) -> None:
    session = create_session(page, script(HOSTILE_FILES))
    session.wait_until_done()
    title = page.title()
    session.open_files()
    for name in ("page.html", "picture.svg", "doc.md", "remote.md"):
        session.entry(name).click()
        expect(session.viewer.get_by_role("article", name=name)).to_be_visible()
        assert session.viewer.locator("script, svg[onload], [onerror], #owned").count() == 0
        assert session.viewer.locator('a[href^="javascript:"], iframe, object').count() == 0
        assert page.title() == title
    for name in ("page.html", "picture.svg"):
        answer = page.request.get(f"{page.url}files/raw/?path={name}")
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"
        image = page.request.get(f"{page.url}files/image/?path={name}")
        assert image.status >= 400, "only raster images are shown inline"
    assert not any("example.org" in url for url in guard.requested)


def test_odd_names_are_shown_safely_and_can_be_opened(page: Page) -> None:
    session = create_session(page, script(HOSTILE_FILES))
    session.wait_until_done()
    session.open_files()
    names = session.tree.locator(".files-name").all_inner_texts()
    assert len(names) == 8
    joined = "".join(names)
    assert "\n" not in joined
    assert "\u202e" not in joined
    odd = [name for name in names if name.startswith(("new", "rtl", "bad"))]
    assert len(odd) == 3
    for name in odd:
        session.entry(name).click()
        expect(session.viewer.locator(".file-code")).to_have_text("x")


def test_symlink_out_of_the_workspace_does_not_lead_out(page: Page, guard: Guard) -> None:
    guard.allow("40[0-9]|403")
    session = create_session(page, script(HOSTILE_FILES))
    session.wait_until_done()
    answer = page.request.get(f"{page.url}files/raw/?path=leak")
    assert answer.status in {403, 404}
    assert "root:" not in answer.text()
    above = page.request.get(f"{page.url}files/raw/?path=../etc/passwd")
    assert above.status in {400, 403, 404}
