"""Options of the whole suite. Tests below tests/engine build real images: they run with ``--engine`` only."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest

from tests.golden_file import Golden

_ENGINE_TESTS: Final = Path(__file__).parent / "engine"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", action="store_true", help="run the tests that need a container engine")
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files instead of comparing")
    parser.addoption("--no-skips", action="store_true", help="an engine test that skips has failed (for CI)")


def pytest_configure() -> None:
    os.environ.pop("GITHUB_STEP_SUMMARY", None)  # commands under test would add to the summary of the step that tests
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs, and theirs, ignore it


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_ENGINE_TESTS):
            item.add_marker("engine")
            if not config.getoption("--engine"):
                item.add_marker(pytest.mark.skip(reason="needs --engine"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # an xfail is reported as a skip too, and is none
    if report.skipped and _must_not_skip(item) and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which --no-skips forbids: {_reason(report.longrepr)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A module that skips itself as a whole never comes to a test report."""
    report = yield
    if report.outcome == "skipped" and _must_not_skip(collector):
        report.outcome = "failed"
        report.longrepr = f"skipped, which --no-skips forbids: {_reason(report.longrepr)}"
    return report


def _must_not_skip(node: pytest.Item | pytest.Collector) -> bool:
    return bool(node.config.getoption("--no-skips")) and node.path.is_relative_to(_ENGINE_TESTS)


def _reason(longrepr: object) -> object:
    return longrepr[2] if isinstance(longrepr, tuple) else longrepr


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    def hold(text: str, path: Path) -> None:
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return hold
