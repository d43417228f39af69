"""What the emulator's tests share: a clock that stands still, and the service as plain HTTP sees it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from hellojohn._secret import Secret
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.emulator.records import Device, NewUser
from hellojohn.emulator.v1.problems import V1Problem as ApiProblem
from hellojohn.emulator.v1.records import Grant
from hellojohn.emulator.v1.rules import Rules

START = 1_700_000_000.0
EMAIL = "ada@example.com"
PASSWORD = "correct horse"


@dataclass
class StillClock:
    """Moves only when told to."""

    now: float = START

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def advance(self, **units: float) -> None:
        """Move by the arguments of a ``timedelta``."""
        self.now += timedelta(**units).total_seconds()


@dataclass
class Desk:
    """The rules with one user at hand."""

    rules: Rules
    clock: StillClock

    def sign_in(self, duration: str | None = None, *, email: str = EMAIL) -> Grant:
        """Sign Ada in."""
        return self.rules.sign_in(email, Secret(PASSWORD), duration=duration, device=Device())

    def sign_up(self, email: str, password: str = PASSWORD, duration: str | None = None) -> Grant:
        """Sign somebody new up."""
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
    """Make rules with Ada signed up."""

    def make(**options: Any) -> Desk:
        rules = Rules(clock=clock, **options)
        rules.add_user(NewUser(email=EMAIL, password=Secret(PASSWORD)))
        return Desk(rules, clock)

    return make


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    """The rules as they are by default, with Ada signed up."""
    return open_desk()


@pytest.fixture
def refused() -> Callable[..., str]:
    """Call something that must be refused, and return the code."""

    def run(call: Callable[..., object], *args: object, **kwargs: object) -> str:
        with pytest.raises(ApiProblem) as caught:
            call(*args, **kwargs)
        return caught.value.code

    return run


@dataclass
class Caller:
    """Plain httpx, and the headers that the documentation asks for."""

    emulator: Emulator
    http: httpx.Client

    def call(self, method: str, path: str, *, bearer: str | None = None, **options: Any) -> httpx.Response:
        """Send a request with the tenant's header."""
        headers = {"X-Tenant-ID": self.emulator.tenant_id, **options.pop("headers", {})}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        return self.http.request(method, self.emulator.url + path, headers=headers, **options)

    def public(self, path: str, body: object) -> httpx.Response:
        """Post with the publishable key."""
        return self.call("POST", path, bearer=self.emulator.publishable_key, json=body)

    def secret(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send with the secret key."""
        return self.call(method, path, bearer=self.emulator.secret_key, **options)

    def sign_in(self, email: str = DEMO_EMAIL, password: str = DEMO_PASSWORD, **more: object) -> Any:
        """Sign in, and return the nested session."""
        answer = self.public("/v1/auth/sign-in", {"email": email, "password": password, **more})
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
    """An emulator whose time stands still."""
    with Emulator(clock=clock) as running:
        yield running


@pytest.fixture
def caller(emulator: Emulator) -> Iterator[Caller]:
    """Plain HTTP to the emulator."""
    with httpx.Client(timeout=10.0, trust_env=False) as http:
        yield Caller(emulator, http)
