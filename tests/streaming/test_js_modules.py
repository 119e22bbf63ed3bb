"""The page's pure modules, held to their rules by Node's own test runner."""

import re
import subprocess
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "static/js/session"
SUITES = sorted((ROOT / "tests/js").glob("*.test.mjs"))
IMPORT_MAP = ROOT / "templates/sessions/_session_importmap.html"


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.name)
def test_node_suite_passes(suite: Path) -> None:
    # The Node.js that Playwright brings along, so that no other needs to be installed.
    node, _ = compute_driver_executable()
    command = [node, "--import", "./tests/js/import-map.mjs", "--test", str(suite)]
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def imported_names(path: Path) -> set[str]:
    return set(re.findall(r'(?:from|import) "([^"]+)"', path.read_text()))


def test_every_import_of_the_page_is_in_the_import_map() -> None:
    mapped = dict(re.findall(r'"([^"]+)": "{% static \'([^\']+)\' %}"', IMPORT_MAP.read_text()))
    mapped["berth/ui"] = "js/ui.js"  # by base.html
    for name, file in mapped.items():
        assert (ROOT / "static" / file).is_file(), f"{name} leads to a file that does not exist"
    used = set().union(*(imported_names(path) for path in MODULES.glob("*.js")))
    assert used <= mapped.keys(), used - mapped.keys()


@pytest.mark.parametrize("path", sorted(MODULES.glob("*.js")), ids=lambda path: path.name)
def test_module_stays_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 400
