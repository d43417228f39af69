"""Every public name: an object of it, which has been near every secret, shows none.

Objects are found, not listed: whatever a signed-in client leads to, and every error that can be made. A name
that is added without an object here fails the first test.
"""

import copy
import enum
import inspect
import pickle
from typing import Any

import pytest

import hellojohn
from hellojohn import EncryptedStore, FileStore, KeyringStore, RedisStore, SessionOptions
from hellojohn._errors import HelloJohnError
from hellojohn._secret import Secret
from tests.secrecy.markers import ACCESS, CODE, PASSWORD, REFRESH, STORE_KEY
from tests.secrecy.test_answers import ANSWERS
from tests.secrecy.tracebacks import exposed_by
from tests.secrecy.walk import exposed, reachable
from tests.secrecy.world import EMAIL, World, settle

NAMES = [name for name in hellojohn.__all__ if inspect.isclass(getattr(hellojohn, name))]
CLASSES = {name: getattr(hellojohn, name) for name in NAMES}
ABSTRACT = {"LockedValue", "TokenStore"}
"""Protocols, which have no objects."""


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
    """Return a store of each kind that is not reached through a client; extend it with every new kind."""
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
    """Return a client that has been through everything, and all that came of it."""
    world = World(owner)
    await world.sign_in()
    world.now += 7_200
    shown = [world.hj, world.events, world.store, *stores(folder), SessionOptions(duration="8h")]
    shown += [await settle(world.hj.auth.session()), await settle(world.hj.auth.user())]
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
    """Otherwise nobody would look at it: let ``exhibits`` make one."""
    shown = [await exhibits(owner, tmp_path) for owner in (hellojohn.HelloJohn, hellojohn.AsyncHelloJohn)]
    there = {type(thing) for _, thing in reachable(shown)}
    assert [name for name, kind in CLASSES.items() if kind not in there and name not in ABSTRACT] == []


async def test_no_public_object_shows_a_secret(owner, tmp_path):
    """Neither it, nor anything that can be reached from it, in any way of showing it."""
    assert exposed(await exhibits(owner, tmp_path)) == []


async def test_what_pickles_is_clean_and_comes_back(owner, tmp_path):
    """An object that travels to another process takes no secret along; all others refuse."""
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
def test_an_error_shows_what_it_was_given_and_no_more(kind):
    """Its fields survive a copy and a pickle; it has no place for a token."""
    fields = inspect.signature(kind).parameters
    assert not [
        name for name in fields if {"token", "password", "key", "secret", "record"} & set(name.split("_"))
    ]
    error = kind("what went wrong")
    for again in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert (type(again), str(again), vars(again)) == (kind, "what went wrong", vars(error))


@pytest.mark.parametrize("text", [ACCESS, REFRESH, PASSWORD, CODE, "", " ", "MARKED-\ud800", "MARKED-\u0000"])
def test_a_secret_shows_nothing_whatever_it_holds(text):
    """Not even its length, nor that it is empty, nor in the error that compares or hashes it."""
    secret = Secret(text)
    shown = {repr(secret), str(secret), f"{secret}", f"{secret!s}", f"{secret:>20}".strip(), "%s" % secret}  # noqa: UP031
    assert shown == {"***", "Secret('***')"}
    assert exposed(secret) == []
    for compare in (lambda: secret == Secret(text), lambda: secret != Secret("other"), lambda: hash(secret)):
        result = attempt(compare)
        assert not isinstance(result, Exception) or exposed_by(result) == []
    assert secret != text


async def test_vars_of_the_client_lead_to_no_key(owner):
    """``print(vars(client))`` is what people do first."""
    world = World(owner)
    await world.sign_in()
    for thing in (
        world.hj,
        world.hj.auth,
        world.hj._settings,
        world.hj._account,
        world.hj._engine,
        world.store,
    ):
        held = getattr(thing, "__dict__", {}) or {name: getattr(thing, name) for name in thing.__slots__}
        assert exposed(repr(held)) == []
    assert EMAIL in repr(await settle(world.hj.auth.session()))
    await world.close()
