"""The guards' table of answers: four frameworks, views of both styles, clients of both faces."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from hellojohn import ConfigurationError, HelloJohn, PermissionDenied
from hellojohn.emulator import Emulator
from hellojohn.testing._settings import settings_for
from tests.both_faces import settle
from tests.dialects import on_both_emulators
from tests.integrations.apps import SCOPES, Reply
from tests.integrations.conftest import App

ROUTES = ["/required", "/optional", "/scopes", "/role", "/remote"]
SECRETS = ["Traceback", "hellojohn.", "127.0.0.1", "jwks", "kid", "signature"]


def challenge_of(reply: Reply) -> str:
    """Return the error that a challenge names, after a check that the answer shows no internals."""
    text = reply.headers["www-authenticate"]
    assert not [word for word in SECRETS if word in f"{text}{reply.document}"]
    assert text.startswith('Bearer error="')
    return text.split('"')[1]


def test_good_token(app: App, emulator: Emulator) -> None:
    """A token with everything that a route asks for is let through, and the view sees the user."""
    token = emulator.token(scopes=[*SCOPES, "more"], roles=["admin"])
    users = {app.call(route, f"Bearer {token}").document["user"] for route in ROUTES}
    assert users == {emulator.sessions()[-1].user_id}


def test_guard_of_a_closed_client(app: App, emulator: Emulator, hj: Any) -> None:
    """A server that is ending answers its last requests: local verification goes on."""
    token = emulator.token()
    assert app.call("/required", f"Bearer {token}").status == 200
    if isinstance(hj, HelloJohn):
        hj.close()
    else:
        asyncio.run(hj.aclose())
    assert app.call("/required", f"Bearer {token}").status == 200


def test_scheme_in_any_case(app: App, emulator: Emulator) -> None:
    """The name of the scheme may be in lower case."""
    assert app.call("/required", f"bearer  {emulator.token()} ").status == 200


@pytest.mark.parametrize(
    "authorization", [[], ["Basic YTpi"], ["Bearer"], ["Bearer "], ['Digest a="b", c="d"']]
)
def test_no_token(app: App, authorization: list[str]) -> None:
    """Without a token the challenge names no error, and an optional route runs."""
    for route in ROUTES:
        reply = app.call(route, *authorization)
        if route == "/optional":
            assert (reply.status, reply.document) == (200, {"user": None})
        else:
            assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("kind", ["expired", "forged", "text", "long", "latin-1"])
def test_bad_token(app: App, emulator: Emulator, kind: str) -> None:
    """A bad token is refused everywhere, and is not taken for a missing one on an optional route."""
    good = emulator.token()
    token = {
        "expired": emulator.token(expires_in=timedelta(seconds=-5)),
        "forged": good[:-6] + ("AAAAAA" if good[-6:] != "AAAAAA" else "BBBBBB"),
        "text": "a b c",
        "long": "x" * 20_000,
        "latin-1": "é",
    }[kind]
    for route in ROUTES:
        reply = app.call(route, f"Bearer {token}")
        assert (reply.status, challenge_of(reply)) == (401, "invalid_token")


@on_both_emulators
def test_token_that_ends(app: App, emulator: Emulator) -> None:
    """A token is refused as soon as the clock has passed its end."""
    token = emulator.token()
    assert app.call("/required", f"Bearer {token}").status == 200
    emulator.advance("2h")
    assert challenge_of(app.call("/required", f"Bearer {token}")) == "invalid_token"


def test_new_signing_key(app: App, emulator: Emulator) -> None:
    """A token of a key that came after the first fetch is refused or 503, and never a crash."""
    assert app.call("/required", f"Bearer {emulator.token()}").status == 200
    emulator.rotate_keys(publish_after="1h")
    reply = app.call("/required", f"Bearer {emulator.token()}")
    assert (reply.status, challenge_of(reply)) == (401, "invalid_token")


def test_missing_scope(app: App, emulator: Emulator) -> None:
    """All scopes that the route asks for are named, also those that the token has."""
    reply = app.call("/scopes", f"Bearer {emulator.token(scopes=SCOPES[:1], roles=[])}")
    assert (reply.status, challenge_of(reply)) == (403, "insufficient_scope")
    assert f'scope="{" ".join(SCOPES)}"' in reply.headers["www-authenticate"]


def test_missing_role(app: App, emulator: Emulator) -> None:
    """A missing role is 403 without a scope, which would be the wrong thing to ask for."""
    reply = app.call("/role", f"Bearer {emulator.token(roles=['member'], scopes=SCOPES)}")
    assert (reply.status, challenge_of(reply)) == (403, "insufficient_scope")
    assert "scope=" not in reply.headers["www-authenticate"]


@pytest.mark.parametrize("other", ["Bearer {}", "Basic YTpi"])
def test_two_authorization_headers(app: App, emulator: Emulator, other: str) -> None:
    """Two credentials are refused, also joined by a server, since two readers may pick different ones."""
    token = emulator.token()
    for route in ROUTES:
        reply = app.call(route, other.format(token), f"Bearer {token}")
        assert (reply.status, challenge_of(reply)) == (400, "invalid_request")


def test_token_in_the_query(app: App, emulator: Emulator) -> None:
    """A token in the query is refused, since addresses are logged. Other parameters mean nothing here."""
    token = emulator.token()
    for route in ROUTES:
        assert challenge_of(app.call(route, query=f"access_token={token}")) == "invalid_request"
    assert app.call("/required", f"Bearer {token}", query="token=invitation").status == 200


def test_revoked_session(app: App, hj: Any, emulator: Emulator) -> None:
    """The remote check sees a revocation at once; the local one once this process knows of it."""
    token = emulator.token()
    session_id = emulator.sessions()[-1].id
    emulator.revoke(session_id)
    assert challenge_of(app.call("/remote", f"Bearer {token}")) == "invalid_token"
    assert app.call("/required", f"Bearer {token}").status == 200
    asyncio.run(settle(hj.revocations.add(session_id=session_id)))
    assert challenge_of(app.call("/required", f"Bearer {token}")) == "invalid_token"


@pytest.mark.parametrize(
    ("fault", "retry_after"),
    [
        ({"status": 503, "retry_after": 7}, "7"),
        ({"status": 429, "retry_after": 9}, "9"),
        ({"drop": "before"}, "5"),
    ],
    ids=str,
)
def test_service_away(app: App, emulator: Emulator, fault: dict[str, Any], retry_after: str) -> None:
    """An outage or a rate limit of the remote check is 503 with the service's own wait, never 401 or 500."""
    emulator.fail("sessions/verify", times=None, **fault)
    reply = app.call("/remote", f"Bearer {emulator.token()}")
    assert (reply.status, reply.headers["retry-after"]) == (503, retry_after)
    assert not [word for word in SECRETS if word in str(reply.document)]


