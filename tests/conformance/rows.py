"""The rows of the conformance table: requests of the SDK, answers of the service, and the results.

``v1_rows.py`` and ``v2_rows.py`` hold them. ``test_conformance.py`` carries out each one, and ``page.py``
writes them down.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from hellojohn import HelloJohn
from tests.wire.samples import token

TENANT = "00000000-0000-4000-8000-000000000001"
NOW = 1_700_000_000.0
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"  # NOW
ACCESS = token(sub="usr_1", tid=TENANT, aud="web", iat=NOW, exp=NOW + 900)
ID_TOKEN = token(sub="usr_1", nonce="another")
RECORDINGS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "emulator_v2" / "recordings.json").read_text("utf-8")
)
_TEXTS = {
    "access_token": ACCESS,
    "refresh_token": "rt_2",
    "mfa_token": "chl_2",
    "secret_base32": "JBSWY3DPEHPK3PXP",
    "sub": "usr_1",
    "user_id": "usr_1",
    "id_token": ID_TOKEN,
    "tenant_id": TENANT,
}


class Reply(NamedTuple):
    """An answer of the service.

    Attributes:
        status: The status.
        body: The JSON body, or a text; ``None`` for none.
        headers: Its headers.
        recorded: The name of the recording that it comes from, if it was recorded from a server.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = {}
    recorded: str | None = None

    def response(self) -> httpx.Response:
        """Return it as an answer to a client."""
        headers = {"Date": DATE, **self.headers}
        if self.body is None or isinstance(self.body, str):
            return httpx.Response(self.status, headers=headers, text=self.body or "")
        return httpx.Response(self.status, headers=headers, json=self.body)


def recorded(name: str) -> Reply:
    """Return an answer that a running server gave, with values in the places of those that change."""
    entry = RECORDINGS[name]
    headers = {
        key: value.replace("<value>", "dev_1")
        for key, value in entry.get("headers", {}).items()
        if key in {"retry-after", "set-cookie"}
    }
    return Reply(entry["status"], _filled(entry.get("body")), headers, name)


def _filled(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _filled(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, key) for inner in value]
    if value == "<number>":
        return 899
    return _TEXTS.get(key, "words") if value == "<text>" else value


LOST = "lost"
"""The connection breaks after the request was sent."""


class Answer(NamedTuple):
    """One row: an answer of the service, and the result of the call.

    Attributes:
        reply: The answer; ``LOST`` for none.
        then: The result, as ``outcome.describe`` words it.
        note: What else the row says.
        beside: The answers to other requests of the same call, where they are not the usual ones.
        ours: Whether no document of the service names this answer.
    """

    reply: Reply | str
    then: str
    note: str = ""
    beside: Mapping[str, Reply] = {}
    ours: bool = False

    @property
    def shown(self) -> str:
        """The answer in a few words: its status and its code."""
        if isinstance(self.reply, str):
            return "no answer"
        return " ".join(filter(None, [str(self.reply.status), self._told()]))

    def _told(self) -> str:
        body = self.reply.body if isinstance(self.reply, Reply) else None
        if isinstance(body, str):
            return "a page" if "<html" in body else "text"
        if not isinstance(body, dict):
            return ""
        inner = body.get("error")
        code = inner.get("code") if isinstance(inner, dict) else body.get("code") or inner
        detail = body.get("detail") if self.status >= 400 else None
        return " ".join(filter(None, [code, f"“{detail}”" if detail and detail != "words" else None]))

    @property
    def names_a_wait(self) -> bool:
        """Whether the answer asks the client to wait."""
        if isinstance(self.reply, str):
            return False
        body = self.reply.body if isinstance(self.reply.body, dict) else {}
        return "retry_after" in body or "retry-after" in {name.lower() for name in self.reply.headers}

    @property
    def status(self) -> int:
        """The status; 0 for no answer."""
        return self.reply.status if isinstance(self.reply, Reply) else 0


@dataclass(frozen=True)
class Call:
    """A request of the SDK, and the answers to it.

    Attributes:
        name: The name of the public call.
        run: Makes the call.
        line: The request that the rows are about: method and path.
        auth: The credential: ``none``, ``publishable key``, ``access token``, ``secret key`` or ``API key``.
        answers: The rows. The first is the usual success.
        fields: The fields of the body, or of the query of a GET.
        usual: The answers to the other requests of this call.
        assumed: The fields that no document of the service names; ``path`` for the path.
        recorded: The recording of a request like this one, on v2.
    """

    name: str
    run: Callable[[HelloJohn], object]
    line: str
    auth: str
    answers: tuple[Answer, ...]
    fields: tuple[str, ...] = ()
    usual: Mapping[str, Reply] = field(default_factory=dict[str, Reply])
    assumed: tuple[str, ...] = ()
    recorded: str | None = None

    @property
    def slug(self) -> str:
        """The name as a part of an id."""
        return self.name.replace(",", "").replace(" ", "-")

    def ids(self, api: str) -> Iterator[tuple[str, "Answer"]]:
        """Return an id for each row."""
        seen: dict[str, int] = {}
        for answer in self.answers:
            words = "-".join([api, self.slug, *answer.shown.replace("“", "").replace("”", "").split()])
            seen[words] = seen.get(words, 0) + 1
            yield words if seen[words] == 1 else f"{words}-{seen[words]}", answer
