"""Sessions on the open-source server: sign-in, expiry under load, ends, verification."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from hellojohn import (
    ApiError,
    HelloJohn,
    InvalidCredentials,
    NotSignedIn,
    NotSupported,
    SessionExpired,
    ValidationFailed,
    WrongAudience,
)
from tests.behaviour.scripted import DictStore
from tests.both_faces import PATIENCE, until
from tests.real_server.conftest import PASSWORD
from tests.real_server.counted_clients import Clients

CALLERS = 50


def test_user_signs_in_and_out(hj: HelloJohn, email: str) -> None:
    """A new user is signed in at once, signs out, and signs in again with a duration."""
    user = hj.auth.user()
    assert user.email == email
    assert hj.auth.sign_out() is True
    with pytest.raises(NotSignedIn):
        hj.auth.access_token()
    session = hj.auth.sign_in(email, PASSWORD, remember_me=True)
    assert (session.user.id, session.duration) == (user.id, timedelta(days=30))


@pytest.mark.parametrize("everywhere", [False, True])
def test_sign_out_ends_the_session(
    server: Clients, store: DictStore, hj: HelloJohn, everywhere: bool
) -> None:
    """The server refuses the refresh token of a session that was signed out."""
    copy = server.copy(store)
    assert hj.auth.sign_out(everywhere=everywhere) is True
    with pytest.raises(SessionExpired) as caught:
        copy.auth.refresh()
    assert caught.value.reason == "revoked"


def test_wrong_password(server: Clients, hj: HelloJohn, email: str) -> None:
    """A wrong password is the error of an unknown address, and the session before it stays."""
    for typed in ((email, "wrong"), (f"un{email}", PASSWORD)):
        with pytest.raises(InvalidCredentials):
            hj.auth.sign_in(*typed)
    assert hj.auth.refresh()


def test_taken_address(server: Clients, hj: HelloJohn, email: str) -> None:
    """The server fails for an address with an account, and the error names that cause."""
    with pytest.raises(ApiError, match="account with this email address"):
        server.client().auth.sign_up(email, PASSWORD)


def test_weak_password(server: Clients, email: str) -> None:
    """A password against the tenant's rules is the user's mistake, and the rules can be shown."""
    hj = server.client()
    with pytest.raises(ValidationFailed):
        hj.auth.sign_up(email, "x")
    assert hj.auth.password_policy().min_length


def test_unknown_client(server: Clients, email: str) -> None:
    """A client that the tenant does not have is named as a setting."""
    with pytest.raises(ApiError, match="HELLOJOHN_CLIENT_ID"):
        server.client(client_id="no-such-client").auth.sign_in(email, PASSWORD)


def test_refused_by_name(server: Clients, hj: HelloJohn, email: str) -> None:
    """A call that the server cannot serve is refused before anything is sent."""
    sent = server.sent()
    for call in (
        lambda: hj.auth.send_magic_link(email),
        lambda: hj.auth.change_password(PASSWORD, f"{PASSWORD}x"),
        lambda: hj.auth.sign_in_with_oauth("google", "https://app.example.com/callback"),
    ):
        with pytest.raises(NotSupported):
            call()
    assert server.sent() == sent


# ---------------------------------------------------------------- expiry


def assert_one_refresh(server: Clients, api: httpx.Client) -> None:
    """Let fifty threads make a request at one moment: they share one refresh, and every request succeeds."""
    barrier, statuses, before = threading.Barrier(CALLERS), [], server.refreshes

    def call() -> None:
        barrier.wait(PATIENCE)
        statuses.append(api.get("/v2/me").status_code)

    threads = [threading.Thread(target=call, daemon=True) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert (statuses, server.refreshes) == ([200] * CALLERS, before + 1)


def test_threads_over_an_expiry(server: Clients, hj: HelloJohn) -> None:
    """Threads whose token has expired by the client's clock refresh once."""
    with server.api(hj) as api:
        for _ in range(3):
            server.clock.ahead += 3_600
            assert_one_refresh(server, api)


