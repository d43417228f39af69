"""Libraries that fetch keys, when the keys change, run out or cannot be had. The table goes into the page."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version

from benchmarks._verifiers import CONTENDERS

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "keys.md"

BEGIN = "<!-- scripts/bench keys writes what is between these lines -->\n"
END = "<!-- until here -->\n"


def measure(callers: int = 50, page: Path = PAGE) -> list[str]:
    """Return the table's lines, and put them into the page."""
    columns = [_run(contender.name, callers) for contender in CONTENDERS]
    versions = {contender.package: version(contender.package) for contender in CONTENDERS}
    named = ", ".join(f"{package} {number}" for package, number in versions.items())
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, Python {python_version()}: {named}.",
        "",
        f"| | {' | '.join(contender.name for contender in CONTENDERS)} |",
        f"|---|{'---|' * len(CONTENDERS)}",
        *(f"| {row} | {' | '.join(column[row] for column in columns)} |" for row in columns[0]),
    ]
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    text = "\n".join(lines)
    page.write_text(f"{before}{BEGIN}\n{text}\n\n{END}{after}", encoding="utf-8")
    return lines


def _run(name: str, callers: int) -> dict[str, str]:
    command = [sys.executable, "-m", "benchmarks._key_race", name, str(callers)]
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return dict(json.loads(run.stdout))