def test_keys_away(app: App, emulator: Emulator) -> None:
    """Without keys the answer is 503, because the token may be good."""
    emulator.fail("jwks", status=500, times=None)
    for route in ("/required", "/optional", "/scopes"):
        reply = app.call(route, f"Bearer {emulator.token()}")
        assert reply.status == 503
        assert 1 <= int(reply.headers["retry-after"]) <= 60
        assert not [word for word in SECRETS if word in str(reply.document)]
    assert app.call("/optional").status == 200


def test_missing_secret_key(app: App, emulator: Emulator) -> None:
    """A mistake in the settings is an error for the developer, not an answer for users."""
    with HelloJohn(**{**settings_for(emulator), "secret_key": None}) as client:
        call = app.make(client)
        assert failure_of(call, emulator.token()) is ConfigurationError


def test_wrong_secret_key(app: App, emulator: Emulator) -> None:
    """Neither is a secret key that the service does not know, since it would answer 503 for ever."""
    emulator.fail("sessions/verify", status=403, times=None)
    assert failure_of(app.call, emulator.token()) is PermissionDenied


def failure_of(call: Any, token: str) -> type[BaseException] | None:
    """Return the error that a view's framework was left with."""
    try:
        reply = call("/remote", f"Bearer {token}")
    except Exception as error:  # noqa: BLE001 - test clients pass it on
        return type(error)
    pytest.fail(f"answered {reply.status}")
