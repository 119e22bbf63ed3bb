"""The Debian mirrors this machine already uses, so that a base image comes from the same place."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

RELEASE = "bookworm"
SUITES = frozenset({RELEASE, f"{RELEASE}-updates", f"{RELEASE}-security"})
COMPONENTS = frozenset({"main", "contrib", "non-free", "non-free-firmware"})
APT_FOLDER = Path("/etc/apt")


@dataclass(frozen=True, slots=True)
class Source:
    uri: str
    suite: str
    components: tuple[str, ...]

    @property
    def is_debian(self) -> bool:
        """Third-party archives may use the same suite names, hardly ever the same paths."""
        return (
            self.suite in SUITES
            and "main" in self.components
            and COMPONENTS.issuperset(self.components)
            and re.search(r"/debian(-security)?/?$", self.uri) is not None
        )

    @property
    def line(self) -> str:
        return f"deb {self.uri} {self.suite} main"


def debian_sources(folder: Path = APT_FOLDER) -> list[Source]:
    """Those of this release, in their order; none on another release or distribution."""
    lists = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))]
    stanzas = sorted((folder / "sources.list.d").glob("*.sources"))
    found: list[Source] = []
    for path in lists:
        if path.is_file():
            found += _one_line_entries(path.read_text(errors="replace"))
    for path in stanzas:
        found += _stanza_entries(path.read_text(errors="replace"))
    sources = [source for source in dict.fromkeys(found) if source.is_debian]
    return sources if any(source.suite == RELEASE for source in sources) else []


def _one_line_entries(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+?)\s*(?:#.*)?$", line)
        if match:
            yield Source(match[1], match[2], tuple(match[3].split()))


def _stanza_entries(text: str) -> Iterator[Source]:
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(_fields(stanza.splitlines()))
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(uri, suite, tuple(fields.get("components", "").split()))


def _fields(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, colon, value = line.partition(":")
        if colon and not line.startswith(("#", " ", "\t")):
            yield name.strip().lower(), value.strip()
