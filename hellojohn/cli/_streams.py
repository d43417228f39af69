"""Standard input, output and error: as the process gets them, and how the commands ask and read."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Literal, TextIO

import typer

from hellojohn.cli._store import fail


@contextmanager
def streams_prepared() -> Generator[None]:
    """Take closed streams for empty ones, write any character, and show a failure to write as one line."""
    sys.stdin = sys.stdin or _null("r")
    sys.stdout = sys.stdout or _null("w")
    sys.stderr = sys.stderr or _null("w")
    # In the C locale, Python reads bytes that are not UTF-8 as lone surrogates.
    for stream, errors in ((sys.stdin, "strict"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=errors)
    try:
        yield
    except OSError as error:
        sys.stdout = _null("w")  # at exit, Python would try again to write the rest
        sys.exit(f"hellojohn: {error}")


def ask(name: str, **options: Any) -> str:  # noqa: ANN401 - those of typer.prompt
    """Prompt on standard error, and return the next line of standard input."""
    # Even with err=True, typer.prompt writes the last character of the prompt to standard output.
    with _input_decoded(), redirect_stdout(sys.stderr):
        line: str = typer.prompt(name, **options)
    return line.removesuffix("\r")


def ask_secret(name: str) -> str:
    """Prompt for a line without showing it. If the input is a pipe, read the next line without a prompt."""
    if sys.stdin.isatty():
        return ask(name, hide_input=True)
    with _input_decoded():
        line = sys.stdin.readline()
    if not line:
        fail(f"Standard input is empty: pipe the {name.lower()} into the command.")
    return line.removesuffix("\n").removesuffix("\r")


def read_text(most: int) -> str:
    """Return at most so many characters of standard input."""
    with _input_decoded():
        return sys.stdin.read(most)


@contextmanager
def _input_decoded() -> Generator[None]:
    try:
        yield
    except UnicodeDecodeError:
        fail(f"Standard input is not {sys.stdin.encoding.upper()}.")


def _null(mode: Literal["r", "w"]) -> TextIO:
    return Path(os.devnull).open(mode, encoding="utf-8")
