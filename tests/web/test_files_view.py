"""The viewer: every kind of file shown in its way, and nothing of it run."""

import pytest
from django.test import AsyncClient

from sessions.models import Session
from sessions.runtime.process import Runtime
from sessions.sandbox.base import Sandbox
from tests.web.file_requests import FileRequests, body_of, error_of, in_workspace

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


@pytest.fixture
async def sandbox(agent_session: Session, sandbox_runtime: Runtime) -> Sandbox:
    return await sandbox_runtime.sandboxes.connect(agent_session)


@pytest.fixture
def files(alices: AsyncClient, agent_session: Session) -> FileRequests:
    return FileRequests(alices, agent_session)


async def shown(files: FileRequests, path: str, **options: object) -> str:
    response = await files.get("view", path, **options)
    assert response.status_code == 200
    return str(response.content.decode())


async def test_source_is_highlighted_by_classes_with_line_numbers(
    files: FileRequests, sandbox: Sandbox
) -> None:
    await sandbox.write_file("a.py", b"import os\nprint('<b>')\n")
    html = await shown(files, "a.py")
    assert '<span class="tok-kn">import</span>' in html
    assert "&lt;b&gt;" in html
    assert '<pre class="file-numbers" aria-hidden="true">1\n2</pre>' in html
    assert "style=" not in html


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.html", b"<!doctype html><script>alert(1)</script>"),
        ("a.svg", SVG),
        ("really.png", SVG),
        ("a.xml", b'<?xml version="1.0"?><script/>'),
    ],
)
async def test_a_page_is_only_ever_source(
    files: FileRequests, sandbox: Sandbox, name: str, data: bytes
) -> None:
    await sandbox.write_file(name, data)
    html = await shown(files, name)
    assert "Shown as source" in html
    assert 'data-view="source"' in html
    for tag in ("<script", "<svg xmlns", "<img", "<?xml"):
        assert tag not in html
    assert error_of(await files.get("image", name)) == (400, "wrong_entry_kind")


async def test_an_image_is_asked_from_an_address_that_runs_nothing(
    files: FileRequests, sandbox: Sandbox
) -> None:
    await sandbox.write_file("plot", PNG)
    html = await shown(files, "plot")
    assert f"/sessions/{files.session.id}/files/image/?path=plot&amp;" in html
    response = await files.get("image", "plot")
    assert await body_of(response) == PNG
    assert response["Content-Type"] == "image/png"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    again = await files.get("image", "plot", headers={"if-none-match": response["ETag"]})
    assert again.status_code == 304


async def test_an_image_over_the_limit_is_shown_as_bytes(
    files: FileRequests, sandbox: Sandbox
) -> None:
    await sandbox.write_file("huge.png", PNG)
    await in_workspace(sandbox, "truncate -s 33M huge.png")
    html = await shown(files, "huge.png")
    assert 'data-view="hex"' in html
    assert "Images over 32 MiB are not shown" in html
    assert error_of(await files.get("image", "huge.png")) == (413, "file_too_large")


async def test_csv_is_a_table_of_escaped_cells(files: FileRequests, sandbox: Sandbox) -> None:
    await sandbox.write_file("a.csv", b'name,note\nx,"<b>, ""quoted"""\ny\n')
    html = await shown(files, "a.csv")
    assert '<th scope="col" dir="auto">name</th>' in html
    assert '<td dir="auto">&lt;b&gt;, &quot;quoted&quot;</td>' in html
    assert "Not all rows are of the same length." in html
    assert 'data-view="source"' in await shown(files, "a.csv", **{"as": "source"})


