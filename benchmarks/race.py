"""What many callers of one library do to a session whose access token is no longer good.

The table goes into the page that explains it.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import NamedTuple

import requests

from benchmarks._contenders import CONTENDERS, Contender
from benchmarks._strict import EXPIRED, SHORT, Report, strict_server

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "field.md"

BEGIN = "<!-- scripts/bench race writes what is between these lines -->\n"
END = "<!-- until here -->\n"
_REFRESH_TAKES = 0.05
_CASES = {"The token has expired": EXPIRED, "The token is refused with a 401": "refused"}
_INSECURE = ("AUTHLIB_INSECURE_TRANSPORT", "OAUTHLIB_INSECURE_TRANSPORT")


class _Row(NamedTuple):
    contender: Contender
    report: Report
    served: int
    failed: int

    def __str__(self) -> str:
        session = "alive" if self.report.alive else "**lost**"
        figures = (self.report.refreshes, self.report.reused, session, self.served, self.failed)
        return f"| {self.contender.name} | {' | '.join(map(str, figures))} |"


def measure(callers: int = 50, page: Path = PAGE) -> list[str]:
    """Return the tables' lines, and put them into the page."""
    lines = [_summary(callers), ""]
    with strict_server(takes=_REFRESH_TAKES) as url, _cleartext_allowed():
        for title, case in _CASES.items():
            lines += [f"### {title}", "", *_table(_run(url, case, callers)), ""]
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    text = "\n".join(lines)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    return lines


def _summary(callers: int) -> str:
    versions = {contender.package: version(contender.package) for contender in CONTENDERS}
    told = ", ".join(f"{package} {number}" for package, number in versions.items())
    return f"{datetime.now(UTC):%Y-%m-%d}, {callers} callers, Python {python_version()}: {told}."


def _table(rows: list[_Row]) -> list[str]:
    return [
        "| library | refreshes | reused tokens | session | callers served | callers failed |",
        "|---|--:|--:|---|--:|--:|",
        *map(str, rows),
    ]


def _run(url: str, case: str, callers: int) -> list[_Row]:
    users = {f"{case}-{number}": one for number, one in enumerate(CONTENDERS)}
    with ExitStack() as stack:
        races = [(user, one, stack.enter_context(one.enter(url, user))) for user, one in users.items()]
        if case == EXPIRED:
            time.sleep(SHORT)
        return [_row(url, user, one, race(callers)) for user, one, race in races]


def _row(url: str, user: str, contender: Contender, served: list[bool]) -> _Row:
    report = requests.get(f"{url}/report", params={"user": user}, timeout=10).json()
    return _Row(contender, Report(**report), served.count(True), served.count(False))


@contextmanager
def _cleartext_allowed() -> Iterator[None]:
    """Let the libraries that demand https talk to this machine."""
    before = {name: os.environ.get(name) for name in _INSECURE}
    os.environ.update(dict.fromkeys(_INSECURE, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
