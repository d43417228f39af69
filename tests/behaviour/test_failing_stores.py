"""Stores that fail, or whose records cannot be read: typed errors, and no session lost."""

import gc
import json
import logging

import pytest

from hellojohn import (
    AsyncHelloJohn,
    ConfigurationError,
    EncryptedStore,
    ExpiryReason,
    MemoryStore,
    NotSignedIn,
    SessionExpired,
    StoreCorrupt,
    StoreError,
    StoreLocked,
    StoreUnavailable,
)
from tests.behaviour.scripted import EMAIL, PASSWORD, DictStore, problem
from tests.both_faces import EventLog, close, settle, until
from tests.fake_stores import FailingStore


@pytest.fixture
def store() -> FailingStore:
    """Return a store that works until a test makes it fail."""
    return FailingStore()


@pytest.fixture
async def hj(owner, service, store):
    """Return a client of either kind that is signed in."""
    hj = service.client(owner, store=store)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    return hj


# ---------------------------------------------------------------- a pair that cannot be saved


async def test_unsaved_pair_is_used(hj, service, store, caplog):
    """A pair that the store does not take is used from memory, and the problem is logged."""
    service.at(hours=2)
    store.fail("save", skip=1)
    with caplog.at_level(logging.WARNING, "hellojohn"):
        assert await settle(hj.auth.access_token()) == "at_2"
    assert "was not saved" in caplog.text
    assert await settle(hj.auth.access_token()) == "at_2"


async def test_unsaved_pair_is_saved_later(hj, service, store):
    """The next use saves the pair when the store works again, and another process finds it."""
    service.at(hours=2)
    store.fail("save", skip=1)
    await settle(hj.auth.access_token())
    store.heal()
    service.now += 10
    assert await settle(hj.auth.access_token()) == "at_2"
    again = service.client(store=store)
    until(lambda: store.used["save"] >= 6)
    await close(hj)
    assert again.auth.access_token() == "at_2"
    assert service.presented() == ["rt_1"]


async def test_close_saves_an_unsaved_pair(hj, service, store):
    """A program that ends saves a session that was only in memory."""
    service.at(hours=2)
    store.fail("save", skip=1)
    await settle(hj.auth.access_token())
    store.heal()
    await close(hj)
    assert service.client(store=store).auth.access_token() == "at_2"
    assert service.presented() == ["rt_1"]


async def test_close_over_a_broken_store_raises_nothing(hj, service, store):
    """A with block around a broken store ends without an error."""
    service.at(hours=2)
    store.fail("save", skip=1)
    await settle(hj.auth.access_token())
    await close(hj)


async def test_broken_store_is_not_asked_at_each_use(hj, service, store):
    """A pause lies between two attempts to save, however many requests come."""
    service.at(hours=2)
    store.fail("save", skip=1)
    await settle(hj.auth.access_token())
    saves = store.used["save"]
    service.now += 10
    await settle(hj.auth.access_token())
    until(lambda: store.used["save"] > saves)
    saves = store.used["save"]
    for _ in range(30):
        assert await settle(hj.auth.access_token()) == "at_2"
    await close(hj)
    assert store.used["save"] <= saves + 2  # close() tries once more


async def test_unsaved_pair_is_not_refreshed(hj, service, store):
    """No refresh is sent from a pair that a crash would lose: the store must take it first."""
    service.at(hours=2)
    store.fail("save", skip=1)
    await settle(hj.auth.access_token())
    service.at(hours=4)
    with pytest.raises(StoreUnavailable):
        await settle(hj.auth.access_token())
    assert service.presented() == ["rt_1"]
    store.heal()
    assert await settle(hj.auth.access_token()) == "at_3"
    assert service.presented() == ["rt_1", "rt_2"]


async def test_unsaved_pair_of_a_request_is_kept(owner, service, store):
    """A pair that could not be saved stays in memory when the web request that got it is over."""
    hj = service.client(owner, store=store)
    await settle(hj.for_account("ada").auth.sign_in(EMAIL, PASSWORD))
    service.at(hours=2)
    store.fail("save", skip=1)
    await settle(hj.for_account("ada").auth.access_token())
    gc.collect()
    store.heal()
    service.now += 10
    assert await settle(hj.for_account("ada").auth.access_token()) == "at_2"
    await close(hj)
    assert service.client(store=store).for_account("ada").auth.access_token() == "at_2"
    assert service.presented() == ["rt_1"]


