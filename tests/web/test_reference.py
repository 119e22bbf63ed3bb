"""The API reference: everything the document says, to read."""

import html
import re

from sessions.openapi.document import document
from sessions.openapi.reference import kind_of, schemas, subjects
from sessions.templatetags.berth import code_spans

BASE = "https://berth.example/v1"


def words(schema: dict[str, object]) -> str:
    return "".join(part.text for part in kind_of(schema))


def test_kinds_are_told_in_words() -> None:
    assert (
        words({"type": "array", "items": {"$ref": "#/components/schemas/Item"}}) == "list of Item"
    )
    assert words({"anyOf": [{"type": "string"}, {"type": "null"}]}) == "string or null"
    assert words({"enum": ["asc", "desc"]}) == '"asc" | "desc"'
    assert words({}) == "anything"


def test_every_operation_and_every_schema_is_shown() -> None:
    shown = document(BASE)
    names = {one.name for subject in subjects(shown) for one in subject.operations}
    expected = {one["operationId"] for path in shown["paths"].values() for one in path.values()}
    assert names == expected
    assert {one.name for one in schemas(shown)} == set(shown["components"]["schemas"])


def test_examples_are_requests_to_this_installation() -> None:
    curls = {
        one.name: one.curl for subject in subjects(document(BASE)) for one in subject.operations
    }
    assert f"curl -X POST {BASE}/containers " in curls["createContainer"]
    assert '"memory_limit": "1g"' in curls["createContainer"]
    assert "-F file=@notes.txt" in curls["createFile"]
    assert f"{BASE}/containers/CONTAINER_ID/files/FILE_ID" in curls["getContainerFile"]
    assert all("$BERTH_KEY" in curl for curl in curls.values())


async def test_the_page_has_them_all_and_its_links_lead_somewhere(alices) -> None:
    answer = await alices.get("/reference/")
    assert answer.status_code == 200
    content = answer.content.decode()
    assert "http://testserver/v1" in content, "the address that the browser asked"
    ids = set(re.findall(r'\sid="([^"]+)"', content))
    assert len(ids) == len(re.findall(r'\sid="', content)), "each id once"
    assert {"createContainer", "listModels", "object-ResponseObject"} <= ids
    leads = re.findall(r'(?:href="#|data-schema="|data-copy="#)([^"]+)"', content)
    assert {html.unescape(one) for one in leads} <= ids
    assert len(content) < 1_000_000


def test_what_stands_between_backticks_is_code() -> None:
    assert code_spans("With `a<b`, and <i>") == "With <code>a&lt;b</code>, and &lt;i&gt;"


async def test_a_stranger_signs_in_first(async_client) -> None:
    answer = await async_client.get("/reference/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/")
