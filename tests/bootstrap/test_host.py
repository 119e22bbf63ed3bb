"""Set-up knows its machine, shows progress, and says what failed."""

import re
import sys
from pathlib import Path

import pytest

from scripts import host
from scripts.host import SetupError, distributions, run_logged


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ID=debian\nVERSION_CODENAME=bookworm\n", {"debian"}),
        ("ID=ubuntu\nID_LIKE=debian\n", {"ubuntu", "debian"}),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', {"rocky", "rhel", "centos", "fedora"}),
        ("NAME=Debian\n", set()),
    ],
)
def test_the_distribution_is_read_from_os_release(
    tmp_path: Path, text: str, expected: set[str]
) -> None:
    (tmp_path / "os-release").write_text(text)
    assert distributions(tmp_path / "os-release") == expected


def test_a_machine_without_os_release_is_unknown(tmp_path: Path) -> None:
    assert distributions(tmp_path / "none") == frozenset()


def test_output_of_a_step_is_kept_in_its_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "step.log"
    run_logged([sys.executable, "-c", "print('one'); print('two')"], log=log)
    assert log.read_text() == "one\ntwo\n"


def test_a_long_step_shows_a_line_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(host, "PROGRESS_EVERY_S", 0.0)
    run_logged([sys.executable, "-c", "print('unpacking')"], log=tmp_path / "log")
    assert "unpacking" in capsys.readouterr().out


def test_a_failed_step_ends_with_its_last_lines(tmp_path: Path) -> None:
    program = "import sys; print('the reason'); sys.exit(3)"
    with pytest.raises(SetupError, match="the reason"):
        run_logged([sys.executable, "-c", program], log=tmp_path / "log")


def test_an_ordinary_user_is_told_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "is_root", lambda: False)
    with pytest.raises(SetupError, match=re.escape("sudo apt-get install --yes")):
        host.apt_install("some-package")
