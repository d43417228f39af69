"""A key server, a signer it publishes, clocks to move, and verifiers of the server's tenant."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hellojohn._clock import Timing
from hellojohn._http._keys import KeyFetcher
from hellojohn._wire import Answer, ApiRequest, make_dialect
from hellojohn.verify import Verifier
from tests.verify.keyserver import KeyServer, Signer

NOW = 1_800_000_000.0


class Clocks:
    """Wall and monotonic time, which stand still until a test moves them."""

    def __init__(self) -> None:
        self.passed = 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.passed += seconds

    def wall(self) -> float:
        """Return seconds since the epoch."""
        return NOW + self.passed

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return 1_000.0 + self.passed


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take longer than 250 ms to fetch keys after a quiet time."""
    for module in ("_key_set", "_revocations"):
        monkeypatch.setattr(f"hellojohn.verify.{module}.QUIET_KEY_WAIT", 10.0)


@pytest.fixture(scope="session")
def signer() -> Signer:
    """Return the service's Ed25519 key."""
    return Signer("ed-1")


@pytest.fixture(scope="session")
def rsa_signer() -> Signer:
    """Return the service's RSA key."""
    return Signer("rsa-1", "RS256")


@pytest.fixture(scope="session")
def stranger() -> Signer:
    """Return a key that was never published."""
    return Signer("ed-2")


@pytest.fixture
def server(signer: Signer, rsa_signer: Signer) -> Iterator[KeyServer]:
    """Return a running key server."""
    with KeyServer(signer.jwk, rsa_signer.jwk) as running:
        yield running


@pytest.fixture
def clocks() -> Clocks:
    """Return clocks to move."""
    return Clocks()


def unreachable(request: ApiRequest, deadline: float) -> Answer:
    """Fail a test that was not to send anything."""
    pytest.fail(f"{request.path} was sent within {deadline} s")


@pytest.fixture
def make(server: KeyServer, clocks: Clocks) -> Callable[..., Verifier]:
    """Return a function that makes a verifier of the tenant, with other settings where a test names them."""

    def make(**settings: Any) -> Verifier:
        usual: dict[str, Any] = {
            "api": "v1",
            "api_url": server.url,
            "tenant_id": "tnt_1",
            "client_id": None,
            "fetch": KeyFetcher(),
            "send": unreachable,
            "clock": clocks.wall,
            "timing": Timing(clocks.wall, clocks.monotonic, time.sleep),
        }
        secret_key = settings.pop("secret_key", None)
        chosen = {**usual, **settings}
        dialect = make_dialect(
            chosen["api"],
            base_url=chosen["api_url"],
            tenant_id=chosen["tenant_id"],
            client_id=chosen["client_id"],
            publishable_key=None,
            secret_key=secret_key,
        )
        return Verifier(**chosen, check_token=dialect.admin.check_token)

    return make


@pytest.fixture
def verifier(make: Callable[..., Verifier]) -> Verifier:
    """Return the usual verifier."""
    return make()


@pytest.fixture
def claims(server: KeyServer) -> dict[str, Any]:
    """Return the claims of a good v1 token."""
    return {
        "sub": "usr_1",
        "session_id": "ses_1",
        "tenant_id": "tnt_1",
        "email": "ada@example.com",
        "iat": int(NOW),
        "exp": int(NOW) + 3_600,
        "iss": server.url,
        "aud": "tnt_1",
    }
