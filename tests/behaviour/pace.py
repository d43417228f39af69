"""A client whose next refresh goes on step by step: at each step of the store and of the service it waits."""

import threading
from contextlib import contextmanager
from typing import Any

import httpx

from hellojohn import AsyncHelloJohn, HelloJohn
from tests.behaviour.scripted import EMAIL, PASSWORD, DictStore, ScriptedService
from tests.both_faces import PATIENCE, EventLog
from tests.dialects import Api

POINTS = 12
"""The points of one refresh: the lock, two loads and two saves, the request, the release."""


class Pace:
    """Points at which a thread waits for a permit.

    Attributes:
        reached: How many points were reached.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._permits = 0
        self._open = False
        self.reached = 0

    def point(self) -> None:
        """Wait for a permit."""
        with self._changed:
            self.reached += 1
            number = self.reached
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._open or self._permits >= number, PATIENCE)

    def advance(self, permits: int) -> None:
        """Let so many points be passed, and wait until the next one is reached."""
        with self._changed:
            self._permits = permits
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self.reached > permits, PATIENCE)

    def wait_reached(self, count: int) -> None:
        """Wait until so many points were reached."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.reached >= count, PATIENCE)

    def open(self) -> None:
        """Let everything go on."""
        with self._changed:
            self._open = True
            self._changed.notify_all()


class StrictService(ScriptedService):
    """A service that ends the session when a rotated refresh token is presented again.

    Attributes:
        reuses: How often that happened.
    """

    def __init__(self, api: Api = "v1") -> None:
        super().__init__(api)
        self.reuses = 0
        self._current = ""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        if request.url.path.endswith("refresh") and f'"{self._current}"'.encode() not in request.content:
            self.reuses += 1
            self.answers = [self.refusal("reused")]
        response = super().__call__(request)
        if response.status_code == 200:
            self._current = response.json()["refresh_token"]
        return response


class PacedStore(DictStore):
    """A store whose every step waits for a permit, once there is a pace."""

    def __init__(self) -> None:
        super().__init__()
        self.pace: Pace | None = None

    def load(self, key: str) -> str | None:
        """Wait, load, wait."""
        self._point()
        found = super().load(key)
        self._point()
        return found

    def save(self, key: str, text: str) -> None:
        """Wait, save, wait."""
        self._point()
        super().save(key, text)
        self._point()

    @contextmanager
    def lock(self, key: str, timeout: float) -> Any:
        """Wait, lock, and wait before the release."""
        self._point()
        with super().lock(key, timeout):
            yield
            self._point()

    def _point(self) -> None:
        if self.pace is not None:
            self.pace.point()


class Paced:
    """A signed-in client whose token has expired and whose next refresh waits at each point.

    Attributes:
        hj: The client.
        service: Its service.
        store: Its store.
        pace: Its pace.
        log: Its events from now on.
    """

    def __init__(self, owner: type[HelloJohn | AsyncHelloJohn] = AsyncHelloJohn, api: Api = "v1") -> None:
        self.service = StrictService(api)
        self.store = PacedStore()
        transport = httpx.MockTransport(self._answer)
        with self.service.client(store=self.store, transport=transport) as hj:
            hj.auth.sign_in(EMAIL, PASSWORD)
        self.hj: Any = self.service.client(owner, store=self.store, transport=transport)
        self.log = EventLog(self.hj)
        self.pace = Pace()

    def begin(self) -> None:
        """From now on, every step waits."""
        self.service.at(hours=2)
        self.store.pace = self.pace

    def finish(self) -> None:
        """Let the refresh go on to its end, and check that it was the only one and was stored."""
        self.pace.open()
        self.log.wait_for("TOKEN_REFRESHED")
        assert self.service.presented() == ["rt_1"]
        assert self.service.reuses == 0
        assert '"rt_2"' in self.store.text()
        assert self.log.names() == ["TOKEN_REFRESHED"]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        pace = self.store.pace
        if pace is not None:
            pace.point()
        response = self.service(request)
        if pace is not None:
            pace.point()
        return response
