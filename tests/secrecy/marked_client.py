"""A client with every secret that it can have, and a store whose errors repeat what they were given."""

import itertools
import json
from collections import deque
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import httpx

from hellojohn import AsyncHelloJohn, HelloJohn, MemoryStore
from tests.both_faces import close, settle
from tests.secrecy.markers import ACCESS, PASSWORD, PUBLISHABLE, REFRESH, SECRET, secrets_in

START = 1_800_000_000.0
EMAIL = "ada@example.com"

Answer = Callable[[httpx.Request, list[str]], httpx.Response]


class Service:
    """Grants every request, unless ``answers`` holds something else.

    Attributes:
        answers: What to answer to the next requests. The last one stays.
        calls: The paths that were requested.
    """

    def __init__(self) -> None:
        self.answers: deque[Answer] = deque()
        self.calls: list[str] = []
        self._numbers = itertools.count()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        self.calls.append(request.url.path)
        if not self.answers:
            return self.grant()
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.popleft()
        headers = json.dumps(dict(request.headers)).encode()
        return answer(request, list(secrets_in(request.content + headers)))

    def grant(self, *_: object) -> httpx.Response:
        """Grant tokens and name a user, whatever was asked for."""
        number = next(self._numbers)
        user = {"id": "usr_1", "email": EMAIL, "name": "Ada", "plan": "pro"}
        tokens = {"access_token": f"{ACCESS}-{number}", "refresh_token": f"{REFRESH}-{number}"}
        return httpx.Response(200, json={**tokens, "expires_in": 3600, "session_id": "ses_1", "user": user})


class MarkedClient:
    """One client whose secrets are all marked.

    Attributes:
        service: Its service.
        now: The time, in seconds since the epoch.
        events: The events.
        store: Its store.
        hj: The client.
    """

    def __init__(self, owner: type[HelloJohn | AsyncHelloJohn], store: Any = None) -> None:
        self.service = Service()
        self.now = START
        self.events: list[Any] = []
        self.store = MemoryStore() if store is None else store
        self.hj = owner(
            tenant_id="tnt_1",
            publishable_key=PUBLISHABLE,
            secret_key=SECRET,
            api_url="https://auth.example.com",
            store=self.store,
            transport=httpx.MockTransport(self.service),
            clock=lambda: self.now,
        )
        self.hj.on(self.events.append)

    async def sign_in(self) -> Any:
        """Sign in."""
        return await settle(self.hj.auth.sign_in(EMAIL, PASSWORD, remember_me=True))

    async def close(self) -> None:
        """Close the client."""
        await close(self.hj)


class Repeating(MemoryStore):
    """A store whose errors repeat what it was given.

    Attributes:
        at: The method that fails: ``load``, ``save``, ``delete``, ``lock``, ``unlock``, ``quarantine``.
        make: Creates the error from the text.
    """

    def __init__(self, make: Callable[[str], Exception]) -> None:
        super().__init__()
        self.at = ""
        self.make = make

    def _fail(self, at: str, text: str) -> None:
        if at == self.at:
            raise self.make(text)

    def load(self, key):
        """Load, or fail with the text."""
        text = super().load(key)
        self._fail("load", f"{key} {text}")
        return text

    def save(self, key, text, *, expires_in=None):
        """Save, or fail with the text."""
        self._fail("save", f"{key} {text} {expires_in}")
        super().save(key, text, expires_in=expires_in)

    def delete(self, key):
        """Delete, or fail with the text."""
        self._fail("delete", f"{key} {super().load(key)}")
        super().delete(key)

    @contextmanager
    def lock(self, key, timeout):
        """Lock, or fail with the text."""
        self._fail("lock", f"{key} {super().load(key)}")
        with super().lock(key, timeout):
            yield
            self._fail("unlock", f"{key} {super().load(key)}")

    def quarantine(self, key):
        """Quarantine, or fail with the text."""
        self._fail("quarantine", f"{key} {super().load(key)}")
        return super().quarantine(key)
