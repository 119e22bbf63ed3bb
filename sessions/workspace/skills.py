"""Skills: folders with instructions for a model, as the Agent Skills standard has them
(agentskills.io/specification), checked and brought into one form.

A bundle is hostile: it comes as a zip that may be a bomb, or as files whose names lead elsewhere.
"""

import io
import re
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from typing_extensions import override

from sessions.errors import FileTooLargeError, InvalidInputError, OutsideWorkspaceError
from sessions.workspace.paths import check_path

MIB = 1024 * 1024
MAX_BUNDLE_BYTES = 50 * MIB
"""Of a zip, and of all files together."""
MAX_FILES = 500
MAX_FILE_BYTES = 25 * MIB
MAX_NAME_LENGTH = 64
MAX_DESCRIPTION_LENGTH = 1024
MAX_COMPATIBILITY_LENGTH = 500
MAX_FRONT_MATTER_BYTES = 64 * 1024
MANIFEST = "skill.md"
NAME_PATTERN = "[a-z0-9]+(?:[-_][a-z0-9]+)*"
_NAME = re.compile(NAME_PATTERN)
_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class SkillFile:
    """`path` begins with the bundle's one folder."""

    path: str
    content: bytes
    is_executable: bool = False


@dataclass(frozen=True, slots=True)
class SkillBundle:
    """A bundle that was checked. `files` have paths below its folder."""

    name: str
    description: str
    files: tuple[SkillFile, ...]

    def to_zip(self) -> bytes:
        """The same bytes for the same files, below a folder of the skill's name."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in self.files:
                info = zipfile.ZipInfo(f"{self.name}/{file.path}", _EPOCH)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = (0o755 if file.is_executable else 0o644) << 16
                archive.writestr(info, file.content)
        return packed.getvalue()


def bundle_of_zip(data: bytes) -> SkillBundle:
    """Raises: InvalidInputError, FileTooLargeError."""
    if len(data) > MAX_BUNDLE_BYTES:
        raise FileTooLargeError(f"A skill's zip has up to {MAX_BUNDLE_BYTES // MIB} MiB.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = [info for info in archive.infolist() if not info.filename.endswith("/")]
            if len(infos) > MAX_FILES:
                raise _too_many(len(infos))
            return bundle_of_files(_all_unpacked(archive, infos))
    except InvalidInputError:
        raise
    except Exception as error:  # zipfile and zlib meet hostile bytes with errors of a dozen kinds
        raise InvalidInputError("This is not a zip that can be read.", param="files") from error


def _all_unpacked(
    archive: zipfile.ZipFile, infos: Iterable[zipfile.ZipInfo]
) -> Iterator[SkillFile]:
    """Given up as soon as it is too much: files within their limit can be a bomb together."""
    total = 0
    for info in infos:
        yield (file := _unpacked(archive, info))
        total += len(file.content)
        if total > MAX_BUNDLE_BYTES:
            raise _too_large()


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> SkillFile:
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
        raise _wrong(f"{info.filename!r} is a link or a device; plain files alone are taken.")
    with archive.open(info) as file:
        # What the zip says of its sizes is not believed.
        content = file.read(MAX_FILE_BYTES + 1)
    return SkillFile(info.filename, content, is_executable=bool(mode & 0o111))


def bundle_of_files(files: Iterable[SkillFile]) -> SkillBundle:
    """Raises: InvalidInputError, FileTooLargeError."""
    given = list(files)
    if len(given) > MAX_FILES:
        raise _too_many(len(given))
    _check_sizes(given)
    folders = {file.path.partition("/")[0] for file in given}
    if len(folders) != 1 or any("/" not in file.path for file in given):
        raise _wrong("A skill is one folder with all its files in it.")
    inside = [SkillFile(_inside(file.path), file.content, file.is_executable) for file in given]
    _check_places(inside)
    manifests = [file for file in inside if file.path.rpartition("/")[2].lower() == MANIFEST]
    if len(manifests) != 1 or "/" in manifests[0].path:
        raise _wrong("A skill has exactly one SKILL.md, right in its folder.")
    facts = _front_matter(manifests[0].content)
    name, description = _name(facts), _text(facts, "description", MAX_DESCRIPTION_LENGTH)
    _check_optional(facts)
    return SkillBundle(name, description, tuple(sorted(inside, key=lambda file: file.path)))


def _inside(path: str) -> str:
    """The path below the bundle's folder."""
    inside = path.partition("/")[2]
    if not inside:
        raise _wrong(f"{path!r} names no file.")
    try:
        return check_path(inside)
    except OutsideWorkspaceError as error:
        raise _wrong(f"{path!r} leads out of the skill.") from error


