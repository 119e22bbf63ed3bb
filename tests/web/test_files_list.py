"""The tree: order, caps, fingerprints and names of any bytes."""

from typing import Any

import pytest
from django.test import AsyncClient

from sessions.models import Session
from sessions.runtime.process import Runtime
from sessions.sandbox.base import Sandbox
from tests.web.file_requests import FileRequests, body_of, error_of, in_workspace

NAMES = [
    b"new\nline",
    b"tab\t and \x1b[31mred",
    b"quote'\"`<b>&amp;",
    "gpj.\u202eexe".encode(),
    "caf\u00e9 \U0001f600".encode(),
    b"\xff\xfe broken \x80",
    b"back\\slash",
    b"a+b%20c?d#e&f=g",
    b"..hidden",
    b" ",
    b"n" * 255,
]


@pytest.fixture
async def sandbox(agent_session: Session, sandbox_runtime: Runtime) -> Sandbox:
    return await sandbox_runtime.sandboxes.connect(agent_session)


@pytest.fixture
def files(alices: AsyncClient, agent_session: Session) -> FileRequests:
    return FileRequests(alices, agent_session)


async def listed(files: FileRequests, path: str = "", **options: object) -> Any:
    response = await files.get("list", path, **options)
    assert response.status_code == 200
    return response.json()


async def test_folders_come_first_and_numbers_count(files: FileRequests, sandbox: Sandbox) -> None:
    await in_workspace(sandbox, "touch a10 a2 B c A; mkdir z y10 y9")
    names = [entry["name"] for entry in (await listed(files))["entries"]]
    assert names == ["y9", "y10", "z", "A", "a2", "a10", "B", "c"]


async def test_an_entry_tells_kind_size_time_and_target(
    files: FileRequests, sandbox: Sandbox
) -> None:
    await in_workspace(
        sandbox, "printf abc > f; touch -d @1700000000 f; ln -s /etc/passwd out; mkfifo pipe"
    )
    by_name = {entry["name"]: entry for entry in (await listed(files))["entries"]}
    assert by_name["f"] == {
        "name": "f",
        "plain": True,
        "query": "f",
        "kind": "file",
        "size": 3,
        "modified": 1700000000,
        "target": None,
    }
    assert (by_name["out"]["kind"], by_name["out"]["target"]) == ("symlink", "/etc/passwd")
    assert by_name["pipe"]["kind"] == "other"


@pytest.mark.parametrize("raw", NAMES)
async def test_any_name_comes_back_by_its_query(
    files: FileRequests, sandbox: Sandbox, raw: bytes
) -> None:
    name = raw.decode("utf-8", "surrogateescape")
    await sandbox.write_file(f"folder/{name}", raw)
    (entry,) = (await listed(files, "folder"))["entries"]
    assert entry["query"].isascii()
    assert entry["name"].isprintable()
    assert entry["plain"] == (entry["name"] == name)
    url = f"/sessions/{files.session.id}/files/raw/?path={entry['query']}"
    response = await files.client.get(url)
    assert await body_of(response) == raw
    shown = await files.client.get(url.replace("/raw/", "/view/"))
    assert shown.status_code == 200
    assert f"Content of {entry['name']}" in shown.content.decode().replace("&#x27;", "'").replace(
        "&quot;", '"'
    ).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert (await files.post("delete", {"path": entry["query"]})).status_code == 204
    assert (await listed(files, "folder"))["entries"] == []


