"""Corners of the engine: late answers, records that change in between, and the question who it is."""

import asyncio
import json
import threading

import pytest

from hellojohn import AsyncHelloJohn, HelloJohn, _flight
from hellojohn._errors import (
    ApiError,
    ExpiryReason,
    NotSignedIn,
    ServiceUnavailable,
    SessionExpired,
    SignInRequired,
    StoreCorrupt,
    StoreLocked,
    StoreUnavailable,
)
from hellojohn._secret import Secret
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from hellojohn.stores import MemoryStore
from tests.engine.crowd import settings
from tests.engine.rig import (
    DEAD,
    EXPIRING,
    FULL,
    KEY,
    START,
    Bench,
    FlakyStore,
    a_record,
    dead,
    granted,
    in_thread,
)

# a refresh that takes longer than a caller has patience for


@pytest.fixture
def impatient(monkeypatch):
    """Callers who wait for a moment only while their token has life."""
    monkeypatch.setattr(_flight, "PATIENCE", 0.02)


@pytest.mark.usefixtures("impatient")
def test_a_caller_whose_token_has_life_does_not_wait_for_ever():
    """It uses the token that it has; the refresh goes on and is there for the next caller."""
    gate = threading.Event()
    bench = Bench(lambda _call, _seconds: gate.wait(10) and granted(2))
    bench.put(a_record())
    assert bench.at(EXPIRING).token() == "at_1"
    assert bench.token() == "at_1"
    gate.set()
    assert bench.settle().token() == "at_2"
    assert bench.told() == ["TOKEN_REFRESHED"]


@pytest.mark.usefixtures("impatient")
async def test_a_task_whose_token_has_life_does_not_wait_for_ever(emulator):
    """The same for tasks, and for the requests of a wrapped client."""
    async with AsyncHelloJohn(**settings(emulator, MemoryStore())) as hj:
        await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        first = await hj.auth.access_token()
        emulator.advance("59m")
        emulator.advance("45s")
        with emulator.hold("token/refresh") as hold:
            assert await asyncio.gather(*(hj.auth.access_token() for _ in range(5))) == [first] * 5
            hold.wait_arrived()
        emulator.advance("1m")
        assert await hj.auth.access_token() != first
    assert (emulator.rotations, emulator.reuses) == (1, 0)


@pytest.mark.usefixtures("impatient")
def test_a_caller_whose_token_is_dead_waits_for_as_long_as_it_takes():
    """There is nothing else that it could use."""
    gate = threading.Event()
    bench = dead(lambda _call, _seconds: gate.wait(10) and granted(2))
    refreshing = in_thread(bench.token)
    threading.Event().wait(0.1)
    gate.set()
    assert refreshing() == "at_2"


# records that change in between


def test_a_record_whose_deadline_has_passed_is_ended_instead_of_refreshed():
    """Another process had signed in with a promise that has run out since."""
    bench = dead()
    bench.at(0).token()
    bench.put(a_record(session_id="ses_2", access_token=Secret("at_9"), client_ends_at=START + 500))
    with pytest.raises(SessionExpired) as caught:
        bench.at(DEAD).token()
    assert caught.value.reason is ExpiryReason.DURATION_ELAPSED
    assert bench.settle().script.tokens("/auth/sign-out") == ["rt_1"]
    assert bench.stored() is None


def test_a_newer_versions_record_that_came_during_a_refresh_is_left_alone():
    """The lock was lost, the other process was upgraded: ours stays in memory, and theirs in the store."""
    newer = json.dumps({**json.loads(a_record().dumps()), "v": 2})
    bench = dead()

    def upgrade(_call, _seconds):
        MemoryStore.save(bench.store, KEY, newer)
        return granted(2)

    bench.script.steps.append(upgrade)
    assert bench.token() == "at_2"
    bench.at(DEAD + 10).token()
    assert MemoryStore.load(bench.settle().store, KEY) == newer
    with pytest.raises(StoreCorrupt):
        bench.at(3 * DEAD).token()
    assert MemoryStore.load(bench.store, KEY) == newer


def test_a_record_that_is_corrupt_when_a_refresh_begins_is_an_error_that_says_so():
    """Nothing is sent; the next call says that there is no session any more."""
    bench = dead(granted(2))
    bench.at(0).token()
    MemoryStore.save(bench.store, KEY, "{")
    with pytest.raises(StoreCorrupt, match="set aside"):
        bench.at(DEAD).token()
    with pytest.raises(SignInRequired):
        bench.token()
    assert bench.script.calls == []


class Eventful(FlakyStore):
    """A store in which something happens while it is used."""

    def __init__(self) -> None:
        super().__init__()
        self.on_load = self.on_save = self.on_saved = lambda: None

    def load(self, key: str) -> str | None:
        """Read, and then let it happen."""
        text = super().load(key)
        self.on_load()
        return text

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Let it happen, and then write; the other happens after that."""
        second = '"generation":2' in text
        if second:
            self.on_save()
        super().save(key, text)
        if second:
            self.on_saved()


def test_a_session_that_changes_all_the_time_is_an_error_and_no_endless_loop():
    """Somebody signs in with every look at the store: after four of them it is the caller's turn."""
    store = Eventful()
    bench = Bench(store=store)
    bench.put(a_record())
    store.on_load = bench.account.forget
    with pytest.raises(ServiceUnavailable, match="faster"):
        bench.token()
    assert bench.session() is None
    assert store.used["load"] == 8
    store.on_load = lambda: None
    assert bench.token() == "at_1"


