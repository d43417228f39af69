"""Libraries that sign in with a browser, from its return to Ctrl-C. The table goes into the page."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version

from benchmarks._browser_race import Race
from benchmarks._browser_sign_ins import CONTENDERS

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "browser.md"

BEGIN = "<!-- scripts/bench browser writes what is between these lines -->\n"
END = "<!-- until here -->\n"


def measure(rounds: int = 5, page: Path = PAGE) -> list[str]:
    """Return the table's lines, and put them into the page."""
    columns = [dict(Race(contender).rows(rounds)) for contender in CONTENDERS]
    named = ", ".join(f"{contender.package} {version(contender.package)}" for contender in CONTENDERS)
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
