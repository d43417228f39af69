"""Writes the conformance table into the documents: ``python -m tests.conformance.page``."""

from collections.abc import Iterator
from pathlib import Path

from tests.conformance import behaviours, v1_rows, v2_rows
from tests.conformance.behaviours import Behaviour
from tests.conformance.rows import Answer, Call, Reply

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "conformance.md"
CALLS = {"v1": v1_rows.CALLS, "v2": v2_rows.CALLS}
BEHAVIOURS = {"v1": behaviours.V1, "v2": behaviours.V2}
TITLES = {"v1": "The cloud API (v1)", "v2": "The open-source server (v2)"}
_IDS = {"usr_1": ":user_id", "ses_1": ":session_id", "fac_1": ":factor_id", "acme": ":tenant"}
_INTRODUCTION = """\
# Conformance

Each request of the SDK, each answer of the service, and the result of the call. The tests write this page:
each row of an answer is a case of `test_answer` in `tests/conformance/test_conformance.py`, and its last
column is the id of the case. A client makes the call, the service answers as the row says, and the request
and the result are compared with the row. To run one:

```bash
scripts/test tests/conformance -k "v2-auth.refresh-401-SESSION_EXPIRED"
```

`python -m tests.conformance.page` writes the page. A test fails while it is out of date, and while a row
has no test.

Where a row of the open-source server names a recording, a running server gave that answer.
`tests/emulator_v2` replays the recordings against the emulator. `tests/real_server` runs against a
server itself.

† marks an assumption of the SDK: no published document of the service names this path, field or answer.
An error from such a path says so.
"""


def page() -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for api, title in TITLES.items():
        parts.append(f"\n## {title}\n")
        parts += [section(api, call) for call in CALLS[api]]
        parts.append("\n### What takes several requests\n\n")
        parts.append(table(("The protocol", "Proof"), map(behaviour_row, BEHAVIOURS[api])))
    return "".join(parts)


def section(api: str, call: Call) -> str:
    """Return the heading of a request, its fields, and the table of its answers."""
    mark = "†" if "path" in call.assumed else ""
    facts = f"Credential: {call.auth}. Fields: {fields(call)}. Test: `test_request[{call_id(api, call)}]`.\n"
    answers = table(("Answer", "Result", "", "Test"), (answer_row(row, name) for name, row in call.ids(api)))
    return f"\n### {call.name}\n\n`{shown_line(call)}`{mark}\n\n{facts}{answers and chr(10)}{answers}"


def call_id(api: str, call: Call) -> str:
    """Return the id of the test of a request."""
    return f"{api}-{call.slug}"


def shown_line(call: Call) -> str:
    """Return the method and the path, with names in the places of ids."""
    line = call.line
    for value, name in _IDS.items():
        line = line.replace(f"/{value}", f"/{name}")
    return line


def fields(call: Call) -> str:
    """Return the fields of a request."""
    names = [f"`{name}`{'†' if name in call.assumed else ''}" for name in call.fields]
    return ", ".join(names) or "none"


def answer_row(row: Answer, name: str) -> tuple[str, ...]:
    """Return the cells of an answer."""
    shown = row.shown + ("†" if row.ours else "")
    source = row.reply.recorded if isinstance(row.reply, Reply) else None
    note = " ".join(filter(None, [row.note, f"Recorded: `{source}`." if source else ""]))
    return shown, row.then, note, f"`{name}`"


def behaviour_row(row: Behaviour) -> tuple[str, ...]:
    """Return the cells of a fact that takes several requests."""
    return row.fact + (" †" if row.ours else ""), "<br>".join(f"`{proof}`" for proof in row.proofs)


def table(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """Return a table; nothing without rows."""
    lines = ["| " + " | ".join(row) + " |\n" for row in rows]
    head = f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|\n"
    return head + "".join(lines) if lines else ""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