async def test_markdown_is_rendered_and_its_source_one_click_away(
    files: FileRequests, sandbox: Sandbox
) -> None:
    text = b"# Hi\n<script>alert(1)</script>\n\n[x](b.md) ![p](p.png)\n"
    await sandbox.write_file("docs/a.md", text)
    html = await shown(files, "docs/a.md")
    assert "<h1>Hi</h1>" in html
    assert "<script" not in html
    assert 'data-open="docs/b.md"' in html
    assert f'src="/sessions/{files.session.id}/files/image/?path=docs/p.png"' in html
    assert '<button type="button"\n                  class="button small quiet"' in html
    assert 'data-view="source"' in await shown(files, "docs/a.md", **{"as": "source"})


async def test_bytes_are_shown_by_pages(files: FileRequests, sandbox: Sandbox) -> None:
    await sandbox.write_file("blob", bytes(range(256)) * 64)
    html = await shown(files, "blob")
    assert 'data-view="hex"' in html
    assert "00000000\n00000010\n" in html
    assert "00 01 02 03 04 05 06 07  08" in html
    later = await shown(files, "blob", **{"as": "hex"}, offset=5000)
    assert 'data-offset="4096"' in later
    assert "00001000\n" in later
    beyond = await shown(files, "blob", **{"as": "hex"}, offset=10**17)
    assert "00003000\n" in beyond


async def test_a_sparse_file_of_five_gigabytes_is_shown(
    files: FileRequests, sandbox: Sandbox
) -> None:
    await in_workspace(sandbox, "truncate -s 5G big; printf end >> big")
    html = await shown(files, "big", offset=5 * 1024**3)
    assert "140000000" in html
    assert "65 6e 64" in html


async def test_only_the_start_of_a_long_text_is_shown(
    files: FileRequests, sandbox: Sandbox
) -> None:
    await sandbox.write_file("big.log", b"line of a log\n" * 200_000)
    html = await shown(files, "big.log")
    assert "Only the first 1 MiB is shown" in html
    assert "<span>first " in html
    assert "Too long for colours" in html
    assert len(html) < 2_000_000


async def test_text_that_is_not_utf8_is_shown_with_a_note(
    files: FileRequests, sandbox: Sandbox
) -> None:
    await sandbox.write_file("latin.txt", "caf\u00e9 au lait".encode("latin-1"))
    html = await shown(files, "latin.txt")
    assert "caf\ufffd au lait" in html
    assert "Not valid UTF-8" in html


async def test_an_empty_file_says_so(files: FileRequests, sandbox: Sandbox) -> None:
    for name in ("a.txt", "a.csv", "a.md", "a.json"):
        await sandbox.write_file(name, b"")
        html = await shown(files, name)
        assert "The file is empty." in html
        assert "1 line" not in html


async def test_a_view_that_the_file_does_not_have_is_the_usual_one(
    files: FileRequests, sandbox: Sandbox
) -> None:
    await sandbox.write_file("a.html", b"<script>alert(1)</script>")
    html = await shown(files, "a.html", **{"as": "markdown"})
    assert 'data-view="source"' in html
    html = await shown(files, "a.html", **{"as": "image"})
    assert "<img" not in html


async def test_a_link_inside_is_followed_and_one_outside_refused(
    files: FileRequests, sandbox: Sandbox
) -> None:
    await in_workspace(sandbox, "echo hello > f; mkdir d; ln -s ../f d/in; ln -s /etc/passwd out")
    assert "hello" in await shown(files, "d/in")
    for verb in ("view", "raw", "image"):
        assert error_of(await files.get(verb, "out")) == (403, "outside_workspace")


async def test_what_is_no_file_is_told(files: FileRequests, sandbox: Sandbox) -> None:
    await in_workspace(sandbox, "mkdir d; mkfifo pipe; ln -s loop loop; ln -s nowhere dangling")
    for path, expected in {
        "d": (400, "wrong_entry_kind"),
        "pipe": (400, "wrong_entry_kind"),
        "loop": (400, "wrong_entry_kind"),
        "dangling": (404, "entry_not_found"),
        "gone": (404, "entry_not_found"),
    }.items():
        for verb in ("view", "raw"):
            assert error_of(await files.get(verb, path)) == expected, (path, verb)
