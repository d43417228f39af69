"""Turns the code blocks of README.md, CONTRIBUTING.md and docs/ into tests.

``python`` blocks run, those of one document in one namespace, with ``await`` at the top level. At the first
of them the document gets an emulator, named ``emulator``, the settings that lead a client to it, and an empty
home. ``bash`` blocks do not run: the scripts, commands, options and extras that they name must exist.
"""

import ast
import asyncio
import inspect
import io
import os
import re
import shlex
import sys
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from importlib.metadata import metadata
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sybil import Example, Sybil
from sybil.evaluators.python import pad
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).parent.parent
_STATE = "__surroundings__"


class Surroundings:
    """What the Python blocks of one document run in."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        """Start the emulator and point the settings at it."""
        from hellojohn.emulator import Emulator  # noqa: PLC0415 - documents without Python blocks do without it

        with ExitStack() as stack:
            home = stack.enter_context(TemporaryDirectory())
            emulator = namespace["emulator"] = stack.enter_context(Emulator(port=0))
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setenv("HELLOJOHN_API_URL", emulator.url)
            patch.setenv("API_URL", emulator.url)
            patch.setenv("HELLOJOHN_TENANT_ID", emulator.tenant_id)
            patch.setenv("HELLOJOHN_PUBLISHABLE_KEY", emulator.publishable_key)
            patch.setenv("HELLOJOHN_SECRET_KEY", emulator.secret_key)
            _move_home(patch, home)
            self.runner = stack.enter_context(asyncio.Runner())
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Put everything back."""
        self._stack.close()


def _move_home(patch: pytest.MonkeyPatch, home: str) -> None:
    patch.chdir(home)
    patch.setenv("HOME", home)
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        patch.delenv(name, raising=False)


def run_python(example: Example) -> None:
    """Run a block in its document's namespace."""
    namespace = example.namespace
    surroundings = namespace.get(_STATE) or namespace.setdefault(_STATE, Surroundings(namespace))
    source = pad(example.parsed, example.line + example.parsed.line_offset)
    code = compile(source, example.path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    result = eval(code, namespace)
    if inspect.iscoroutine(result):
        surroundings.runner.run(result)


def check_commands(example: Example) -> str | None:
    """Return what a block names that does not exist."""
    lines = example.parsed.replace("\\\n", " ").splitlines()
    complaints = [complaint for line in lines if (complaint := _complaint(line))]
    return "\n".join(complaints) or None


def _complaint(line: str) -> str | None:
    for named in re.findall(r"\bhellojohn\[([\w,\s-]+)\]", line):
        unknown = {extra.strip() for extra in named.split(",")} - _extras()
        if unknown:
            return f"No such extra: {', '.join(sorted(unknown))}"
    words = _command(line)
    if words[:1] == ["hellojohn"] and not _accepted(words[1:]):
        return f"The command line does not take: {line.strip()}"
    if words and words[0].startswith("scripts/") and not os.access(ROOT / words[0], os.X_OK):
        return f"No such script: {words[0]}"
    return None


def _command(line: str) -> list[str]:
    words = shlex.split(line.removeprefix("$ "), comments=True)
    while words and re.match(r"[A-Z_]+=", words[0]):
        del words[0]
    return list(takewhile(lambda word: word not in {"&", "&&", "|", ";", ">"}, words))


def _extras() -> set[str]:
    return set(metadata("hellojohn").get_all("Provides-Extra") or ())


def _accepted(arguments: list[str]) -> bool:
    from hellojohn.cli import main  # noqa: PLC0415 - documents without commands do without it

    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        patch.setattr(sys, "argv", ["hellojohn", *arguments, "--help"])
        try:
            main()
        except SystemExit as end:
            return not end.code
    return True


def _leave(namespace: dict[str, Any]) -> None:
    if surroundings := namespace.pop(_STATE, None):
        surroundings.close()


blocks = Sybil(
    parsers=[CodeBlockParser("python", run_python), CodeBlockParser("bash", check_commands)],
    pattern="*.md",
    path=str(ROOT),
    teardown=_leave,
)
collect = blocks.pytest()
