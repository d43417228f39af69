"""What every test run shares: the documents' code blocks are tests, and CI skips nothing in silence."""

import gc
import os
import sys
import threading
from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.counts import FULL, reporter
from tests.documents import collect

pytest_plugins = ["tests.services"]
pytest_collect_file = collect
report = pytest.fixture(reporter)

settings.register_profile("short", max_examples=40)
settings.register_profile("proof", max_examples=2_000)
settings.load_profile("proof" if FULL else "short")

_LONG = ("processes", "browser", "stores", "simulation")  # rooms whose tests take longest: they start first
_UNMEASURED = ("browser", "conformance", "examples", "processes", "real_server", "secrecy", "simulation")
"""Rooms that repeat calls which others measure, as the documents do."""
_EXCUSE = "only on "  # the reason of a test for another operating system or Python


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run two workers per core: most tests wait for sockets, processes and locks."""
    return 2 * (os.cpu_count() or 1)


def pytest_configure(config: pytest.Config) -> None:
    """Measure the coverage of the workers, not of the hundreds of programs that they start."""
    if hasattr(config, "workerinput"):
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run the tests that add nothing to the coverage without its tracer, which costs a third of the time."""
    if item.path.parent.name not in _UNMEASURED and item.path.suffix != ".md":
        return (yield)
    tracer, tracer_of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        threading.settrace(tracer_of_threads)
        sys.settrace(tracer)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests, so that no worker is left alone with them at the end."""
    items.sort(key=lambda item: item.path.parent.name not in _LONG)


def pytest_collection_finish() -> None:
    """Keep the garbage collector from looking at fifteen thousand tests each time that a test runs it."""
    gc.collect()
    gc.freeze()


def _skipped(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.getplugin("terminalreporter")
    reasons = [str(report.longrepr[-1]) for report in reporter.stats.get("skipped", ())]
    return [reason for reason in reasons if not reason.removeprefix("Skipped: ").startswith(_EXCUSE)]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run on CI that skipped a test: there, every service that a test wants must be up."""
    if os.environ.get("CI") and _skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why such a run fails."""
    if os.environ.get("CI") and _skipped(terminalreporter.config):
        terminalreporter.write_line(
            f"CI fails on a skip, unless its reason begins with {_EXCUSE!r}.", red=True
        )
