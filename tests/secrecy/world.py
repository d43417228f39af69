"""A scripted service, a client with every secret it can have, and stores that misbehave."""

import itertools
import json
from collections import deque
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import httpx

from hellojohn import AsyncHelloJohn, HelloJohn, MemoryStore
from tests.secrecy.markers import ACCESS, PASSWORD, PUBLISHABLE, REFRESH, SECRET, secrets_in

START = 1_800_000_000.0
EMAIL = "ada@example.com"

Answer = Callable[[httpx.Request, list[str]], httpx.Response]


class Service:
    """Grants everything, unless ``answers`` says otherwise.

    Attributes:
        answers: What to answer to the next requests; the last one stays.
        calls: The paths that were called.
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
        """Grant tokens and tell a user, whatever was asked."""
        number = next(self._numbers)
        user = {"id": "usr_1", "email": EMAIL, "name": "Ada", "plan": "pro"}
        tokens = {"access_token": f"{ACCESS}-{number}", "refresh_token": f"{REFRESH}-{number}"}
        return httpx.Response(200, json={**tokens, "expires_in": 3600, "session_id": "ses_1", "user": user})


class World:
    """One client with one session, and the means to make its time pass."""

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

    @property
    def key(self) -> str:
        """Where the store keeps the session."""
        return self.hj._account.key

    async def sign_in(self) -> Any:
        """Sign in."""
        return await settle(self.hj.auth.sign_in(EMAIL, PASSWORD, remember_me=True))

    async def close(self) -> None:
        """Close the client."""
        await settle(self.hj.aclose() if isinstance(self.hj, AsyncHelloJohn) else self.hj.close())


class Trouble(MemoryStore):
    """Fails as it is told to, and says what it was given.

    Attributes:
        at: The method that fails: ``load``, ``save``, ``delete``, ``lock``, ``unlock``, ``quarantine``.
        make: Makes the error from the text.
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
        """Set aside, or fail with the text."""
        self._fail("quarantine", f"{key} {super().load(key)}")
        return super().quarantine(key)


async def settle(value: Any) -> Any:
    """Await what an asynchronous client returned; take what a blocking one did."""
    return await value if hasattr(value, "__await__") else value