async def test_an_unchanged_folder_is_a_304(files: FileRequests, sandbox: Sandbox) -> None:
    await in_workspace(sandbox, "echo a > a")
    first = await files.get("list", "")
    again = await files.get("list", "", headers={"if-none-match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    await in_workspace(sandbox, "echo b > a")
    changed = await files.get("list", "", headers={"if-none-match": first["ETag"]})
    assert changed.status_code == 200


@pytest.mark.parametrize(
    "script",
    ["touch b", "rm a", "mv a c", "printf longer > a", "touch -d @5 a", "ln -sf x l", "chmod 7 a"],
)
async def test_every_change_changes_the_fingerprint(
    files: FileRequests, sandbox: Sandbox, script: str
) -> None:
    await in_workspace(sandbox, "echo a > a; ln -s y l")
    before = (await listed(files))["fingerprint"]
    assert (await listed(files))["fingerprint"] == before
    await in_workspace(sandbox, script)
    assert (await listed(files))["fingerprint"] != before


@pytest.mark.slow
async def test_a_large_folder_is_sent_in_part(files: FileRequests, sandbox: Sandbox) -> None:
    await in_workspace(sandbox, "mkdir many; cd many; seq 10000 | xargs touch")
    listing = await listed(files, "many")
    assert (len(listing["entries"]), listing["total"]) == (500, 10_000)
    assert [entry["name"] for entry in listing["entries"][:3]] == ["1", "2", "3"]
    more = await listed(files, "many", limit=1500)
    assert (len(more["entries"]), more["total"]) == (1500, 10_000)
    assert more["fingerprint"] != listing["fingerprint"]
    # What is not shown counts as well.
    await in_workspace(sandbox, "echo x > many/9999")
    assert (await listed(files, "many"))["fingerprint"] != listing["fingerprint"]


@pytest.mark.parametrize("limit", ["-1", "x", "1e9", "9" * 30, "%D9%A3"])
async def test_a_forged_limit_is_the_usual_one(
    files: FileRequests, sandbox: Sandbox, limit: str
) -> None:
    await in_workspace(sandbox, "seq 600 | xargs touch")
    assert len((await listed(files, limit=limit))["entries"]) == 500


async def test_what_is_no_folder_is_told(files: FileRequests, sandbox: Sandbox) -> None:
    await in_workspace(sandbox, "echo x > f; ln -s / out")
    assert error_of(await files.get("list", "f")) == (400, "wrong_entry_kind")
    assert error_of(await files.get("list", "gone")) == (404, "entry_not_found")
    assert error_of(await files.get("list", "out")) == (403, "outside_workspace")


async def test_only_changed_folders_are_answered(files: FileRequests, sandbox: Sandbox) -> None:
    await in_workspace(sandbox, "mkdir a b; echo x > f")
    known = [
        {"query": query, "fingerprint": (await listed(files, query))["fingerprint"]}
        for query in ("", "a", "b")
    ]
    quiet = await files.post("changes", {"folders": known, "file": None})
    assert quiet.json() == {"folders": [], "file": None}
    await in_workspace(sandbox, "touch a/new")
    (changed,) = (await files.post("changes", {"folders": known[1:]})).json()["folders"]
    assert (changed["query"], [e["name"] for e in changed["entries"]]) == ("a", ["new"])


async def test_a_folder_that_is_gone_is_told_beside_the_others(
    files: FileRequests, sandbox: Sandbox
) -> None:
    await in_workspace(sandbox, "mkdir a")
    asked = [{"query": "gone", "fingerprint": "x"}, {"query": "a", "fingerprint": "x"}]
    gone, here = (await files.post("changes", {"folders": asked})).json()["folders"]
    assert (gone["query"], gone["missing"]) == ("gone", True)
    assert here["query"] == "a"


async def test_the_open_file_is_told_apart_by_its_etag(
    files: FileRequests, sandbox: Sandbox
) -> None:
    await in_workspace(sandbox, "echo x > f")
    etag = (await files.head("raw", "f"))["ETag"]
    ask = {"folders": [], "file": "f"}
    assert (await files.post("changes", ask)).json()["file"] == {"query": "f", "etag": etag}
    await in_workspace(sandbox, "echo longer > f")
    assert (await files.post("changes", ask)).json()["file"]["etag"] != etag
    await in_workspace(sandbox, "rm f")
    assert (await files.post("changes", ask)).json()["file"]["etag"] == ""


async def test_too_many_folders_are_refused(files: FileRequests, sandbox: Sandbox) -> None:
    folders = [{"query": "", "fingerprint": ""}] * 201
    assert error_of(await files.post("changes", {"folders": folders})) == (400, "invalid_input")
