"""The service's webhooks: their effect, and the effect of forged, repeated and late ones."""

import asyncio
import hashlib
import hmac
import json
import traceback
from datetime import UTC, datetime
from email.message import Message

import pytest

from hellojohn._errors import (
    ConfigurationError,
    HelloJohnError,
    StoreUnavailable,
    TokenInvalid,
    WebhookInvalid,
)
from hellojohn._secret import Secret
from hellojohn.stores import FileStore
from tests.fake_stores import FailingStore
from tests.verify.conftest import NOW
from tests.verify.test_revocations import is_revoked

SECRET = "whsec_ c2VjcmV0=="


@pytest.fixture
def verifier(make):
    """Return a verifier that takes webhooks."""
    return make(webhook_secret=Secret(SECRET))


@pytest.fixture
def token(signer, claims):
    """Return a token that stays good for two days."""
    return signer.sign({**claims, "exp": int(NOW) + 2 * 86_400})


def iso(seconds):
    """Return a time as the service writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def event(kind, *, at=NOW + 1, **data):
    """Return a webhook's body."""
    return json.dumps({"id": "evt_1", "type": kind, "created_at": iso(at), "data": data}).encode()


def signed(body, *, delivery="dlv_1", secret=SECRET, **more):
    """Return the headers that the service sends with a body."""
    digest = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    return {"HelloJohn-Signature": f"sha256={digest}", "HelloJohn-Delivery-ID": delivery, **more}


def deliver(verifier, body, **options):
    """Deliver a webhook with a good signature."""
    return verifier.revocations.handle_webhook(signed(body, **options), body)


@pytest.mark.parametrize("signature", ["sha256=" + "0" * 64, "sha256=", ""])
def test_a_forged_webhook_shows_no_key(verifier, signature):
    """Anybody can send one, and a report of the error may hold local variables."""
    with pytest.raises(WebhookInvalid) as caught:
        verifier.revocations.handle_webhook({"HelloJohn-Signature": signature}, b"{}")
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [(frame.line, frame.locals) for frame in shown.stack if frame.filename != __file__]
    assert len(frames) >= 3
    assert SECRET not in str(frames)


def http_server(headers):
    """Return headers as ``http.server`` has them."""
    message = Message()
    for name, value in headers.items():
        message[name] = value
    return message


@pytest.mark.parametrize("shape", [dict, lambda it: list(it.items()), http_server])
def test_headers_of_any_kind(verifier, token, shape):
    """Each server has its own: dictionaries, pairs, and those of ``http.server``."""
    body = event("session.revoked", session_id="ses_1")
    verifier.revocations.handle_webhook(shape(signed(body)), body)
    assert is_revoked(verifier, token)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("session.revoked", {"session_id": "ses_1", "user_id": "usr_1"}),
        ("session.revoked", {"session": {"id": "ses_1"}}),
        ("session.revoked", {"id": "ses_1"}),
        ("user.disabled", {"user_id": "usr_1"}),
        ("user.deleted", {"user": {"id": "usr_1"}}),
        ("user.password_changed", {"id": "usr_1"}),
    ],
    ids=str,
)
def test_the_four_events_revoke(verifier, token, kind, data):
    """Each in the shapes that such an event may have."""
    found = deliver(verifier, event(kind, **data))
    assert (found.type, found.repeated, found.delivery_id) == (kind, False, "dlv_1")
    assert found.created_at == datetime.fromtimestamp(NOW + 1, UTC)
    assert is_revoked(verifier, token)


@pytest.mark.parametrize("kind", ["user.created", "session.created", "something.else"])
def test_other_events_succeed_and_change_nothing(verifier, token, kind):
    """A subscription may cover more than revocations."""
    assert deliver(verifier, event(kind, user_id="usr_1", session_id="ses_1")).user_id == "usr_1"
    assert not is_revoked(verifier, token)


def test_the_events_own_id_is_not_a_session(verifier):
    """A body that names no session or user is refused."""
    for kind in ("session.revoked", "user.deleted"):
        with pytest.raises(WebhookInvalid, match="does not say which"):
            deliver(verifier, event(kind))


def test_header_names_and_forms_do_not_matter(verifier, token):
    """Frameworks hand headers over as mappings or pairs, in any case, as text or bytes."""
    body = event("session.revoked", session_id="ses_1")
    pairs = [(name.upper().encode(), value.encode()) for name, value in signed(body).items()]
    assert verifier.revocations.handle_webhook(pairs, body).session_id == "ses_1"
    lower = {name.lower(): value for name, value in signed(body, delivery="dlv_2").items()}
    assert verifier.revocations.handle_webhook(lower, body).repeated is False


def forgeries(body):
    """Return headers that do not prove the body."""
    good = signed(body)["HelloJohn-Signature"]
    return {
        "none": {},
        "empty": {"HelloJohn-Signature": ""},
        "cut": {"HelloJohn-Signature": good[:-1]},
        "other hash": {"HelloJohn-Signature": good.replace("sha256", "sha1")},
        "other secret": signed(body, secret="x"),
        "other body": signed(body + b" "),
        "plain hash": {"HelloJohn-Signature": "sha256=" + hashlib.sha256(body).hexdigest()},
        "junk": {"HelloJohn-Signature": "sha256=" + "ü" * 64},
    }