def test_a_sign_out_that_could_not_wait_for_the_lock_takes_back_what_was_saved_after_it():
    """It deleted the record just before the refresh saved the next one: the refresh undoes that."""
    store = Eventful()
    bench = dead(granted(2), store=store)

    def sign_out() -> None:
        store.fail("lock", StoreLocked("held"))
        assert in_thread(bench.sign_out)() is None

    store.on_save = sign_out
    with pytest.raises(SignInRequired):
        bench.token()
    assert bench.settle().stored() is None
    assert bench.session() is None
    assert bench.told() == ["SIGNED_OUT"]


def test_a_sign_out_without_the_lock_takes_back_an_unsaved_copy_that_is_saved_after_it():
    """It deleted the record just before the copy took its place: the save undoes that."""
    store = Eventful()
    bench = dead(granted(2), store=store)
    store.fail("save", None, *[FULL] * 3)
    assert bench.token() == "at_2"

    def sign_out() -> None:
        store.fail("lock", StoreLocked("held"))
        assert in_thread(bench.sign_out)() is None

    store.on_save = sign_out
    bench.at(DEAD + 10).token()
    assert bench.settle().stored() is None
    assert bench.account.state.snapshot is None


def test_what_was_signed_in_after_a_sign_out_without_the_lock_is_not_taken_back():
    """The refresh whose record was deleted undoes its own save, and nobody else's."""
    store = Eventful()
    bench = dead(granted(2), store=store)
    other = a_record(session_id="ses_9", access_token=Secret("at_9"), refreshed_at=START + DEAD)

    def sign_out() -> None:
        store.fail("lock", StoreLocked("held"))
        assert in_thread(bench.sign_out)() is None

    store.on_save, store.on_saved = sign_out, lambda: bench.put(other)
    assert bench.token() == "at_9"
    assert bench.settle().stored() == other


def test_an_end_that_waits_behind_a_sign_out_has_nothing_to_end():
    """The deadline passed during the sign-out: one event says that the session is over, and one reason."""
    bench = Bench()
    bench.put(a_record(client_ends_at=START + 500))
    bench.token()
    steps = bench.at(500).account.acquire()
    waiting = next(steps)
    bench.sign_out()
    waiting.block()
    assert bench.settle().told() == ["SIGNED_OUT"]


def test_a_forced_refresh_of_a_session_that_was_not_loaded_yet_is_one_refresh(emulator):
    """A script's first call is ``refresh``, and the stored token is dead: one rotation, not two."""
    store = MemoryStore()
    with HelloJohn(**settings(emulator, store)) as hj:
        hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    emulator.advance("2h")
    with HelloJohn(**settings(emulator, store)) as again:
        assert again.auth.refresh().id
    assert emulator.rotations == 1


# who is it?


@pytest.fixture
def hj(emulator):
    """A client that is signed in."""
    with HelloJohn(**settings(emulator, MemoryStore())) as client:
        client.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        yield client


@pytest.mark.parametrize("code", ["invalid_token", "token_expired"])
def test_a_refused_token_is_replaced_once_to_ask_who_it_is(emulator, hj, code):
    """The service would not take the access token, and takes the next one."""
    emulator.fail("auth/me", status=401, code=code)
    assert hj.auth.user().email == DEMO_EMAIL
    assert (emulator.calls("auth/me"), emulator.rotations) == (2, 1)


def test_a_token_that_is_refused_again_is_the_services_no(emulator, hj):
    """No loop, and nobody is signed out."""
    emulator.fail("auth/me", status=401, code="invalid_token", times=None)
    with pytest.raises(ApiError) as caught:
        hj.auth.user()
    assert caught.value.code == "invalid_token"
    assert (emulator.calls("auth/me"), emulator.rotations) == (2, 1)
    assert hj.auth.session() is not None


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ({"status": 403, "code": "insufficient_permissions"}, ApiError),
        ({"status": 503}, ServiceUnavailable),
        ({"drop": "before"}, ServiceUnavailable),
        ({"status": 200, "body": b"[]"}, ServiceUnavailable),
    ],
    ids=str,
)
def test_any_other_trouble_is_told_as_it_is(emulator, hj, trouble, kind):
    """It costs no refresh."""
    emulator.fail("auth/me", **trouble)
    with pytest.raises(kind):
        hj.auth.user()
    assert (emulator.calls("auth/me"), emulator.rotations) == (1, 0)
    assert hj.auth.user().name == "Demo"


def test_nobody_is_nobody(emulator):
    """Without a session nothing is asked."""
    with HelloJohn(**settings(emulator)) as hj, pytest.raises(NotSignedIn):
        hj.auth.user()
    assert emulator.calls("auth/me") == 0


def test_a_store_that_fails_late_costs_a_sign_in_its_session_at_the_service():
    """Sign-in, sign-up and second factor alike: what could not be stored is not left behind."""
    store = FlakyStore()
    bench = Bench(store=store)
    store.fail("lock", StoreUnavailable("gone"))
    with pytest.raises(StoreUnavailable):
        bench.sign_in()
    assert bench.script.tokens("/auth/sign-out") == ["rt_1"]
