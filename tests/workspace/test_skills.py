"""Skills as they are sent: what is taken, and what is refused."""

import contextlib
import io
import stat
import zipfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typing_extensions import override

from sessions.errors import FileTooLargeError, InvalidInputError
from sessions.workspace import skills
from sessions.workspace.skills import SkillFile, bundle_of_files, bundle_of_zip

MANIFEST = b"---\nname: harbour-log\ndescription: Sorts the log.\n---\n# How\nSort it.\n"


def folder(*files: SkillFile, manifest: bytes = MANIFEST) -> list[SkillFile]:
    return [SkillFile("top/SKILL.md", manifest), *files]


def zipped(*entries: tuple[str, bytes], mode: int = 0o644, kind: int = stat.S_IFREG) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = (kind | mode) << 16
            archive.writestr(info, content)
    return packed.getvalue()


def test_a_folder_and_its_zip_are_the_same_skill() -> None:
    script = SkillFile("top/scripts/sort.py", b"print(1)\n")
    from_files = bundle_of_files(folder(script))
    from_zip = bundle_of_zip(zipped(("top/SKILL.md", MANIFEST), (script.path, script.content)))
    assert from_files == from_zip
    assert (from_files.name, from_files.description) == ("harbour-log", "Sorts the log.")
    assert from_files.to_zip() == from_zip.to_zip()


def test_what_is_packed_is_taken_again_below_the_skills_name() -> None:
    bundle = bundle_of_files(folder(SkillFile("top/run.sh", b"#!/bin/sh\n", is_executable=True)))
    packed = bundle.to_zip()
    assert bundle_of_zip(packed) == bundle
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == ["harbour-log/SKILL.md", "harbour-log/run.sh"]
        assert archive.getinfo("harbour-log/run.sh").external_attr >> 16 & 0o111


@pytest.mark.parametrize("name", ["skill.md", "Skill.MD", "SKILL.md"])
def test_the_manifests_name_may_have_any_case(name: str) -> None:
    assert bundle_of_files([SkillFile(f"top/{name}", MANIFEST)]).name == "harbour-log"


@pytest.mark.parametrize(
    "front_matter",
    [
        "name: a\ndescription: b\nlicense: MIT\ncompatibility: needs git\n"
        "metadata:\n  author: x\nallowed-tools: Bash(git:*)\n",
        "name: basic_math\ndescription: >\n  Two\n  lines.\n",
        'name: "x1"\ndescription: "a: b"\nversion: 3\n',
    ],
)
def test_front_matter_that_is_taken(front_matter: str) -> None:
    bundle_of_files(folder(manifest=f"---\n{front_matter}---\nText\n".encode()))


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"# No front matter\n",
        b"---\nname: a\ndescription: b\n",
        b"---\n- a\n---\n",
        b"---\nname: [\n---\n",
        b"---\ndescription: b\n---\n",
        b"---\nname: a\n---\n",
        b"---\nname: a\ndescription: ''\n---\n",
        b"---\nname: A\ndescription: b\n---\n",
        b"---\nname: a--b\ndescription: b\n---\n",
        b"---\nname: -a\ndescription: b\n---\n",
        b"---\nname: ../a\ndescription: b\n---\n",
        b"---\nname: " + b"a" * 65 + b"\ndescription: b\n---\n",
        b"---\nname: a\ndescription: " + b"b" * 1025 + b"\n---\n",
        b"---\nname: a\ndescription: b\ncompatibility: " + b"c" * 501 + b"\n---\n",
        b"---\nname: a\ndescription: b\nmetadata: [1]\n---\n",
        b"---\nname: a\ndescription: b\nmetadata:\n  x: 1\n---\n",
        b"---\nname: 5\ndescription: b\n---\n",
        b"---\nname: !!python/object/apply:os.system [ls]\ndescription: b\n---\n",
        b"---\na: &a [x]\nname: a\ndescription: b\nmetadata: *a\n---\n",
        b"---\nname: a\ndescription: b\xff\n---\n",
        b"---\n" + b"[" * 5000 + b"\n---\n",
    ],
)
def test_front_matter_that_is_refused(manifest: bytes) -> None:
    with pytest.raises(InvalidInputError):
        bundle_of_files(folder(manifest=manifest))


