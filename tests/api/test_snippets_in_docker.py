"""The programs to paste, run as they stand on the page against a real server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sessions.web.snippets import CLIENTS, Snippet
from tests.serve.server_process import ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.docker]

PROGRAMS = {
    ".py": [sys.executable],
    ".sh": ["bash", "-euo", "pipefail"],
}
SNIPPETS = {snippet.name: snippet for client in CLIENTS for snippet in client.snippets}
EXPECTED = {
    "python_shell": ["Watch it at http", "line 1\nline 2\nline 3\n", "exit code 0"],
    "python_files": ["numbers.txt 7 bytes", "sorted.txt 7 bytes", "2\n9\n10\n"],
    "python_background": ["line 4\n", "exit code 0"],
    "curl_shell": ["event: response.created", '"stdout":"line 3\\n"', "response.completed"],
    "curl_files": ["exit code 0", "2\n9\n10\n"],
    "curl_background": ["line 4", "response.completed", '"status": "completed"'],
    "agents_shell": ["line 1\nline 2\nline 3\n", "exit code 0"],
}


def output_of(snippet: Snippet, server: ServerProcess, key: str, folder: Path) -> str:
    file = folder / snippet.file
    file.write_text(snippet.text(base_url=f"{server.url}/v1", key=key))
    ran = subprocess.run(
        [*PROGRAMS[file.suffix], str(file)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_every_snippet_that_can_be_run_here_is() -> None:
    runnable = {name for name, one in SNIPPETS.items() if Path(one.file).suffix in PROGRAMS}
    # Codex is no part of the project's tests, and the JavaScript client is not installed for them.
    assert runnable - {"codex_run"} == set(EXPECTED)


@pytest.mark.parametrize("name", list(EXPECTED))
def test_a_snippet_does_what_it_says(
    name: str, api_server: ServerProcess, api_key: str, tmp_path: Path
) -> None:
    printed = output_of(SNIPPETS[name], api_server, api_key, tmp_path)
    for words in EXPECTED[name]:
        assert words in printed, printed
