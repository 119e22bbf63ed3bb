"""Programs to paste, with this Berth's own address and a key."""

import html
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient, RequestFactory

from sessions import services
from sessions.models import ApiKey
from sessions.web.base_url import base_url
from sessions.web.snippets import CLIENTS, NO_KEY, Snippet
from tests.web.test_dashboard import make_session

SNIPPETS = [snippet for client in CLIENTS for snippet in client.snippets]
BASE = "https://berth.example/v1"


def shown(page: str) -> dict[str, str]:
    """What the copy button of each takes, by id."""
    found = re.findall(
        r'<pre class="code-block"[^>]*><code id="(\w+)">(.*?)</code>', page, re.DOTALL
    )
    return {name: html.unescape(text) for name, text in found}


async def test_every_snippet_is_there_with_the_address_of_the_browser(
    alices: AsyncClient,
) -> None:
    texts = shown((await alices.get("/account/code/")).content.decode())
    assert list(texts) == [snippet.name for snippet in SNIPPETS]
    for name, text in texts.items():
        if name != "codex_run":
            assert "http://testserver/v1" in text, name
        assert "{{" not in text
    assert sum(NO_KEY in text for text in texts.values()) == len(SNIPPETS) - 1


@pytest.mark.parametrize(
    ("berth_url", "behind_proxy", "forwarded", "base"),
    [
        ("https://berth.example", False, "", "https://berth.example/v1"),
        ("http://localhost:8000", False, "https", "http://berth.example/v1"),
        ("http://localhost:8000", True, "https", "https://berth.example/v1"),
    ],
)
def test_the_address_is_right_behind_proxies(
    settings: Any, berth_url: str, behind_proxy: bool, forwarded: str, base: str
) -> None:
    settings.ALLOWED_HOSTS = ["berth.example"]
    settings.BERTH_URL = berth_url
    settings.SECURE_PROXY_SSL_HEADER = (
        ("HTTP_X_FORWARDED_PROTO", "https") if behind_proxy else None
    )
    headers = {"host": "berth.example", "x-forwarded-proto": forwarded}
    assert base_url(RequestFactory().get("/account/code/", headers=headers)) == base


async def test_a_key_that_was_just_made_is_filled_in_once(
    alices: AsyncClient, alice: User
) -> None:
    made = (await alices.post("/account/keys/", {"name": "new"})).content.decode()
    secret = re.search(r'name="secret" value="(berth_[\w-]+)"', made)
    assert secret
    answer = await alices.post("/account/code/", {"secret": secret[1]})
    assert answer["Cache-Control"] == "no-store"
    assert secret[1] in shown(answer.content.decode())["curl_shell"]
    assert secret[1] not in (await alices.get("/account/code/")).content.decode()
    assert (await ApiKey.objects.aget()).last_used_at is None


async def test_what_is_no_key_of_ones_own_is_not_shown(alices: AsyncClient, bob: User) -> None:
    _, bobs = await services.api_key_create(user=bob, name="bob's")
    for sent in (bobs, "berth_<script>", "'; rm -rf /"):
        page = (await alices.post("/account/code/", {"secret": sent})).content.decode()
        assert html.escape(sent) not in page
        assert NO_KEY in page


async def test_strangers_and_programs_do_not_get_it(alice: User) -> None:
    assert (await AsyncClient().get("/account/code/")).status_code == 302
    _, secret = await services.api_key_create(user=alice, name="k")
    answer = await AsyncClient().get(
        "/account/code/", headers={"authorization": f"Bearer {secret}"}
    )
    assert answer.status_code == 403


async def test_it_is_linked_where_it_is_needed(alices: AsyncClient, alice: User) -> None:
    session = await make_session(alice, "Sort")
    for path in ("/account/", f"/sessions/{session.id}/requests/", "/"):
        assert b'href="/account/code/"' in (await alices.get(path)).content


def node_of() -> str:
    node = shutil.which("node")
    assert node, "Node.js checks the programs for it"
    return node


@pytest.mark.parametrize("snippet", [s for s in SNIPPETS if s.file.endswith(".mjs")])
def test_javascript_is_valid(snippet: Snippet, tmp_path: Path) -> None:
    file = tmp_path / snippet.file
    file.write_text(snippet.text(base_url=BASE, key="berth_k"))
    subprocess.run([node_of(), "--check", str(file)], check=True, timeout=60)


@pytest.mark.parametrize("snippet", [s for s in SNIPPETS if s.file.endswith(".sh")])
def test_shell_is_valid(snippet: Snippet) -> None:
    text = snippet.text(base_url=BASE, key="berth_k")
    subprocess.run(["bash", "-n"], input=text, text=True, check=True, timeout=60)


def test_the_config_of_codex_is_read_as_it_is_meant() -> None:
    (config,) = [s for s in SNIPPETS if s.file.endswith(".toml")]
    read = tomllib.loads(config.text(base_url=BASE, key="berth_k"))
    provider = read["model_providers"][read["model_provider"]]
    assert provider["base_url"] == BASE
    assert provider["wire_api"] == "responses"
    (run,) = [s for s in SNIPPETS if s.name == "codex_run"]
    assert f'{provider["env_key"]}="berth_k"' in run.text(base_url=BASE, key="berth_k")


@pytest.mark.parametrize("snippet", [s for s in SNIPPETS if s.file.endswith(".py")])
def test_python_compiles(snippet: Snippet) -> None:
    compile(snippet.text(base_url=BASE, key="berth_k"), snippet.file, "exec")
