"""Distils the recordings of the real server into a fixture: ``python -m tests.emulator_v2.distil``.

The recordings are not in this repository: HELLOJOHN_RECORDINGS names their folder. An entry keeps the form of
a request and of its answer: the status, the headers of note, and the body with its types. In a body, a value
that changes is named by its type, ``<text>`` or ``<number>``. Sentences for people count as such values.
"""

import json
import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.emulator_v2.left_out import reason

HERE = Path(__file__).parent
FIXTURE = HERE / "recordings.json"
FILES = ("sessions", "signin")

_HEADERS = (
    *("content-type", "cache-control", "www-authenticate", "allow", "location"),
    *("set-cookie", "retry-after", "x-ratelimit-reset"),
)
USUAL_HEADERS = {"cache-control": "no-store", "content-type": "application/json; charset=utf-8"}
_NUMBERS = {"<int>", "<unix seconds>", "<unix_seconds>", "<number>"}
_SENTENCES = {"message", "revoked_count"}
_LINK = re.compile(r"<BASE>(/v2/auth/[a-z-]+)\?(\S+?)(?=[\s\"]|$)")
_MACHINE = {
    "ACME-A073B9": "ACME",
    "uniqa073b9": "uniq",
    "http://127.0.0.1:18099": "<BASE>",
    "<BASE urlencoded>": "<BASE>",
}


def recordings() -> Path | None:
    """Return the folder of the recordings, or ``None`` where the environment names none."""
    folder = os.environ.get("HELLOJOHN_RECORDINGS")
    return Path(folder) if folder else None


def read(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return every recording with a name that is unique in both files."""
    for name in FILES:
        text = (folder / f"{name}.json").read_text(encoding="utf-8")
        for machine, plain in _MACHINE.items():
            text = text.replace(machine, plain)
        for record in json.loads(text):
            yield f"{name}/{record['id']}", record


def fits(name: str, pattern: str) -> bool:
    """Return whether a name fits a pattern with stars."""
    return fnmatchcase(name, pattern)


def distil(record: dict[str, Any]) -> dict[str, Any] | None:
    """Return an entry, or ``None`` for a recording that is not one exchange."""
    request, response = record.get("request"), record.get("response")
    if not request:
        claims = record.get("observed", {})
        return {"claims": _types(claims["payload"])} if "payload" in claims else None
    if not response:
        return None
    return {
        "send": _request(request),
        "status": response["status"],
        **_headers(response.get("headers") or {}),
        **_body(response.get("body")),
        **_mail(record.get("mail")),
        **_claims(record),
    }


def _request(request: dict[str, Any]) -> dict[str, Any]:
    headers = dict(request.get("headers") or {})
    if headers.get("Content-Type") == "application/json" and not isinstance(request.get("body"), str):
        del headers["Content-Type"]
    kept: dict[str, Any] = {"method": request["method"], "path": request["path"]}
    if headers:
        kept["headers"] = headers
    if request.get("body") not in (None, ""):
        kept["body"] = request["body"]
    if request.get("body_encoding"):
        kept["form"] = True
    return kept


def _headers(headers: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in headers.items() if name in _HEADERS}
    cookies = kept.get("set-cookie")
    if isinstance(cookies, list):
        kept["set-cookie"] = cookies[0]
    return {} if kept == USUAL_HEADERS else {"headers": kept}


def _body(body: object) -> dict[str, Any]:
    if isinstance(body, str) and body.startswith("<html"):
        return {}
    return {} if body in (None, "") else {"body": _types(body)}


def _mail(mail: object) -> dict[str, Any]:
    if mail is None:
        return {}
    if not isinstance(mail, dict):
        return {"mail": None}
    link = _LINK.search(mail["text"])
    return {"mail": f"<BASE>{link[1]}?{_sorted(link[2])}" if link else "<code>"}


def _sorted(query: str) -> str:
    return urlencode(sorted(parse_qsl(query)), safe="<>")


def _claims(record: dict[str, Any]) -> dict[str, Any]:
    kept = {}
    for name in ("access_token", "id_token"):
        decoded = record.get(f"decoded_{name}")
        if decoded is not None:
            kept[f"claims of {name}"] = _types(decoded["claims"])
            kept[f"life of {name}"] = decoded["lifetime_seconds"]
    return kept


def _types(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name.replace("<base>", "<BASE>"): _types(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_types(inner) for inner in value]
    if isinstance(value, str):
        return _type_of_text(value, key)
    is_count = key in _SENTENCES and not isinstance(value, bool)
    return "<number>" if is_count else value


def _type_of_text(value: str, key: str) -> str:
    if value in _NUMBERS:
        return "<number>"
    if key == "iss":
        return value.replace("<base>", "<BASE>")
    return "<text>" if "<" in value or key in _SENTENCES else value


def main() -> None:
    """Write the fixture."""
    folder = recordings()
    if folder is None:
        raise SystemExit("Set HELLOJOHN_RECORDINGS to the folder of the recordings.")
    entries = {
        name: entry
        for name, record in read(folder)
        if not reason(name) and (entry := distil(record)) is not None
    }
    FIXTURE.write_text(dump(entries), encoding="utf-8")
    print(f"{len(entries)} entries in {FIXTURE.stat().st_size:,} bytes")  # noqa: T201 - a command


def dump(entries: dict[str, Any]) -> str:
    """Return the fixture's text: one entry a line."""
    lines = (
        f"{json.dumps(name)}:{json.dumps(entry, separators=(',', ':'), ensure_ascii=False)}"
        for name, entry in entries.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    main()
