"""A store with the protocol's four methods and no more does everything, with and without encryption."""

import functools

import pytest

from hellojohn._errors import NotSignedIn, StoreCorrupt
from hellojohn._secret import Secret
from hellojohn.stores import EncryptedStore
from hellojohn.stores._capabilities import saver
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
    """Return where the client keeps its session."""
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


def test_a_session_lives_in_it_from_sign_in_to_sign_out(hj, stores, key, hellojohn_emulator):
    """The optional parts are optional: a session that ends tells such a store nothing of its end."""
    store, kept = stores
    session = hj.auth.sign_in(*USER, remember_me=True)
    assert kept.load(key)
    hellojohn_emulator.advance("2h")
    assert hj.auth.refresh().id == session.id
    with _client(store, hellojohn_emulator) as other:
        assert other.auth.session().id == session.id
    hj.auth.sign_out()
    assert kept.load(key) is None


def test_what_is_no_record_is_quarantine_the_general_way(stores, key, hellojohn_emulator):
    """Each damage is kept under the next free key, and the user can sign in again."""
    store, kept = stores
    for number, damage in enumerate(["first damage", "second damage"], 1):
        store.save(key, damage)
        damaged = kept.load(key)
        with _client(store, hellojohn_emulator) as hj:
            aside = f"{key}.corrupt-{number}"
            with pytest.raises(StoreCorrupt, match=f"set aside as {aside}"):
                hj.auth.session()
            assert hj.auth.session() is None
            assert kept.load(aside) == damaged
            hj.auth.sign_in(*USER)
            assert hj.auth.session() is not None


def test_what_it_cannot_load_stays_where_it_is(tmp_path, key, hellojohn_emulator):
    """Without a way of its own to set damage aside, nothing is lost: every use says what is wrong."""
    kept = FourMethods(tmp_path / "sessions")
    kept.save(key, "text")
    kept._files._file(key).write_bytes(b"\xff")
    with _client(kept, hellojohn_emulator) as hj:
        for _ in range(2):
            with pytest.raises(StoreCorrupt, match="not UTF-8"):
                hj.auth.session()
    assert kept._files._file(key).read_bytes() == b"\xff"


class _Vanishing(FourMethods):
    """Holds damage when it is looked at without the lock and with it, and no more after that."""

    looks = 0

    def load(self, key: str) -> str | None:
        self.looks += 1
        return "damage" if self.looks <= 2 else None


def test_damage_that_is_gone_by_now_is_reported_as_gone(tmp_path, hellojohn_emulator):
    """Another process may sign out, without the lock, while this one looks at the damage."""
    with _client(_Vanishing(tmp_path / "sessions"), hellojohn_emulator) as hj:
        with pytest.raises(StoreCorrupt, match="It is gone by now; sign in again"):
            hj.auth.session()
        with pytest.raises(NotSignedIn):
            hj.auth.refresh()


class _Sealed:
    """A function that tells nothing of its parameters, as one written in C may."""

    __signature__ = 1

    def __call__(self, key: str, text: str) -> None:
        self.saved = (key, text)


def test_a_save_of_unknown_parameters_is_given_the_two(tmp_path):
    """An expiry that it may not take would break every save."""
    store = FourMethods(tmp_path)
    store.save = sealed = _Sealed()
    saver(store)("k", Secret("text"), 60.0)
    assert sealed.saved == ("k", "text")


def test_the_doctor_names_it(hj):
    """It tells nothing about itself; its class is enough to know whom to ask."""
    facts = hj.doctor().store
    assert facts.get("inside", facts["store"]) == "FourMethods"