@pytest.mark.parametrize(
    "path",
    [
        "top/../x",
        "top//x",
        "/top/x",
        "top/./x",
        "other/x",
        "x",
        "top/a\0b",
        "top/SKILL.md/x",
        "top/",
    ],
)
def test_a_path_leads_nowhere_else(path: str) -> None:
    with pytest.raises(InvalidInputError):
        bundle_of_files(folder(SkillFile(path, b"x")))
    if "\0" not in path and not path.endswith("/"):
        with pytest.raises(InvalidInputError):
            bundle_of_zip(zipped(("top/SKILL.md", MANIFEST), (path, b"x")))


@pytest.mark.parametrize(
    "files",
    [
        [],
        [SkillFile("top/readme.md", MANIFEST)],
        [SkillFile("top/SKILL.md", MANIFEST), SkillFile("top/sub/skill.md", MANIFEST)],
        [SkillFile("top/sub/SKILL.md", MANIFEST)],
        [SkillFile("top/SKILL.md", MANIFEST), SkillFile("top/SKILL.md", MANIFEST)],
        folder(SkillFile("top/a", b""), SkillFile("top/a/b", b"")),
    ],
)
def test_one_manifest_and_no_path_twice(files: list[SkillFile]) -> None:
    with pytest.raises(InvalidInputError):
        bundle_of_files(files)


def test_sizes_and_counts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [SkillFile(f"top/{number}", b"") for number in range(skills.MAX_FILES)]
    with pytest.raises(InvalidInputError, match="501"):
        bundle_of_files(folder(*many))
    bundle_of_files(folder(*many[:-1]))
    monkeypatch.setattr(skills, "MAX_FILE_BYTES", 1000)
    with pytest.raises(FileTooLargeError):
        bundle_of_files(folder(SkillFile("top/a", bytes(1001))))
    monkeypatch.setattr(skills, "MAX_BUNDLE_BYTES", 1500)
    with pytest.raises(FileTooLargeError):
        bundle_of_files(folder(*(SkillFile(f"top/{number}", bytes(800)) for number in range(2))))


def test_a_zip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skills, "MAX_FILE_BYTES", 1000)
    with pytest.raises(FileTooLargeError):
        bundle_of_zip(zipped(("top/SKILL.md", MANIFEST), ("top/zeros", bytes(10_000_000))))


def test_many_small_bombs_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much as one file may have is unpacked beyond the limit, whatever number there are."""
    unpacked = 0

    class Counted(zipfile.ZipExtFile):
        @override
        def read(self, n: int | None = -1) -> bytes:
            nonlocal unpacked
            data = super().read(n)
            unpacked += len(data)
            return data

    monkeypatch.setattr(skills, "MAX_FILE_BYTES", 100_000)
    monkeypatch.setattr(skills, "MAX_BUNDLE_BYTES", 250_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("top/SKILL.md", MANIFEST)
        for number in range(100):
            archive.writestr(f"top/{number}", bytes(90_000))
    monkeypatch.setattr(zipfile, "ZipExtFile", Counted)
    with pytest.raises(FileTooLargeError, match="together"):
        bundle_of_zip(packed.getvalue())
    assert unpacked < 400_000


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(kind: int) -> None:
    with pytest.raises(InvalidInputError):
        bundle_of_zip(zipped(("top/SKILL.md", MANIFEST), kind=kind))


@given(st.binary(max_size=400))
def test_what_is_no_zip_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInputError):
        bundle_of_zip(data)


@given(st.integers(0, 300), st.integers(0, 255))
@example(280, 0)  # a file without a name
def test_a_damaged_zip_is_taken_or_refused(place: int, value: int) -> None:
    packed = bytearray(zipped(("top/SKILL.md", MANIFEST), ("top/a", b"abc" * 10)))
    packed[place % len(packed)] = value
    with contextlib.suppress(InvalidInputError):
        bundle_of_zip(bytes(packed))
