"""Which of a machine's package sources a base image may be made from."""

from pathlib import Path

from sessions.sandbox.image.debian_sources import debian_sources


def lines(folder: Path) -> list[str]:
    return [source.line for source in debian_sources(folder)]


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_stanzas_of_this_release_are_taken(tmp_path: Path) -> None:
    write(
        tmp_path,
        "sources.list.d/debian.sources",
        "Types: deb\n# a comment\nURIs: http://mirror.test/debian\n"
        "Suites: bookworm bookworm-updates\nComponents: main\n\n"
        "Types: deb\nURIs: http://mirror.test/debian-security\n"
        "Suites: bookworm-security\nComponents: main contrib\n",
    )
    assert lines(tmp_path) == [
        "deb http://mirror.test/debian bookworm main",
        "deb http://mirror.test/debian bookworm-updates main",
        "deb http://mirror.test/debian-security bookworm-security main",
    ]


def test_one_line_entries_are_taken(tmp_path: Path) -> None:
    write(
        tmp_path,
        "sources.list",
        "deb [signed-by=/k.gpg arch=amd64] http://mirror.test/debian/ bookworm main contrib\n"
        "# deb http://mirror.test/debian bookworm-updates main\n"
        "deb-src http://mirror.test/debian bookworm main\n",
    )
    assert lines(tmp_path) == ["deb http://mirror.test/debian/ bookworm main"]


def test_third_parties_and_disabled_stanzas_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "sources.list", "deb http://mirror.test/debian bookworm main\n")
    write(
        tmp_path,
        "sources.list.d/others.sources",
        "Types: deb\nURIs: http://vendor.test/linux/debian\nSuites: bookworm\n"
        "Components: stable\n\n"
        "Types: deb\nURIs: http://vendor.test/php\nSuites: bookworm\nComponents: main\n\n"
        "Enabled: no\nTypes: deb\nURIs: http://off.test/debian\nSuites: bookworm\n"
        "Components: main\n",
    )
    assert lines(tmp_path) == ["deb http://mirror.test/debian bookworm main"]


def test_another_release_gives_none(tmp_path: Path) -> None:
    write(tmp_path, "sources.list", "deb http://mirror.test/debian trixie main\n")
    assert lines(tmp_path) == []
    write(tmp_path, "sources.list", "deb http://mirror.test/debian bookworm-updates main\n")
    assert lines(tmp_path) == []


def test_no_folder_gives_none(tmp_path: Path) -> None:
    assert lines(tmp_path / "none") == []
