"""Writes the report of a proof into its page as tables: ``python -m tests.proof_report REPORT PAGE``."""

import platform
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

HEADING = "## The last report"
_BUG = re.compile(r"simulation: the planted bug (\S+) is caught: (.+)")


def table(first: str, second: str, rows: list[tuple[str, str]]) -> str:
    """Return a Markdown table, sorted by its first column."""
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in sorted(rows)]
    return "\n".join(["", f"| {first} | {second} |", "|---|---|", *(f"| {line} |" for line in lines)])


def rendered(report: str) -> str:
    """Return the tables for a report, whose lines are ``- test: result``."""
    lines = [line.removeprefix("- ") for line in report.splitlines() if line.startswith("- ")]
    bugs = [(f"`{found[1]}`", found[2]) for line in lines if (found := _BUG.fullmatch(line))]
    runs = [line.rpartition(": ") for line in lines if not _BUG.fullmatch(line)]
    return "\n".join(
        [
            table("test", "result", [(name, result) for name, _, result in runs]),
            "\nThe bugs that were planted in the engine, and the first violation that the simulation found:",
            table("planted bug", "violation", bugs),
            "",
        ]
    )


def main(report: Path, page: Path) -> None:
    """Replace the last report of the page."""
    before = page.read_text("utf-8").partition(HEADING)[0]
    now = f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.system()}."
    text = f"{before}{HEADING}\n\n{now}\n{rendered(report.read_text('utf-8'))}"
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
