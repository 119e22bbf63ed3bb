"""The page of a program that asks the model and runs its tools itself."""

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.guard import Guard
from tests.serve.server_process import ServerProcess, manage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
TOOL = {
    "type": "function",
    "function": {"name": "moor", "parameters": {"type": "object", "properties": {}}},
}
TASK = 'Moor her.\n```call moor\n{"ship": "Ida"}\n```'


def test_what_it_asked_and_was_told_is_seen(
    page: Page, guard: Guard, server: ServerProcess
) -> None:
    made = manage(server.environment, "create_api_key", "admin", "e2e")
    key = made.stdout.strip().splitlines()[-1].split()[-1]
    messages: list[object] = [{"role": "user", "content": TASK}]

    def ask() -> httpx2.Response:
        answer = httpx2.post(
            f"{server.url}/v1/chat/completions",
            headers={"Authorization": f"Bearer {key}"},
            json={"model": "default", "messages": messages, "tools": [TOOL]},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        return answer

    first = ask()
    said = first.json()["choices"][0]["message"]
    (call,) = said["tool_calls"]
    address = first.headers["x-berth-live-url"]
    page.goto(server.url + address[address.index("/sessions/") :])
    expect(page.locator("#session[data-caught-up=true]")).to_be_visible()
    asked = page.locator(".message-program.is-call")
    expect(asked).to_contain_text("moor")
    expect(asked).to_contain_text('"ship": "Ida"')
    expect(page.locator("[data-action=stop]").first).to_be_hidden()
    messages += [said, {"role": "tool", "tool_call_id": call["id"], "content": "She lies fast."}]
    assert ask().headers["x-berth-live-url"] == address
    expect(page.get_by_text("She lies fast.")).to_be_visible()
    expect(page.get_by_text("Result of moor")).to_be_visible()
