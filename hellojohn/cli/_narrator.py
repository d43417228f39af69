"""Tells the demo's story on a console and holds it to its claims. Knows no session."""

import textwrap
import time

from rich.console import Console
from rich.text import Text

_INDENT = "   "
_LABEL_WIDTH = 12
_LONGEST_LINE = 80


class ClaimFailedError(Exception):
    """A claim of the demo is not true."""


class Narrator:
    """Prints titles, prose, code, facts and checked claims; without a terminal, as plain text."""

    def __init__(self, console: Console, *, pause: float) -> None:
        """Tell the story on ``console``, with ``pause`` seconds before each title."""
        self._console = console
        self._pause = pause
        self._width = min(console.width, _LONGEST_LINE)
        self._marks = ("ok ", "no ") if console.options.ascii_only else ("\u2713 ", "\u2717 ")

    def title(self, text: str) -> None:
        """Begin a part of the story."""
        time.sleep(self._pause)
        self._console.print()
        self._line(Text(text, "bold"))

    def prose(self, text: str) -> None:
        """Say what happens."""
        self._wrapped(text)

    def code(self, line: str) -> None:
        """Show the code of an app."""
        self._line(Text(f"{_INDENT * 2}{line}", "cyan"))

    def fact(self, label: str, value: object) -> None:
        """Show the result."""
        self._wrapped(str(value), lead=f"{label:<{_LABEL_WIDTH}}", lead_style="dim")

    def claim(self, text: str, *, holds: bool) -> None:
        """Say what the step has shown.

        Raises:
            ClaimFailedError: It does not hold.
        """
        if not holds:
            raise ClaimFailedError(text)
        self._wrapped(text, lead=self._marks[0], lead_style="green")

    def failure(self, text: str) -> None:
        """Say what went wrong."""
        self._wrapped(text, lead=self._marks[1], lead_style="bold red", style="red")

    def _wrapped(self, text: str, *, lead: str = "", lead_style: str = "", style: str = "") -> None:
        width = self._width - len(_INDENT) - len(lead)
        for line in textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False):
            self._line(Text.assemble(_INDENT, (lead, lead_style), (line, style)))
            lead = " " * len(lead)

    def _line(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)
