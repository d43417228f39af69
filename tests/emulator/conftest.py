"""Fixtures of the emulator's tests: a clock that stands still, the rules, plain HTTP, a webhook receiver."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from hellojohn._secret import Secret
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.records import Device, NewUser
from hellojohn.emulator.v1.records import Grant
from hellojohn.emulator.v1.rules import Rules

START = 1_700_000_000.0
EMAIL = "ada@example.com"
PASSWORD = "correct horse"


@dataclass
class StillClock:
    """A clock that moves only by ``advance``."""

    now: float = START

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def advance(self, **units: float) -> None:
        """Move by the arguments of a ``timedelta``."""
        self.now += timedelta(**units).total_seconds()


@dataclass
class Desk:
    """The rules with one user, Ada."""

    rules: Rules
    clock: StillClock

    def sign_in(self, duration: str | None = None, *, email: str = EMAIL) -> Grant:
        """Sign Ada in."""
        return self.rules.sign_in(email, Secret(PASSWORD), duration=duration, device=Device())

    def sign_up(self, email: str, password: str = PASSWORD, duration: str | None = None) -> Grant:
        """Sign up a new user."""
        new = NewUser(email=email, password=Secret(password))
        return self.rules.sign_up(new, duration=duration, device=Device())

    def status(self, grant: Grant) -> str:
        """Return the status of a grant's session now."""
        return self.rules.session(grant.session.id).status.value


@pytest.fixture
def clock() -> StillClock:
    """A clock that stands still."""
    return StillClock()


@pytest.fixture
def open_desk(clock: StillClock) -> Callable[..., Desk]:
    """Make rules where Ada has an account."""

    def make(**options: Any) -> Desk:
        rules = Rules(clock=clock, **options)
        rules.add_user(NewUser(email=EMAIL, password=Secret(PASSWORD)))
        return Desk(rules, clock)

    return make


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    """The rules with their defaults, where Ada has an account."""
    return open_desk()


@pytest.fixture
def refused() -> Callable[..., str]:
    """Call a rule that must refuse, and return the code."""

    def run(call: Callable[..., object], *args: object, **kwargs: object) -> str:
        with pytest.raises(ApiProblem) as caught:
            call(*args, **kwargs)
        return caught.value.code

    return run


@dataclass
class Caller:
    """Plain httpx with the headers that the documentation asks for."""

    emulator: Emulator
    http: httpx.Client

    def call(self, method: str, path: str, *, bearer: str | None = None, **options: Any) -> httpx.Response:
        """Send a request with the tenant's header."""
        headers = {"X-Tenant-ID": self.emulator.tenant_id, **options.pop("headers", {})}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        return self.http.request(method, self.emulator.url + path, headers=headers, **options)

    def public(self, path: str, body: object, **options: Any) -> httpx.Response:
        """Post with the publishable key."""
        return self.call("POST", path, bearer=self.emulator.publishable_key, json=body, **options)

    def secret(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send with the secret key."""
        return self.call(method, path, bearer=self.emulator.secret_key, **options)

    def try_sign_in(self, email: str, password: str, **more: object) -> httpx.Response:
        """Sign in, and return the answer."""
        return self.public("/v1/auth/sign-in", {"email": email, "password": password, **more})

    def sign_in(self, email: str = DEMO_EMAIL, password: str = DEMO_PASSWORD, **more: object) -> Any:
        """Sign in, and return the nested session."""
        answer = self.try_sign_in(email, password, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()["session"]

    def refresh(self, token: str, **options: Any) -> httpx.Response:
        """Present a refresh token."""
        return self.call("POST", "/v1/auth/token/refresh", json={"refresh_token": token}, **options)

    def code(self, answer: httpx.Response) -> tuple[int, str]:
        """Return the status and the code of an error."""
        return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture
def emulator(clock: StillClock) -> Iterator[Emulator]:
    """A running emulator whose clock stands still."""
    with Emulator(clock=clock) as running:
        yield running


@pytest.fixture
def caller(emulator: Emulator) -> Iterator[Caller]:
    """Plain HTTP to the emulator."""
    with httpx.Client(timeout=10.0, trust_env=False) as http:
        yield Caller(emulator, http)


@dataclass
class Receiver:
    """A server that takes webhooks.

    Attributes:
        url: Its address.
        status: The status that it answers with.
        received: The headers, in lower case, and the body of each request.
        open: Cleared while requests have to wait.
    """

    url: str
    status: int = 200
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server on loopback that takes webhooks."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            there.open.wait(10)
            there.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(there.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        there = Receiver(f"http://127.0.0.1:{server.server_port}/hooks?from=hellojohn")
        there.open.set()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield there
        there.open.set()
        server.shutdown()
        thread.join(10)
