"""Pytest plugin: where CI=true, a skipped Docker, browser or model test fails the run.

On a developer's machine a skip is a convenience; in CI it would be a test nobody runs.
"""

import os

import pytest

GUARDED_MARKERS = frozenset({"docker", "e2e", "model"})


class SkipGuard:
    def __init__(self) -> None:
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        is_expected_failure = hasattr(report, "wasxfail")
        if report.skipped and not is_expected_failure and GUARDED_MARKERS & set(report.keywords):
            self.skipped.append(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.skipped and session.exitstatus in {
            pytest.ExitCode.OK,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        }:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for nodeid in self.skipped:
            terminalreporter.write_line(f"CI=true, yet skipped: {nodeid}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI", "").lower() == "true":
        config.pluginmanager.register(SkipGuard(), "no-silent-skips")
