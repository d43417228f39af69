"""A store with the protocol's four methods is enough, with encryption and without."""

import functools
import threading
from contextlib import contextmanager

import pytest

from hellojohn._errors import NotSignedIn, StoreCorrupt
from hellojohn._secret import Secret
from hellojohn.stores import EncryptedStore
from hellojohn.stores._capabilities import enter_lock, saver, without_lock
from hellojohn.testing import TokenStoreContract
from tests.stores.recipes import FourMethods

USER = ("demo@example.com", "correct horse battery staple")


class TestFourMethods(TokenStoreContract):
    """It keeps the contract."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path) -> None:
        self.path = tmp_path / "sessions"

    def make_store(self) -> FourMethods:
        """Return a store of this test's folder."""
        return FourMethods(self.path)

    def recipe(self):
        """Spare the children this module's imports."""
        return functools.partial(FourMethods, self.path)


@pytest.fixture(params=["plain", "encrypted"])
def stores(request, tmp_path):
    """Return the store to use, and the minimal one that keeps its texts."""
    kept = FourMethods(tmp_path / "sessions")
    return (kept if request.param == "plain" else EncryptedStore(kept, b"k" * 32)), kept


@pytest.fixture
def key(hellojohn_emulator) -> str:
    """Return the key under which the client keeps its session."""
    return f"default@{hellojohn_emulator.tenant_id}@{hellojohn_emulator.url}"


@pytest.fixture
def hj(stores, hellojohn_emulator):
    """Return a client on the store."""
    with _client(stores[0], hellojohn_emulator) as hj:
        yield hj


def _client(store, emulator):
    from hellojohn import HelloJohn  # noqa: PLC0415 - the contract's children do without it
    from hellojohn.testing._settings import settings_for  # noqa: PLC0415

    return HelloJohn(**settings_for(emulator), store=store)


def test_a_session_lives_in_it_from_sign_in_to_sign_out(hj, stores, hellojohn_emulator):
    """The optional parts are optional."""
    session = hj.auth.sign_in(*USER, remember_me=True)
    hellojohn_emulator.advance("2h")
    assert hj.auth.refresh().id == session.id
    with _client(stores[0], hellojohn_emulator) as other:
        assert other.auth.session().id == session.id
    hj.auth.sign_out()
    with _client(stores[0], hellojohn_emulator) as other:
        assert other.auth.session() is None


def test_a_corrupt_record_is_quarantined_under_another_key(stores, key, hellojohn_emulator):
    """Each is kept under the next free key, and the user can sign in again."""
    store, kept = stores
    for number, damage in enumerate(["first damage", "second damage"], 1):
        store.save(key, damage)
        damaged = kept.load(key)
        with _client(store, hellojohn_emulator) as hj:
            place = f"{key}.corrupt-{number}"
            with pytest.raises(StoreCorrupt, match=place):
                hj.auth.session()
            assert hj.auth.session() is None
            assert kept.load(place) == damaged
            hj.auth.sign_in(*USER)
            assert hj.auth.session() is not None


def test_data_that_it_cannot_load_stays_where_it_is(tmp_path, key, hellojohn_emulator):
    """Without a ``quarantine``, nothing is lost: every use reports the damage."""
    kept = FourMethods(tmp_path / "sessions")
    kept.save(key, "text")
    kept._files._file(key).write_bytes(b"\xff")
    with _client(kept, hellojohn_emulator) as hj:
        for _ in range(2):
            with pytest.raises(StoreCorrupt, match="not UTF-8"):
                hj.auth.session()
    assert kept._files._file(key).read_bytes() == b"\xff"


def test_damage_that_has_gone_is_reported_as_gone(tmp_path, hellojohn_emulator, monkeypatch):
    """Another process may sign out, without the lock, while this one looks at the damage."""
    looks = []
    store = FourMethods(tmp_path / "sessions")
    monkeypatch.setattr(
        store, "load", lambda key: looks.append(key) or ("damage" if len(looks) <= 2 else None)
    )
    with _client(store, hellojohn_emulator) as hj:
        with pytest.raises(StoreCorrupt, match="It is gone"):
            hj.auth.session()
        with pytest.raises(NotSignedIn):
            hj.auth.refresh()


def test_the_doctor_names_its_class(hj):
    """It has no description, but its class shows which package it is from."""
    facts = hj.doctor().store
    assert facts.get("inside", facts["store"]) == "FourMethods"


# The parts that replace the optional ones


class _Opaque:
    """A function without a signature, as one written in C may be."""

    __signature__ = 1

    def __call__(self, key: str, text: str) -> None:
        self.saved = (key, text)


class _Unhashable(_Opaque):
    __hash__ = None


@pytest.mark.parametrize("kind", [_Opaque, _Unhashable])
def test_a_save_of_unknown_parameters_gets_two(tmp_path, kind):
    """An expiry that it may not take would break every save."""
    store = FourMethods(tmp_path)
    store.save = opaque = kind()
    saver(store)("k", Secret("text"), 60.0)
    assert opaque.saved == ("k", "text")


@pytest.mark.parametrize("entered", ["the store", "a lock", "True", "None"])
def test_a_lock_may_return_anything(tmp_path, monkeypatch, entered):
    """Only a ``LockedValue`` is used; a lock object or the store itself is not one."""
    store = FourMethods(tmp_path / "sessions")
    values = {"the store": store, "a lock": threading.Lock(), "True": True, "None": None}

    @contextmanager
    def lock(key, timeout):
        yield values[entered]

    monkeypatch.setattr(store, "lock", lock)
    leave, value = enter_lock(store, "k", 1)
    value.save("text", expires_in=60.0, release=True)
    assert (value.load(), store.load("k")) == ("text", "text")
    leave()


def test_a_value_without_a_lock_loads_and_saves(tmp_path):
    """A caller that has the lock already, or works without it, has the same interface."""
    store = FourMethods(tmp_path / "sessions")
    value = without_lock(store, "k")
    assert value.load() is None
    value.save("text", expires_in=60.0)
    assert store.load("k") == "text"
