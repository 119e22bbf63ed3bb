"""The values settings make at the first start, whatever cuts that start short."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from webapp.kept_secret import kept_secret

PROGRAM = """
import sys, time
from pathlib import Path
from webapp.kept_secret import kept_secret
sys.stdin.read()
print(kept_secret(Path(sys.argv[1])))
"""


def start(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(path)]
    return subprocess.Popen(command, stdin=-1, stdout=-1, text=True)


def test_a_value_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    value = kept_secret(path)
    assert len(value) > 60
    assert kept_secret(path) == path.read_text() == value
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_file_counts_as_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    value = kept_secret(path)
    assert len(value) > 60
    assert kept_secret(path) == value
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_write_that_fails_leaves_nothing_that_counts(tmp_path: Path) -> None:
    path = tmp_path / "key"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))  # As if the disk had 10 bytes left.
    try:
        with pytest.raises(OSError, match="too large"):
            kept_secret(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [child.name for child in tmp_path.iterdir()] == ["key"]
    assert len(kept_secret(path)) > 60


@pytest.mark.parametrize("is_empty", [False, True])
def test_processes_that_start_at_once_agree(tmp_path: Path, is_empty: bool) -> None:
    path = tmp_path / "key"
    if is_empty:
        path.touch()
    programs = [start(path) for _ in range(6)]
    for program in programs:
        assert program.stdin is not None
        program.stdin.close()
    values = set()
    for program in programs:
        assert program.stdout is not None
        values.add(program.stdout.read().strip())
        program.stdout.close()
        assert program.wait(30) == 0
    assert values == {path.read_text()}


def test_settings_start_anew_after_a_first_start_that_was_cut_short(tmp_path: Path) -> None:
    (tmp_path / "secret_key").touch()
    (tmp_path / "installation_id").touch()
    code = "from webapp import settings as s; print(len(s.SECRET_KEY), s.BERTH_INSTALLATION_ID)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"BERTH_VAR_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    length, installation = done.stdout.split()
    assert int(length) > 60
    assert (tmp_path / "installation_id").read_text().startswith(installation)