def _check_sizes(files: list[SkillFile]) -> None:
    for file in files:
        if len(file.content) > MAX_FILE_BYTES:
            limit = f"{MAX_FILE_BYTES // MIB} MiB"
            raise FileTooLargeError(f"{file.path!r} is larger than {limit}.", param="files")
    if sum(len(file.content) for file in files) > MAX_BUNDLE_BYTES:
        raise _too_large()


def _check_places(files: list[SkillFile]) -> None:
    """No file twice, and none where another has a folder."""
    paths = {file.path for file in files}
    if len(paths) != len(files):
        raise _wrong("Two files of the skill have the same path.")
    for path in paths:
        parts = path.split("/")
        if any("/".join(parts[:depth]) in paths for depth in range(1, len(parts))):
            raise _wrong(f"{path!r} lies below what is a file.")


def _front_matter(manifest: bytes) -> dict[str, Any]:
    try:
        text = manifest.decode()
    except UnicodeDecodeError as error:
        raise _wrong("SKILL.md is not UTF-8.") from error
    found = _FRONT_MATTER.match(text)
    if found is None or len(found[1].encode()) > MAX_FRONT_MATTER_BYTES:
        raise _wrong("SKILL.md begins with front matter between two lines of `---`.")
    try:
        facts = yaml.load(found[1], Loader=_NoAliases)  # noqa: S506  (a SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _wrong("The front matter of SKILL.md is not YAML.") from error
    if not isinstance(facts, dict):
        raise _wrong("The front matter of SKILL.md is not a list of keys and values.")
    return facts


class _NoAliases(yaml.SafeLoader):
    """A few lines of aliases of aliases stand for gigabytes."""

    @override
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not taken")
        return super().compose_node(parent, index)


def _name(facts: dict[str, Any]) -> str:
    name = _text(facts, "name", MAX_NAME_LENGTH)
    if not _NAME.fullmatch(name):
        raise _wrong(
            "The name of a skill has small letters, digits and single hyphens between them."
        )
    return name


def _text(facts: dict[str, Any], key: str, longest: int) -> str:
    value = facts.get(key)
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        raise _wrong(f"SKILL.md needs a `{key}` of 1 to {longest} characters.")
    return value


def _check_optional(facts: dict[str, Any]) -> None:
    if "compatibility" in facts:
        _text(facts, "compatibility", MAX_COMPATIBILITY_LENGTH)
    for key in ("license", "allowed-tools"):
        if not isinstance(facts.get(key, ""), str):
            raise _wrong(f"`{key}` in SKILL.md is a text.")
    metadata = facts.get("metadata", {})
    is_map = isinstance(metadata, dict) and all(
        isinstance(part, str) for pair in metadata.items() for part in pair
    )
    if not is_map:
        raise _wrong("`metadata` in SKILL.md maps texts to texts.")


def _too_large() -> FileTooLargeError:
    limit = f"{MAX_BUNDLE_BYTES // MIB} MiB"
    return FileTooLargeError(f"A skill's files have up to {limit} together.", param="files")


def _too_many(count: int) -> InvalidInputError:
    return _wrong(f"A skill has up to {MAX_FILES} files, not {count}.")


def _wrong(message: str) -> InvalidInputError:
    return InvalidInputError(message, param="files")
