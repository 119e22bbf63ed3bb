"""A step that is done is not done again; one whose ground changed is."""

from pathlib import Path

import pytest

from scripts import engine_api, environment, prepare, stamps
from scripts.host import SetupError


@pytest.fixture
def steps_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the administrative commands that were asked for, instead of running them."""
    run: list[str] = []
    monkeypatch.setattr(stamps, "VAR", tmp_path)
    monkeypatch.setattr(prepare, "VAR", tmp_path)
    monkeypatch.setattr(prepare, "ROOT", tmp_path)
    monkeypatch.setattr(prepare, "manage", lambda *words: run.append(words[0]))
    for name in ("DATABASE_URL", "DATABASE_URL_FILE"):
        monkeypatch.delenv(name, raising=False)
    return run


def test_a_stamp_holds_until_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamps, "VAR", tmp_path / "var")
    (tmp_path / "a").write_text("1")
    before = stamps.content_key(tmp_path.glob("a*"))
    assert not stamps.is_current("step", before)
    stamps.mark("step", before)
    assert stamps.is_current("step", before)
    (tmp_path / "a").write_text("2")
    assert not stamps.is_current("step", stamps.content_key(tmp_path.glob("a*")))
    (tmp_path / "a").write_text("1")
    (tmp_path / "a2").write_text("")
    assert not stamps.is_current("step", stamps.content_key(tmp_path.glob("a*")))


def test_a_database_is_migrated_once(tmp_path: Path, steps_run: list[str]) -> None:
    (tmp_path / "db.sqlite3").touch()
    prepare.ensure_database()
    prepare.ensure_database()
    assert steps_run == ["migrate", "ensure_admin"]


def test_a_new_migration_is_applied(tmp_path: Path, steps_run: list[str]) -> None:
    (tmp_path / "db.sqlite3").touch()
    prepare.ensure_database()
    migrations = tmp_path / "sessions" / "migrations"
    migrations.mkdir(parents=True)
    (migrations / "0002_more.py").touch()
    prepare.ensure_database()
    assert steps_run == ["migrate", "ensure_admin"] * 2


def test_a_replaced_database_is_migrated(tmp_path: Path, steps_run: list[str]) -> None:
    (tmp_path / "db.sqlite3").touch()
    prepare.ensure_database()
    (tmp_path / "other").touch()
    (tmp_path / "other").rename(tmp_path / "db.sqlite3")
    prepare.ensure_database()
    assert steps_run == ["migrate", "ensure_admin"] * 2


def test_a_database_elsewhere_is_always_looked_at(
    steps_run: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://somewhere/db")
    prepare.ensure_database()
    prepare.ensure_database()
    assert steps_run == ["migrate", "ensure_admin"] * 2


def test_images_are_built_again_when_the_engine_lost_them(
    steps_run: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = dict.fromkeys(prepare.IMAGES, "sha256:1")
    monkeypatch.setattr(engine_api, "image_id", lambda name: images.get(name, ""))
    prepare.ensure_images()
    prepare.ensure_images()
    assert steps_run == ["build_images"]
    images.clear()
    prepare.ensure_images()
    assert steps_run == ["build_images"] * 2


def test_an_unknown_step_is_refused() -> None:
    assert prepare.main(["nonsense"]) == 2
    assert prepare.main([]) == 2


def test_a_step_that_cannot_go_on_says_so_and_stops(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise SetupError("Run: this command")

    monkeypatch.setitem(prepare.STEPS, "engine", fail)
    monkeypatch.setitem(prepare.STEPS, "images", lambda: pytest.fail("went on"))
    assert prepare.main(["engine", "images"]) == 1
    assert "Run: this command" in capsys.readouterr().out


def test_a_uv_that_does_not_run_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, working = tmp_path / "uv", tmp_path / "tools" / "bin" / "uv"
    working.parent.mkdir(parents=True)
    for path, status in ((broken, 1), (working, 0)):
        path.write_text(f"#!/bin/sh\nexit {status}\n")
        path.chmod(0o700)
    monkeypatch.setattr(environment, "TOOLS", tmp_path / "tools")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert environment.ensure_uv() == str(working)
