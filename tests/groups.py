"""Pytest plugin: which tests run beside each other with `pytest -n 2 --dist loadgroup`.

Tests of one group run one after the other in the same process. Those that use the machine's engine,
a browser or the model's weights share images, volumes and the processor's time with each other;
those that break engines on purpose bring their own, and mostly wait; those of the sandbox have an
installation of their own. All others go by file.

The groups are told by folder: the marker that xdist has for this is without effect, as it renames
tests in a way that pytest 9.2 does not see.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]
from xdist.workermanage import WorkerController  # type: ignore[import-untyped]

ENGINE_MARKERS = ("docker", "e2e", "model")
ENGINE_FOLDERS = frozenset({"bootstrap", "docker", "e2e", "evaluation", "serve"})
ENGINE_FILES = ("docker", "test_file_uploads.py")
"""Parts of the names of those elsewhere."""
FOLDERS_APART = frozenset({"chaos", "sandbox"})
LONGEST_FIRST = ("chaos", "engine", "sandbox")


def group_of(nodeid: str) -> str:
    """Of a test by its id, `tests/folder/test_file.py::name`."""
    file = nodeid.partition("::")[0]
    folder = file.split("/")[1]
    if folder in FOLDERS_APART:
        return folder
    is_shared = folder in ENGINE_FOLDERS or any(part in file for part in ENGINE_FILES)
    return "engine" if is_shared else file


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        """xdist begins with the group of most tests: those of chaos are few, and take longest."""
        for group in reversed(LONGEST_FIRST):
            if group in self.workqueue:
                self.workqueue.move_to_end(group, last=False)
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    return ByGroup(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        is_shared = any(item.get_closest_marker(name) for name in ENGINE_MARKERS)
        if is_shared and group_of(item.nodeid) not in LONGEST_FIRST:
            raise pytest.UsageError(
                f"{item.nodeid} needs the engine: see ENGINE_FOLDERS, ENGINE_FILES."
            )
