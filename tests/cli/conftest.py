"""Fixtures of the command line's tests: the command in this process, and as a child process."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hellojohn.cli._app import app

_COMMAND = str(Path(sys.executable).with_name("hellojohn"))
_SAY_IN_COLOURS = ("COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "NO_COLOR", "PY_COLORS", "TTY_COMPATIBLE")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own settings out of the tests."""
    ours = [name for name in os.environ if name.startswith("HELLOJOHN_")]
    for name in (*ours, *_SAY_IN_COLOURS):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run the command in this process."""

    def call(*arguments: str, **options: object) -> Result:
        return CliRunner().invoke(app, arguments, **options)

    return call


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[str]]:
    """Start the command as a process, with its output in a pipe by default."""
    running = []

    def call(*arguments: str, **options: object) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        running.append(subprocess.Popen([_COMMAND, *arguments], **(pipes | options)))
        return running[-1]

    yield call
    for process in running:
        with process:
            process.kill()