@pytest.fixture
def short_lived(server: Clients, api_key: str) -> Iterator[None]:
    """Access tokens that live for two seconds, from the first refresh on."""
    admin = server.client(secret_key=api_key).admin.config
    before = admin.get().access_token_ttl
    admin.update(access_token_ttl="2s")
    yield
    admin.update(access_token_ttl=before or "15m")


def test_threads_whose_token_is_refused(server: Clients, hj: HelloJohn, short_lived: None) -> None:
    """Threads whose token the server refuses, while it is good by the client's clock, refresh once."""
    hj.auth.refresh()
    server.clock.stopped_at = server.clock()
    token = hj.auth.access_token()
    with httpx.Client(base_url=server.place.url, trust_env=False) as bare, server.api(hj) as api:
        bare.headers["Authorization"] = f"Bearer {token}"
        until(lambda: bare.get("/v2/me").status_code == 401)
        assert_one_refresh(server, api)


async def test_tasks_over_an_expiry(server: Clients, email: str) -> None:
    """Fifty tasks whose token has expired share one refresh, and every request succeeds."""
    async with server.async_client() as hj, hj.client(base_url=server.place.url, timeout=30) as api:
        await hj.auth.sign_up(email, PASSWORD)
        for number in range(1, 3):
            server.clock.ahead += 3_600
            answers = await asyncio.gather(*(api.get("/v2/me") for _ in range(CALLERS)))
            assert [answer.status_code for answer in answers] == [200] * CALLERS
            assert server.refreshes == number
        assert (await hj.auth.user()).email == email
        assert await hj.auth.sign_out() is True


def test_clients_on_one_store_share_a_refresh(server: Clients, store: DictStore, hj: HelloJohn) -> None:
    """Clients on one store present its refresh token once."""
    others = [server.client(store=store) for _ in range(8)]
    server.clock.ahead += 3_600
    tokens: set[str] = set()
    threads = [threading.Thread(target=lambda o=o: tokens.add(o.auth.access_token())) for o in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert (len(tokens), server.refreshes) == (1, 1)


def test_end_that_the_client_keeps(server: Clients, store: DictStore, email: str, hj: HelloJohn) -> None:
    """The server knows no duration: the client ends the session itself, and at the server, too."""
    hj.auth.sign_in(email, PASSWORD, session_options={"duration": "8h"})
    copy = server.copy(store)
    server.clock.ahead += 8 * 3_600 + 1
    with pytest.raises(SessionExpired) as caught:
        hj.auth.access_token()
    assert caught.value.reason == "duration_elapsed"
    until(lambda: server.sent("/v2/auth/logout"))
    server.clock.ahead = 0
    hj.close()
    with pytest.raises(SessionExpired):
        copy.auth.refresh()


def test_revoked_by_an_administrator(server: Clients, hj: HelloJohn, api_key: str) -> None:
    """A session that was ended at the server is over at its next refresh, and not called theft."""
    admin = server.client(secret_key=api_key)
    admin.sessions.revoke_all(hj.auth.user().id)
    with pytest.raises(SessionExpired) as caught:
        hj.auth.refresh()
    assert caught.value.reason == "revoked"


# ---------------------------------------------------------------- tokens


def test_tokens_are_verified(server: Clients, hj: HelloJohn) -> None:
    """Tokens of a sign-in and of a refresh verify with the published keys, and for this client only."""
    user_id = hj.auth.user().id
    for token in (hj.auth.access_token(), hj.auth.refresh() and hj.auth.access_token()):
        claims = hj.verify_token(token)
        assert (claims.user_id, claims.session_id) == (user_id, None)
        with pytest.raises(WrongAudience):
            hj.verify_token(token, audience="another-client")


def test_doctor(server: Clients, hj: HelloJohn) -> None:
    """The doctor finds that the server answers, and nothing to do."""
    found = hj.doctor()
    assert (found.service, found.advice) == (f"{server.place.url}: answers", ())
