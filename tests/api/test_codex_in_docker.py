"""The Codex CLI as it is, by the configuration that docs/api.md gives."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts.clients import CLIENTS
from tests.serve.server_process import ServerProcess, manage

pytestmark = [pytest.mark.slow, pytest.mark.docker]
CODEX = CLIENTS / "node_modules" / ".bin" / "codex"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "api.md"
LONGEST_S = 150


class Codex:
    """In a home and a folder of its own."""

    def __init__(self, server: ServerProcess, key: str, folder: Path) -> None:
        self._server = server
        self._key = key
        self._home = folder / "home"
        self.folder = folder / "project"
        self._home.mkdir()
        self.folder.mkdir()
        (found,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
        config = found.replace("http://127.0.0.1:8000", server.url)
        (self._home / "config.toml").write_text(config)

    def run(self, *arguments: str) -> list[dict[str, Any]]:
        """The events it prints."""
        ran = subprocess.run(
            [CODEX, "exec", "--json", "--skip-git-repo-check", *arguments],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self._home),
                "CODEX_HOME": str(self._home),
                "BERTH_KEY": self._key,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
        return [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]


@pytest.fixture
def codex(api_server: ServerProcess, api_key: str, tmp_path: Path) -> Codex:
    return Codex(api_server, api_key, tmp_path)


def items(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    done = [event["item"] for event in events if event["type"] == "item.completed"]
    return [item for item in done if item["type"] == kind]


def test_its_answer_comes(codex: Codex) -> None:
    events = codex.run("Say hello")
    assert items(events, "agent_message")
    assert events[-1]["type"] == "turn.completed"


def test_its_commands_run_where_it_is(codex: Codex) -> None:
    (codex.folder / "note.txt").write_text("from home\n")
    task = 'Read it.\n```call exec_command\n{"cmd": "cat note.txt"}\n```'
    # Its own sandbox needs user namespaces, which not every machine allows.
    events = codex.run("--sandbox", "danger-full-access", task)
    (command,) = items(events, "command_execution")
    assert command["aggregated_output"] == "from home\n"
    assert command["exit_code"] == 0
    assert items(events, "agent_message")


def test_a_task_of_many_requests_is_one_page_to_watch(
    codex: Codex, api_server: ServerProcess
) -> None:
    task = 'Print.\n```call exec_command\n{"cmd": "echo printed by codex"}\n```'
    first = codex.run("--sandbox", "danger-full-access", task)
    thread = next(event["thread_id"] for event in first if event["type"] == "thread.started")
    codex.run("resume", thread, "And say goodbye")
    look = (
        "from sessions.models import ApiResponse; rows = ApiResponse.objects.filter("
        f"cache_key='{thread}'); print(rows.count(), rows.values('session').distinct().count())"
    )
    printed = manage(api_server.environment, "shell", "--no-imports", "-c", look).stdout
    assert printed.split() == ["3", "1"], "responses, and the sessions that they are turns of"