async def test_unsaved_pair_of_a_session_signed_out_elsewhere(hj, service, store):
    """A pair that only memory has ends when another client has signed the session out."""
    service.at(hours=2)
    store.fail("save", skip=1)
    await settle(hj.auth.access_token())
    store.heal()
    service.client(store=store).auth.sign_out()
    service.at(hours=4)
    with pytest.raises(SessionExpired) as caught:
        await settle(hj.auth.access_token())
    assert caught.value.reason is ExpiryReason.SIGNED_OUT


async def test_save_that_failed_after_it_was_carried_out(hj, service, store):
    """A store that reports a failure after it has saved does not make the session look replaced."""
    log = EventLog(hj)
    service.at(hours=2)
    store.fail("save", skip=1, times=1, late=True)
    assert await settle(hj.auth.access_token()) == "at_2"
    log.wait_for("TOKEN_REFRESHED")
    assert log.names() == ["TOKEN_REFRESHED"]
    assert service.client(store=store).auth.access_token() == "at_2"
    assert service.presented("auth/sign-out") == []


async def test_lost_lock_is_taken_again(hj, service, store):
    """A pair that was not saved because the lock was lost is saved under a new lock."""
    service.at(hours=2)
    store.fail("save", skip=1, times=1, error=StoreLocked("The lock was lost."))
    assert await settle(hj.auth.access_token()) == "at_2"
    await close(hj)
    assert service.client(store=store).auth.access_token() == "at_2"


# ---------------------------------------------------------------- a store that cannot be used


@pytest.mark.parametrize("method", ["load", "lock", "save"])
async def test_failing_store_is_no_sign_out(hj, service, store, method):
    """A store that cannot be read, locked or written raises its own error, and the session is kept."""
    service.at(hours=2)
    store.fail(method, times=1)
    with pytest.raises(StoreUnavailable, match="full"):
        await settle(hj.auth.access_token())
    assert service.presented() == []
    assert await settle(hj.auth.access_token()) == "at_2"


async def test_locked_store_is_an_error(hj, service, store):
    """A lock that another process does not release is StoreLocked, and the session is kept."""
    service.at(hours=2)
    store.fail("lock", times=1, error=StoreLocked("Another process holds it."))
    with pytest.raises(StoreLocked):
        await settle(hj.auth.access_token())
    assert await settle(hj.auth.access_token()) == "at_2"


async def test_sign_in_that_cannot_be_stored(owner, service, store):
    """A session that the store does not take is signed out at the service again."""
    hj = service.client(owner, store=store)
    log = EventLog(hj)
    store.fail("save")
    with pytest.raises(StoreUnavailable):
        await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    until(lambda: service.presented("auth/sign-out") == ["rt_1"])
    assert await settle(hj.auth.session()) is None
    assert log.names() == []


async def test_sign_in_that_cannot_be_stored_keeps_the_last_session(hj, service, store):
    """A failed sign-in leaves the session before it as it was."""
    store.fail("save")
    with pytest.raises(StoreUnavailable):
        await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    store.heal()
    assert await settle(hj.auth.access_token()) == "at_1"
    until(lambda: service.presented("auth/sign-out") == ["rt_2"])


async def test_sign_out_that_cannot_be_stored(hj, service, store):
    """A sign-out whose deletion fails raises; the service has ended the session."""
    store.fail("delete")
    with pytest.raises(StoreUnavailable):
        await settle(hj.auth.sign_out())
    assert service.presented("auth/sign-out") == ["rt_1"]


async def test_sign_out_with_a_failing_lock(owner, service, store):
    """A store whose lock fails, as that of a full server, may still delete: the session ends everywhere."""
    await settle(service.client(owner, store=store).auth.sign_in(EMAIL, PASSWORD))
    hj = service.client(owner, store=store)  # a later request of a back end: it has not read the session
    store.fail("lock")
    assert await settle(hj.auth.sign_out()) is True
    assert service.presented("auth/sign-out") == ["rt_1"]
    assert await settle(hj.auth.session()) is None


@pytest.mark.parametrize("method", ["load", "delete"])
async def test_sign_out_with_a_failing_lock_and_more(owner, service, store, method):
    """The error of what failed beside the lock is raised, and the service ends what could be read."""
    await settle(service.client(owner, store=store).auth.sign_in(EMAIL, PASSWORD))
    hj = service.client(owner, store=store)
    store.fail("lock")
    store.fail(method)
    with pytest.raises(StoreUnavailable):
        await settle(hj.auth.sign_out())
    assert service.presented("auth/sign-out") == ([] if method == "load" else ["rt_1"])


async def test_end_that_cannot_be_stored_is_not_hidden(hj, service, store, caplog):
    """The service's end of a session reaches the caller, although the store fails."""
    log = EventLog(hj)
    service.at(hours=2)
    service.answers = [problem(401, "session_revoked")]
    store.fail("save", skip=1)
    with caplog.at_level(logging.WARNING, "hellojohn"), pytest.raises(SessionExpired):
        await settle(hj.auth.access_token())
    assert "was not removed" in caplog.text
    assert log.names() == ["SESSION_EXPIRED:revoked"]


