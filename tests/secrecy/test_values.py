"""An object of every public class, created by a client that has seen every secret, shows none.

Objects are found, not listed: all that a client leads to, and every error. A new public name that has no
object here fails the first test.
"""

import copy
import enum
import inspect
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

import hellojohn
from hellojohn import (
    Device,
    EncryptedStore,
    FileStore,
    KeyringStore,
    MfaFactor,
    OAuthRequest,
    PasswordPolicy,
    PolicyWarning,
    RedisStore,
    SessionInfo,
    SessionOptions,
    SessionPolicy,
    TokenClaims,
    TotpEnrollment,
    Verification,
    WebhookEvent,
)
from hellojohn._errors import HelloJohnError
from hellojohn._secret import Secret
from tests.both_faces import settle
from tests.secrecy.marked_client import EMAIL, MarkedClient
from tests.secrecy.markers import ACCESS, CODE, PASSWORD, REFRESH, STORE_KEY
from tests.secrecy.test_answers import ANSWERS
from tests.secrecy.tracebacks import exposed_by
from tests.secrecy.walk import exposed, reachable

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
NAMES = [name for name in hellojohn.__all__ if inspect.isclass(getattr(hellojohn, name))]
CLASSES = {name: getattr(hellojohn, name) for name in NAMES}
ABSTRACT = {"LockedValue", "TokenStore"}
"""Protocols, which have no objects."""


def values() -> list[Any]:
    """Return an object of each public value that no call of this module returns."""
    session, claims = SessionInfo(id="ses_1"), claims_of()
    return [
        *(Device(user_agent="app"), PasswordPolicy(), MfaFactor(type="totp"), session, SessionPolicy()),
        TotpEnrollment(secret="a base32 text", uri="otpauth://totp/x"),
        OAuthRequest(
            url="https://x",
            redirect_uri="https://y",
            expires_at=NOON,
            state="s",
            code_verifier="v",
            nonce="n",
        ),
        *(claims, Verification(valid=True, session=session, claims=claims), PolicyWarning("mind the limit")),
        WebhookEvent(type="session.revoked", created_at=NOON, session_id="ses_1", user_id=None, data={}),
    ]


def claims_of() -> TokenClaims:
    """Return the claims of a token."""
    facts = {"session_id": None, "tenant_id": None, "email": None, "org_id": None, "mfa_verified": False}
    empty = {"roles": frozenset[str](), "scopes": frozenset[str](), "custom": {}, "raw": {}}
    return TokenClaims(user_id="usr_1", issued_at=NOON, expires_at=NOON, **facts, **empty)


def errors():
    """Yield every error class of the package, public or not."""
    waiting = [HelloJohnError]
    while waiting:
        kind = waiting.pop()
        if kind.__module__.startswith("hellojohn"):
            yield kind
            waiting += kind.__subclasses__()


class Client:
    """Stands for a Redis client."""

    def execute_command(self, *args: object, **options: object) -> None:
        """Do nothing."""


def stores(folder: Any) -> list[Any]:
    """Return a store of each kind that is not reached through a client. Add every new kind."""
    key = EncryptedStore.generate_key()
    phrases = [f"{STORE_KEY} old", f"{STORE_KEY}".encode().ljust(32, b"-")]
    return [
        FileStore(folder),
        KeyringStore("service"),
        RedisStore(Client()),
        EncryptedStore(FileStore(folder), STORE_KEY),
        EncryptedStore(FileStore(folder), [key, *phrases]),
    ]


async def exhibits(owner: type, folder: Any) -> list[Any]:
    """Return a client that has carried out every kind of call, and all results."""
    world = MarkedClient(owner)
    await world.sign_in()
    world.now += 7_200
    shown = [world.hj, world.events, world.store, *stores(folder), SessionOptions(duration="8h")]
    shown += [await settle(world.hj.auth.session()), await settle(world.hj.auth.user())]
    shown += [world.hj.mfa, world.hj.sessions, world.hj.admin, world.hj.revocations, *values()]
    shown += [
        await settle(world.hj.doctor()),
        world.hj.for_account("other"),
        world.hj.httpx_auth(origins="*"),
    ]
    world.service.answers.append(ANSWERS["mfa"])
    with pytest.raises(HelloJohnError) as caught:
        await world.sign_in()
    await world.close()
    return [*shown, caught.value, *(kind("what went wrong") for kind in errors()), *enums()]


def enums() -> list[Any]:
    """Return the members of the public enumerations."""
    return [member for kind in CLASSES.values() if isinstance(kind, enum.EnumType) for member in kind]


def attempt(call, *arguments):
    """Return what a call returns or raises."""
    try:
        return call(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever it refuses with
        return error


async def test_every_public_class_has_an_object_here(tmp_path):
    """A public class without an object would not be searched: let ``exhibits`` create one."""
    shown = [await exhibits(owner, tmp_path) for owner in (hellojohn.HelloJohn, hellojohn.AsyncHelloJohn)]
    there = {type(thing) for _, thing in reachable(shown)}
    assert [name for name, kind in CLASSES.items() if kind not in there and name not in ABSTRACT] == []


async def test_no_public_object_shows_a_secret(owner, tmp_path):
    """No object shows a secret in any way, nor does any object that can be reached from it."""
    assert exposed(await exhibits(owner, tmp_path)) == []


async def test_pickles_hold_no_secret(owner, tmp_path):
    """What pickles takes no secret along and comes back; all other objects refuse."""
    travelled = set()
    for thing in await exhibits(owner, tmp_path):
        pickled = attempt(pickle.dumps, thing)
        if isinstance(pickled, Exception):
            assert exposed_by(pickled) == [], thing
        else:
            back = pickle.loads(pickled)
            assert exposed(back) == []
            travelled.add(type(back).__name__)
    assert {"Session", "User", "Diagnosis", "SessionOptions", "MfaRequired", "SessionExpired"} <= travelled
    assert not travelled & {"HelloJohn", "AsyncHelloJohn", "SessionAuth", "MemoryStore"}


@pytest.mark.parametrize("kind", list(errors()), ids=lambda kind: kind.__name__)
def test_error_has_no_place_for_a_token(kind):
    """The fields of an error survive a copy and a pickle, and none is for a secret."""
    fields = inspect.signature(kind).parameters
    assert not [
        name for name in fields if {"token", "password", "key", "secret", "record"} & set(name.split("_"))
    ]
    error = kind("what went wrong")
    for again in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert (type(again), str(again), vars(again)) == (kind, "what went wrong", vars(error))


@pytest.mark.parametrize("text", [ACCESS, REFRESH, PASSWORD, CODE, "", " ", "MARKED-\ud800", "MARKED-\u0000"])
def test_secret_shows_nothing(text):
    """A Secret shows neither its text nor its length, nor does the error of a comparison."""
    secret = Secret(text)
    shown = {repr(secret), str(secret), f"{secret}", f"{secret!s}", f"{secret:>20}".strip(), "%s" % secret}  # noqa: UP031
    assert shown == {"***", "Secret('***')"}
    assert exposed(secret) == []
    for compare in (lambda: secret == Secret(text), lambda: secret != Secret("other"), lambda: hash(secret)):
        result = attempt(compare)
        assert not isinstance(result, Exception) or exposed_by(result) == []
    assert secret != text


async def test_variables_of_the_client_show_no_key(owner):
    """print(vars(client)) shows no key and no token."""
    world = MarkedClient(owner)
    await world.sign_in()
    for thing in (world.hj, world.hj.auth, world.store):
        assert exposed(repr(vars(thing))) == []
    assert EMAIL in repr(await settle(world.hj.auth.session()))
    await world.close()