@pytest.mark.parametrize("name", forgeries(b""))
def test_forged_webhooks_are_refused(verifier, token, name):
    """Nothing of them is believed, and the error shows nothing of the secret."""
    body = event("session.revoked", session_id="ses_1")
    with pytest.raises(WebhookInvalid) as caught:
        verifier.revocations.handle_webhook(forgeries(body)[name], body)
    assert SECRET not in repr(caught.value)
    assert not is_revoked(verifier, token)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"type": "session.revoked"}',
        b'{"created_at": 1}',
        b"\xff",
        b'{"type": 1, "created_at": 1}',
        b'{"type": "user.deleted", "created_at": "soon"}',
        b'{"type": "user.deleted", "created_at": true}',
        b'{"type": "user.deleted", "created_at": 1e300}',
    ],
)
def test_unreadable_webhooks_are_refused(verifier, body):
    """Even when they are signed."""
    with pytest.raises(WebhookInvalid):
        deliver(verifier, body)


def test_a_huge_webhook_is_not_read(verifier):
    """Its signature is not even computed."""
    with pytest.raises(WebhookInvalid, match="larger"):
        deliver(verifier, b"x" * 262_145)


@pytest.mark.parametrize("body", ["text", None, {"type": "x"}], ids=str)
def test_a_body_that_is_not_bytes_is_a_type_error(verifier, body):
    """A signature covers the raw bytes; a framework's parsed body is something else."""
    with pytest.raises(TypeError, match="raw bytes"):
        verifier.revocations.handle_webhook({}, body)


def test_webhooks_need_a_secret(make):
    """The message names the argument and the variable."""
    with pytest.raises(ConfigurationError, match="HELLOJOHN_WEBHOOK_SECRET"):
        deliver(make(), event("user.deleted", user_id="usr_1"))


def test_a_repeated_delivery_succeeds_and_does_nothing(verifier, clocks):
    """The service repeats a delivery until it sees an answer."""
    body = event("user.deleted", user_id="usr_1")
    assert [deliver(verifier, body).repeated for _ in range(3)] == [False, True, True]
    other = event("user.deleted", user_id="usr_2")
    assert deliver(verifier, other).repeated is False


def test_few_deliveries_are_remembered(verifier, monkeypatch):
    """The oldest is forgotten; if it comes again, it does no harm."""
    monkeypatch.setattr("hellojohn.verify._webhooks.MOST_DELIVERIES", 3)
    bodies = [event("user.deleted", user_id=f"usr_{number}") for number in range(4)]
    for body in bodies:
        deliver(verifier, body)
    assert [deliver(verifier, body).repeated for body in (bodies[3], bodies[0])] == [True, False]


def test_a_replay_hours_later_throws_nobody_out(verifier, signer, clocks, claims, token):
    """Headers prove nothing, so a captured body may come again under a new delivery id."""
    body = event("user.password_changed", user_id="usr_1")
    deliver(verifier, body)
    clocks.advance(7_200)
    later = signer.sign({**claims, "iat": int(NOW) + 7_000, "exp": int(NOW) + 9_000, "session_id": "ses_2"})
    deliver(verifier, body, delivery="dlv_2")
    assert (is_revoked(verifier, token), is_revoked(verifier, later)) == (True, False)


def test_a_webhook_older_than_any_token_changes_nothing(verifier, clocks, token):
    """Every token that it could reach has expired."""
    clocks.advance(90_000)
    deliver(verifier, event("session.revoked", session_id="ses_1"))
    assert len(verifier._feed.known) == 0


def test_a_time_in_the_future_is_cut(verifier, signer, clocks, claims):
    """A wrong clock at the service must not lock a user out for years."""
    deliver(verifier, event("user.disabled", at=NOW + 9_000_000, user_id="usr_1"))
    clocks.advance(100)
    assert not is_revoked(verifier, signer.sign({**claims, "iat": int(NOW) + 90}))


def test_unix_seconds_are_a_time(verifier, token):
    """A service may write a time as a number."""
    body = json.dumps({"type": "user.deleted", "created_at": NOW, "user_id": "usr_1"}).encode()
    assert deliver(verifier, body).user_id == "usr_1"
    assert is_revoked(verifier, token)


def test_webhooks_reach_the_other_workers(make, tmp_path, token):
    """The worker that got the webhook shares it through the store."""
    here, there = (make(webhook_secret=Secret(SECRET), store=FileStore(tmp_path)) for _ in range(2))
    deliver(here, event("session.revoked", session_id="ses_1"))
    assert is_revoked(there, token)


def test_a_webhook_that_could_not_be_stored_may_come_again(make, monkeypatch, token):
    """It is not counted as handled, so that the service's next try does the rest."""
    monkeypatch.setattr("hellojohn.verify._verifier.MemoryStore", FileStore)
    store = FailingStore()
    store.fail("load")
    verifier = make(webhook_secret=Secret(SECRET), store=store)
    body = event("session.revoked", session_id="ses_1")
    with pytest.raises(StoreUnavailable):
        deliver(verifier, body)
    store.heal()
    assert deliver(verifier, body).repeated is False
    assert deliver(verifier, body).repeated is True


def test_the_async_client_awaits_webhooks(make, tmp_path, token):
    """The same answer, with the store written to on a worker thread."""
    verifier = make(webhook_secret=Secret(SECRET), store=FileStore(tmp_path))
    body = event("session.revoked", session_id="ses_1")
    found = asyncio.run(verifier.async_revocations.handle_webhook(signed(body), body))
    assert (found.session_id, found.repeated) == ("ses_1", False)
    assert is_revoked(verifier, token)


def test_a_webhook_error_is_not_a_tokens():
    """A handler that answers 401 must not see it."""
    assert issubclass(WebhookInvalid, HelloJohnError)
    assert not issubclass(WebhookInvalid, TokenInvalid)