class Talkative(StoreError):
    """An app's own store error, whose constructor needs an argument."""

    def __init__(self, shard: int, *, node: str) -> None:
        super().__init__(f"Shard {shard} on {node} is down.")
        self.shard = shard


async def test_error_of_an_apps_own_store(owner, service):
    """An app's own subclass of StoreError arrives as it was raised, with its attributes."""

    class Sharded(DictStore):
        def load(self, key):
            raise Talkative(7, node="eu-1")

    with pytest.raises(Talkative, match="Shard 7 on eu-1 is down") as caught:
        await settle(service.client(owner, store=Sharded()).auth.access_token())
    assert caught.value.shard == 7


@pytest.mark.parametrize(
    "error",
    [ValueError("marker"), KeyError("marker"), OSError(28, "marker"), RuntimeError("marker")],
    ids=repr,
)
async def test_other_error_of_a_store_is_a_store_error(hj, service, store, error):
    """Whatever else a store raises arrives as StoreUnavailable, which names its type and not its words."""
    service.at(hours=2)
    store.fail("load", times=1, error=error)
    with pytest.raises(StoreUnavailable, match=type(error).__name__) as caught:
        await settle(hj.auth.access_token())
    assert "marker" not in f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_store_that_exits_leaves_no_caller_waiting(owner, service, store):
    """A store that raises SystemExit has failed: no program and no thread ends, and each caller is told."""
    hj = service.client(owner, store=store)
    store.fail("lock", error=SystemExit())
    for _ in range(70):
        with pytest.raises(StoreUnavailable, match="raised SystemExit"):
            await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    store.heal()
    assert (await settle(hj.auth.sign_in(EMAIL, PASSWORD))).id == "ses_1"


def test_signal_handler_ends_a_program_that_reads_the_store(service, store):
    """SystemExit on the main thread, which reads the store itself, is the program's own."""
    store.fail("load", error=SystemExit(3))
    with pytest.raises(SystemExit):
        service.client(store=store).auth.session()


# ---------------------------------------------------------------- an app's own store


async def test_store_of_four_methods(owner, service):
    """A store needs four methods and none of the optional parts."""
    store = DictStore()
    hj = service.client(owner, store=store)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    service.at(hours=2)
    assert await settle(hj.auth.access_token()) == "at_2"
    assert await settle(hj.auth.sign_out()) is True
    assert store.texts == {}


@pytest.mark.parametrize("found", [5, ["x"], {"v": 1}, b"\xff"], ids=repr)
async def test_store_that_returns_no_text(owner, service, found):
    """A store that returns something other than text is a StoreError, not a TypeError from inside."""

    class Wrong(DictStore):
        def load(self, key):
            return None if ".corrupt-" in key else found

    with pytest.raises(StoreError, match=rf"load\(\) returned {type(found).__name__}\. It must return a str"):
        await settle(service.client(owner, store=Wrong()).auth.access_token())


async def test_store_that_returns_bytes_loses_no_session(owner, service):
    """The text is good and the store is wrong, so nothing is quarantined."""
    store = DictStore()
    await settle(service.client(owner, store=store).auth.sign_in(EMAIL, PASSWORD))
    before = dict(store.texts)

    class Wrong(DictStore):
        def load(self, key):
            return None if (text := store.texts.get(key)) is None else text.encode()

        save = store.save

    hj = service.client(owner, store=Wrong())
    for call in (hj.auth.session, lambda: hj.auth.sign_in(EMAIL, PASSWORD), hj.auth.sign_out):
        with pytest.raises(StoreUnavailable, match="returned bytes"):
            await settle(call())
    assert store.texts == before


async def test_store_that_has_a_text_for_every_key(owner, service):
    """No free key for a quarantine is ever found there, and looking for one ends."""

    class Wrong(DictStore):
        def load(self, key):
            return self.texts.get(key, "")

    with pytest.raises(StoreUnavailable, match=r"must return None for a key that was never saved"):
        await settle(service.client(owner, store=Wrong()).auth.sign_in(EMAIL, PASSWORD))


# ---------------------------------------------------------------- unreadable records

CORRUPT = {
    "torn": "{",
    "empty": "",
    "foreign": "not json",
    "half": json.dumps({"v": 1}),
    "list": "[]",
}


