"""Pastes the Python blocks that a reader of a page sees, in order: ``python -m tests.pasting PAGE``.

A block with a title, as in ``python title="app.py"``, is added to the file of that name. All other blocks run
in one namespace, with ``await`` at the top level, as in ``python -m asyncio``. At the end, the files that no
block has imported are imported, and pytest runs those named ``test_*.py``. HTML comments are not read: they
hold the blocks that a reader does not see.

``python -m tests.pasting --print PAGE`` prints the blocks, for a type checker.
"""

import ast
import asyncio
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_BLOCK = re.compile(r'(?ms)^ *```python(?: title="(?P<title>.+?)")?\n(?P<source>.*?)^ *```$')


class Block(NamedTuple):
    """One visible block.

    Attributes:
        source: Its code.
        title: The file that it belongs to, if it names one.
        line: Its first line in the page.
    """

    source: str
    title: str | None
    line: int


def visible(page: Path) -> list[Block]:
    """Return the Python blocks of a page that are not in HTML comments."""
    text = _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), page.read_text("utf-8"))
    return [
        Block(dedent(found["source"]), found["title"], text.count("\n", 0, found.start()) + 2)
        for found in _BLOCK.finditer(text)
    ]


def save(title: str, source: str) -> None:
    """Add a block to the file of its title, in the working directory."""
    with Path(title).open("a", encoding="utf-8") as file:
        file.write(f"{source}\n\n")


def run(source: str, page: str, line: int, namespace: dict[str, Any], runner: asyncio.Runner) -> None:
    """Run a block; ``line`` is its first line, so that a traceback names the line of the page."""
    padded = "\n" * (line - 1) + source
    code = compile(padded, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    result = eval(code, namespace)
    if inspect.iscoroutine(result):
        runner.run(result)


def paste(page: Path) -> None:
    """Paste the visible blocks of a page."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for block in visible(page):
            if block.title:
                save(block.title, block.source)
            else:
                run(block.source, str(page), block.line, namespace, runner)
    for file in sorted(Path().glob("*.py")):
        if not file.name.startswith("test_"):
            importlib.import_module(file.stem)
    if list(Path().glob("test_*.py")):
        subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], check=True)


if __name__ == "__main__":
    if sys.argv[1] == "--print":
        sys.stdout.write("\n".join(block.source for block in visible(Path(sys.argv[2]))))
    else:
        paste(Path(sys.argv[1]))
