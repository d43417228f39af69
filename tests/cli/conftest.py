"""Fixtures of the command line's tests: the command in this process, and as a child process."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

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
def shell() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a line of a POSIX shell that knows the command, with UTF-8 for input and output by default."""

    def call(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join((str(Path(_COMMAND).parent), os.environ["PATH"]))
        env = os.environ | {"PATH": path, "PYTHONIOENCODING": "utf-8"} | variables
        return subprocess.run(
            ["sh", "-c", line], env=env, capture_output=True, check=False, encoding="utf-8", timeout=60
        )

    return call


@pytest.fixture
def terminal() -> Callable[..., str]:
    """Run the command with its output on a terminal of some width; return the output without styles."""
    pty = pytest.importorskip("pty")

    def call(columns: int, *arguments: str, input: str = "") -> str:  # noqa: A002 - as subprocess calls it
        ours, theirs = pty.openpty()
        env = os.environ | {"COLUMNS": str(columns), "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
        with os.fdopen(ours, "rb", buffering=0) as screen:
            with os.fdopen(theirs, "wb") as output:
                process = subprocess.Popen(
                    [_COMMAND, *arguments], env=env, stdin=subprocess.PIPE, stdout=output, text=True
                )
            with process:
                process.stdin.write(input)
                process.stdin.close()
                return re.sub("\x1b\\[[0-9;]*m", "", b"".join(_shown(screen)).decode())

    return call


def _shown(screen: BinaryIO) -> Iterator[bytes]:
    """Yield what a terminal shows until its program has ended, which Linux reports as an error."""
    with suppress(OSError):
        while chunk := screen.read(65_536):
            yield chunk


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