@pytest.mark.parametrize("name", CORRUPT)
async def test_corrupt_record_is_quarantined_and_reported_once(owner, service, name, caplog):
    """A text that is not a session is moved away, reported once and never dropped."""
    store = DictStore()
    service.client(store=store).auth.sign_in(EMAIL, PASSWORD)
    (key,) = store.texts
    store.texts[key] = CORRUPT[name]
    hj = service.client(owner, store=store)
    with caplog.at_level(logging.ERROR, "hellojohn"), pytest.raises(StoreCorrupt, match="quarantined"):
        await settle(hj.auth.access_token())
    assert [text for place, text in store.texts.items() if place != key] == [CORRUPT[name]]
    for _ in range(2):
        with pytest.raises(NotSignedIn):
            await settle(hj.auth.access_token())
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert service.presented() == []


@pytest.mark.parametrize("call", ["sign_in", "sign_out"])
@pytest.mark.parametrize("name", [*CORRUPT, "later version"])
async def test_unreadable_record_keeps_nobody_from_signing_in(owner, service, name, call):
    """sign_in and sign_out succeed over a record that cannot be read, and quarantine its text."""
    store = DictStore()
    service.client(store=store).auth.sign_in(EMAIL, PASSWORD)
    (key,) = store.texts
    store.texts[key] = text = CORRUPT.get(name, json.dumps({**json.loads(store.text()), "v": 99}))
    hj = service.client(owner, store=store)
    if call == "sign_in":
        assert (await settle(hj.auth.sign_in(EMAIL, PASSWORD))).id == "ses_1"
        assert await settle(hj.auth.access_token()) == "at_2"
    else:
        assert await settle(hj.auth.sign_out()) is True
        assert await settle(hj.auth.session()) is None
    assert text in store.texts.values()


@pytest.mark.parametrize("call", ["sign_in", "sign_out"])
async def test_lost_encryption_key_keeps_nobody_from_signing_in(owner, service, call):
    """After a lost encryption key, sign_in and sign_out work, and the old text is kept aside."""
    inner = MemoryStore()
    lost = EncryptedStore(inner, EncryptedStore.generate_key())
    service.client(store=lost).auth.sign_in(EMAIL, PASSWORD)
    store = EncryptedStore(inner, EncryptedStore.generate_key())
    hj = service.client(owner, store=store)
    with pytest.raises(StoreCorrupt):
        await settle(hj.auth.access_token())
    with pytest.raises(StoreCorrupt):
        await settle(hj.auth.session())
    assert service.client(store=lost).auth.access_token() == "at_1"
    if call == "sign_in":
        await settle(hj.auth.sign_in(EMAIL, PASSWORD))
        assert await settle(hj.auth.access_token()) == "at_2"
    else:
        assert await settle(hj.auth.sign_out()) is True
        with pytest.raises(NotSignedIn):
            await settle(hj.auth.access_token())


@pytest.mark.parametrize("call", ["session", "access_token", "refresh", "user"])
async def test_record_of_a_later_version_is_left_alone(owner, service, call):
    """Reading leaves a record of a later version where it is, for the newer program beside this one."""
    store = DictStore()
    service.client(store=store).auth.sign_in(EMAIL, PASSWORD)
    (key,) = store.texts
    store.texts[key] = newer = json.dumps({**json.loads(store.text()), "v": 99})
    hj = service.client(owner, store=store)
    for _ in range(2):
        with pytest.raises(StoreCorrupt, match=r"[Uu]pgrade"):
            await settle(getattr(hj.auth, call)())
    assert store.texts == {key: newer}


async def test_record_damaged_while_the_session_is_in_memory(owner, service):
    """A record that is damaged behind a running client is quarantined, and the session goes on."""
    store = DictStore()
    hj = service.client(owner, store=store)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    (key,) = store.texts
    store.texts[key] = "{"
    service.at(hours=2)
    assert await settle(hj.auth.access_token()) == "at_2"
    assert service.client(store=store).auth.access_token() == "at_2"
    assert "{" in store.texts.values()


async def test_record_of_another_tenant_is_not_used(owner, service):
    """A record that was issued for another tenant is quarantined: its tokens must not be sent here."""
    store = DictStore()
    service.client(store=store).auth.sign_in(EMAIL, PASSWORD)
    (key,) = store.texts
    store.texts[key] = store.text().replace("tnt_1", "tnt_2")
    with pytest.raises(StoreCorrupt, match="another service or tenant"):
        await settle(service.client(owner, store=store).auth.access_token())
    assert service.presented() == []


def test_class_instead_of_a_store():
    """The message for a class that was passed instead of an instance says so."""
    with pytest.raises(ConfigurationError, match="not the class"):
        AsyncHelloJohn(tenant_id="t", store=MemoryStore)
