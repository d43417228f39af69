"""Records that this side cannot read: another's are left alone, whatever is asked of the client."""

import pytest

from hellojohn import EncryptedStore, HelloJohn
from hellojohn._errors import NotSignedIn, StoreCorrupt, StoreError, StoreUnavailable
from hellojohn._secret import Secret
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.stores import FileStore, MemoryStore
from tests.engine.crowd import settings
from tests.engine.rig import API, DEAD, KEY, TENANT, Bench, a_record, granted

KEYS = (b"k" * 32, b"w" * 32)


def _encrypted(inner: MemoryStore, *keys: bytes) -> EncryptedStore:
    return EncryptedStore(inner, list(keys))


@pytest.mark.parametrize("use", [Bench.session, Bench.token, Bench.sign_in, Bench.sign_out])
def test_a_wrong_key_changes_nothing_whatever_is_called(use):
    """The right key still reads the session: nothing is overwritten, deleted or signed out."""
    inner = MemoryStore()
    _encrypted(inner, KEYS[0]).save(KEY, a_record().dumps())
    before = inner.load(KEY)
    bench = Bench(store=_encrypted(inner, KEYS[1]))
    with pytest.raises(StoreCorrupt, match="key"):
        use(bench)
    assert inner.load(KEY) == before
    assert _encrypted(inner, KEYS[0]).load(KEY) == a_record().dumps()
    assert bench.told() == []


class Refusing(MemoryStore):
    """Takes no record for as long as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses = False

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Save, or do not."""
        if self.refuses:
            raise StoreUnavailable("The disk is full.")
        super().save(key, text, expires_in=expires_in)


def test_a_refresh_that_could_not_be_saved_does_not_overwrite_what_another_key_wrote_since():
    """Another worker has the new key, and has signed somebody in: its session is newer."""
    inner = Refusing()

    def answer(_call, _seconds):
        inner.refuses = True
        return granted(2)

    _encrypted(inner, KEYS[0]).save(KEY, a_record().dumps())
    bench = Bench(answer, store=_encrypted(inner, KEYS[0])).at(DEAD)
    assert bench.token() == "at_2"
    inner.refuses = False
    theirs = a_record(session_id="ses_2", access_token=Secret("at_theirs"))
    _encrypted(inner, KEYS[1], KEYS[0]).save(KEY, dump(theirs).reveal())
    assert bench.token() == "at_2"
    bench.settle()
    assert _encrypted(inner, KEYS[1]).load(KEY) == dump(theirs).reveal()


@pytest.mark.parametrize("text", ["junk", '{"v": 99}'])
def test_the_public_error_is_told_and_none_of_the_engines_own(text):
    """A log, a pickle and a crash report name the class: it must be one that the documents have."""
    bench = Bench()
    MemoryStore.save(bench.store, KEY, text)
    with pytest.raises(StoreCorrupt) as caught:
        bench.session()
    assert type(caught.value) is StoreCorrupt


def test_a_sign_out_behind_a_stuck_lock_says_that_it_left_what_it_cannot_read():
    """A record of a newer version stays, and so the session: that must not look like success."""
    bench = Bench()
    MemoryStore.save(bench.store, KEY, '{"v": 99}')
    bench.engine.context.storage.lock_wait = 0.0
    with bench.store.lock(KEY, 1), pytest.raises(StoreError, match="upgrade"):
        bench.sign_out()
    assert MemoryStore.load(bench.store, KEY) == '{"v": 99}'


@pytest.mark.parametrize("change", [{"api_url": "/typo"}, {"tenant_id": "tnt_other"}])
def test_a_client_with_another_address_or_tenant_does_not_find_the_session(
    emulator: Emulator, tmp_path, change
):
    """A typing error in the settings must cost nobody a session: another place has another key."""
    store = FileStore(tmp_path / "sessions")
    right = settings(emulator, store)
    wrong = {
        **right,
        **{name: right[name] + value if name == "api_url" else value for name, value in change.items()},
    }
    with HelloJohn(**right) as hj:
        signed_in = hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    with HelloJohn(**wrong) as hj:
        assert hj.auth.session() is None
        with pytest.raises(NotSignedIn, match="tenant"):
            hj.auth.access_token()
    with HelloJohn(**right) as hj:
        assert hj.auth.session().id == signed_in.id


def test_no_two_accounts_and_tenants_share_a_key():
    """Whatever characters their names have."""
    keys = {
        Bench(tenant_id=tenant).engine.account(name).key
        for name, tenant in [("a", "b@t"), ("a@b", "t"), ("a", "b%40t"), ("a@b%40t", "t")]
    }
    assert len(keys) == 4
    assert (
        Bench().engine.account("default").key
        == f"default@{TENANT}@{API.removeprefix('https://').removesuffix('/v1')}"
    )
