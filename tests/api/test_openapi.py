"""The OpenAPI document: whole, valid, and the same without a server."""

import json
import re
from typing import Any

import httpx2
import openai
import pytest
from django.core.management import call_command
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31

from sessions.api.urls import urlpatterns
from sessions.openapi.document import document
from tests.api.own_document import own, own_problems


def operations() -> list[dict[str, Any]]:
    return [one for path in own()["paths"].values() for one in path.values()]


def test_it_is_an_openapi_document() -> None:
    problems = [
        f"{error.json_path}: {error.message[:200]}"
        for error in Draft202012Validator(OPENAPI_31).iter_errors(own())
    ]
    assert problems == []


def test_its_schemas_are_schemas() -> None:
    for name, schema in own()["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert name == schema["title"]


def test_what_it_refers_to_is_there() -> None:
    text = json.dumps(own())
    for reference in set(re.findall(r'"#/([^"]+)"', text)):
        found: Any = own()
        for step in reference.split("/"):
            found = found[step]


def test_every_address_is_in_it_with_every_method() -> None:
    expected = {}
    for pattern in urlpatterns:
        endpoint = getattr(pattern.callback, "endpoint", None)
        route = str(pattern.pattern)
        if endpoint is not None and route != "^":
            path = "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", route)
            expected[path] = {method.lower() for method in endpoint.operations}
    assert expected
    assert {path: set(found) for path, found in own()["paths"].items()} == expected


def test_operations_have_names_of_their_own() -> None:
    names = [one["operationId"] for one in operations()]
    assert len(names) == len(set(names))
    assert {"createContainerFile", "listModels", "cancelResponse", "getSkill"} <= set(names)
    assert {"getVectorStoreFileBatch", "listVectorStoreFileBatchFiles"} <= set(names)


def test_each_operation_says_what_it_is_about() -> None:
    tags = {tag["name"]: tag["description"] for tag in own()["tags"]}
    for one in operations():
        assert one["summary"]
        assert tags[one["tags"][0]]
        assert {"400", "401", "5XX"} <= set(one["responses"])


def test_names_of_schemas_are_words() -> None:
    for name in own()["components"]["schemas"]:
        assert re.fullmatch(r"[A-Z][A-Za-z]+", name), name


def test_ids_in_paths_have_their_patterns() -> None:
    (container, file, *_) = own()["paths"]["/containers/{container_id}/files/{file_id}"]["get"][
        "parameters"
    ]
    assert container["schema"]["pattern"] == "^cntr_[0-9a-f]{32}$"
    assert file["schema"]["pattern"] == "^cfile_[0-9a-f]{32}$"
    (file, *_) = own()["paths"]["/files/{file_id}"]["get"]["parameters"]
    assert re.fullmatch(file["schema"]["pattern"], "file-" + "0" * 32)


def test_forms_are_described_where_files_are_read() -> None:
    body = own()["paths"]["/files"]["post"]["requestBody"]["content"]
    assert list(body) == ["multipart/form-data"]
    assert set(body["multipart/form-data"]["schema"]["required"]) == {"file", "purpose"}
    body = own()["paths"]["/containers/{container_id}/files"]["post"]["requestBody"]["content"]
    assert set(body) == {"multipart/form-data", "application/json"}


def test_streams_are_described_by_their_events() -> None:
    content = own()["paths"]["/responses"]["post"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/event-stream"}


def test_what_was_made_leads_to_what_can_be_done_with_it() -> None:
    names = {one["operationId"] for one in operations()}
    posts = own()["paths"]
    links = posts["/skills/{skill_id}/versions"]["post"]["responses"]["200"]["links"]
    assert links["getSkillVersion"]["parameters"] == {
        "skill_id": "$request.path.skill_id",
        "version": "$response.body#/version",
    }
    for path in ("/containers", "/responses", "/files", "/conversations", "/skills"):
        links = posts[path]["post"]["responses"]["200"]["links"]
        assert set(links) <= names
        assert len(links) >= 3


def examples() -> list[Any]:
    return [
        pytest.param(name, example, id=name)
        for name, schema in own()["components"]["schemas"].items()
        for example in schema.get("examples", ())
    ]


@pytest.mark.parametrize(("name", "example"), examples())
def test_examples_are_what_they_are_examples_of(name: str, example: Any) -> None:
    assert own_problems({"$ref": f"#/components/schemas/{name}"}, example) == []


async def test_it_is_served_to_whoever_asks(async_client, settings) -> None:
    settings.BERTH_URL = "https://berth.example"
    answer = await async_client.get("/v1/openapi.json")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == document("https://berth.example/v1")
    seen = {"If-None-Match": answer["ETag"]}
    again = await async_client.get("/v1/openapi.json", headers=seen)
    assert again.status_code == 304
    refused = await async_client.post("/v1/openapi.json")
    assert refused.status_code == 405
    assert refused.json()["error"]["code"] == "method_not_supported"


def test_a_command_writes_it(tmp_path, settings) -> None:
    settings.BERTH_URL = "https://berth.example"
    call_command("openapi", str(tmp_path / "openapi.json"))
    written = json.loads((tmp_path / "openapi.json").read_text())
    assert written == document("https://berth.example/v1")


async def test_what_to_include_may_be_named_either_way(client: openai.AsyncOpenAI) -> None:
    made = await client.conversations.create()
    path = f"/conversations/{made.id}/items?include=reasoning.encrypted_content"
    await client.get(f"{path}&include[]=file_search_call.results", cast_to=httpx2.Response)
    with pytest.raises(openai.BadRequestError) as raised:
        await client.get(f"{path}&include=the.moon", cast_to=httpx2.Response)
    assert raised.value.param == "include[1]"
