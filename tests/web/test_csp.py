"""What the browser is told to refuse."""

import re

import pytest

PAGES = ["/", "/account/", "/account/code/", "/skills/", "/reference/", "/no/such/page/"]


@pytest.mark.parametrize("path", PAGES)
async def test_scripts_come_from_here_or_carry_the_nonce(alices, path):
    answer = await alices.get(path)
    policy = dict(
        part.strip().split(" ", 1) for part in answer["Content-Security-Policy"].split(";")
    )
    nonce = re.search(r"'nonce-([^']+)'", policy["script-src"])
    assert nonce
    assert "unsafe" not in policy["script-src"]
    assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    for tag in re.findall(r"<script[^>]*>", answer.content.decode()):
        assert 'src="/static/' in tag or f'nonce="{nonce[1]}"' in tag, tag


@pytest.mark.parametrize("path", PAGES)
async def test_pages_ask_no_other_host_and_hold_no_inline_handlers(alices, path):
    content = (await alices.get(path)).content.decode()
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', content)
    assert not re.search(r'\son\w+="', content)
    assert "hx-on" not in content


async def test_each_answer_has_a_nonce_of_its_own(alices):
    first, second = [await alices.get("/") for _ in range(2)]
    assert first["Content-Security-Policy"] != second["Content-Security-Policy"]


async def test_answers_are_not_sniffed_framed_or_followed(alices):
    answer = await alices.get("/")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"
