"""Sign-out wins over anything in flight: in memory, in the store and at the service."""

import asyncio
import threading
from contextlib import AbstractContextManager, nullcontext

import pytest

from hellojohn import AsyncHelloJohn, HelloJohn
from hellojohn._errors import (
    ApiError,
    ExpiryReason,
    NotSignedIn,
    ServiceUnavailable,
    SessionExpired,
    SignInRequired,
    StoreLocked,
    StoreUnavailable,
)
from hellojohn._secret import Secret
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.stores import FileStore, MemoryStore
from tests.engine.rig import (
    DEAD,
    KEY,
    NOT_SENT,
    STALE,
    START,
    Bench,
    FlakyStore,
    a_record,
    dead,
    granted,
    in_thread,
    problem,
    until,
)

# while a refresh is in flight


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    """A store that keeps sessions in memory, or in files."""
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "sessions")


@pytest.fixture
def signed_in(emulator: Emulator, store):
    """A client that is signed in and whose access token has no life left, and its session."""
    with HelloJohn(
        tenant_id=emulator.tenant_id,
        publishable_key=emulator.publishable_key,
        api_url=emulator.url,
        store=store,
        clock=emulator.clock,
    ) as hj:
        session = hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        emulator.advance("2h")
        yield hj, session


def _gone(emulator: Emulator, hj: HelloJohn, session) -> None:
    """Check that the session is gone everywhere."""
    assert hj.auth.session() is None
    with pytest.raises(SignInRequired):
        hj.auth.access_token()
    assert hj._engine.context.storage.load(hj._account.key) is None
    assert emulator._rules.session(session.id).status == "revoked"
    assert emulator.reuses == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_sign_out_during_a_refresh_stays_signed_out(emulator, signed_in, when):
    """The rotated session is neither shown nor stored, and it is revoked at the service as well."""
    hj, session = signed_in
    with emulator.hold("token/refresh", when=when) as hold:
        refreshing = in_thread(hj.auth.access_token)
        hold.wait_arrived()
        signing_out = in_thread(hj.auth.sign_out)
        until(lambda: hj._account.epoch == 2)
    assert signing_out() is None
    assert isinstance(refreshing(), str | SignInRequired)
    _gone(emulator, hj, session)


def test_a_refresh_during_a_sign_out_brings_nothing_back(emulator, signed_in):
    """The service is slow to hear of the sign-out; here the session is gone already."""
    hj, session = signed_in
    with emulator.hold("sign-out") as hold:
        signing_out = in_thread(hj.auth.sign_out)
        hold.wait_arrived()
        assert hj.auth.session() is None
        with pytest.raises(SignInRequired):
            hj.auth.access_token()
    assert signing_out() is None
    assert emulator.rotations == 0
    _gone(emulator, hj, session)


def test_a_sign_out_of_another_client_on_the_same_store_wins_as_well(emulator, signed_in, store):
    """The one that refreshes finds its record gone, saves nothing and signs its new pair out."""
    hj, session = signed_in
    with emulator.hold("token/refresh", when="after") as hold:
        refreshing = in_thread(hj.auth.access_token)
        hold.wait_arrived()
        store.delete(hj._account.key)
    error = refreshing()
    assert isinstance(error, SessionExpired)
    assert error.reason is ExpiryReason.SIGNED_OUT
    until(lambda: emulator._rules.session(session.id).status == "revoked")
    _gone(emulator, hj, session)


async def test_a_cancelled_sign_out_is_carried_out(emulator, store):
    """Who closes the window during a sign-out is signed out."""
    async with AsyncHelloJohn(
        tenant_id=emulator.tenant_id,
        publishable_key=emulator.publishable_key,
        api_url=emulator.url,
        store=store,
        clock=emulator.clock,
    ) as hj:
        session = await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        with emulator.hold("sign-out") as hold:
            task = asyncio.create_task(hj.auth.sign_out())
            await asyncio.to_thread(hold.wait_arrived)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await hj.auth.session() is None
        assert store.load(hj._account.key) is None
    assert emulator._rules.session(session.id).status == "revoked"


def test_a_refresh_that_nobody_wants_any_more_is_not_tried_again():
    """After a sign-out has begun, a failed attempt is the last one: no backoff holds the store's lock."""
    bench = dead()

    def sign_out_meanwhile(_call, _seconds):
        signing_out.append(in_thread(bench.sign_out))
        until(lambda: bench.account.epoch == 1)
        return NOT_SENT

    signing_out = []
    bench.script.steps.extend([sign_out_meanwhile, granted(2)])
    refreshing = in_thread(bench.token)
    assert isinstance(refreshing(), str | SignInRequired)  # who was faster: the sign-out, or the next refresh
    assert signing_out[0]() is None
    assert bench.settle().time.slept == []
    assert (bench.stored(), bench.session(), bench.told()[-1]) == (None, None, "SIGNED_OUT")


def test_a_reader_that_was_faster_than_the_deletion_shows_nothing():
    """The first look at the store and a sign-out at the same time: the sign-out is later, and wins."""
    may_delete = threading.Event()

    class Slow(MemoryStore):
        """Reads, and lets a sign-out happen before it returns what it has read."""

        def load(self, key: str) -> str | None:
            """Read early, return late."""
            text = super().load(key)
            if threading.current_thread() is threading.main_thread() and not may_delete.is_set():
                may_delete.set()
                assert in_thread(bench.sign_out)() is None
            return text

    bench = Bench(store=Slow())
    bench.put(a_record())
    assert bench.session() is None
    assert bench.account.state.snapshot is None
    assert bench.told() == ["SIGNED_OUT"]


@pytest.mark.parametrize("shown", [True, False])
def test_a_sign_out_that_has_to_wait_shows_no_session_meanwhile(shown):
    """It is gone here at once: no request carries its token, though the store still has it."""
    bench = Bench()
    bench.put(a_record())
    if shown:
        assert bench.token() == "at_1"
    with bench.store.lock(KEY, 1):
        signing_out = in_thread(bench.sign_out)
        until(lambda: bench.account.epoch == 1)
        assert bench.session() is None
        with pytest.raises(NotSignedIn):
            bench.token()
        assert bench.stored() is not None
    assert signing_out() is None
    assert bench.stored() is None
    assert bench.told() == ["SIGNED_OUT"]


def test_a_sign_out_without_the_lock_shows_no_session_that_was_signed_in_since():
    """It deletes whatever the store has by now: a session that nothing keeps is no session to use."""
    during: list[object] = []
    stuck: list[bool] = []

    class Stuck(MemoryStore):
        """Has no lock for a sign-out, and takes its time over it."""

        def lock(self, key: str, timeout: float):
            """Lock; to a sign-out, deny it after another sign-in."""
            if stuck and stuck.pop():
                bench.sign_in()
                raise StoreLocked
            return super().lock(key, timeout)

        def delete(self, key: str) -> None:
            """See what a request would get."""
            during.append(in_thread(bench.token)())
            super().delete(key)

    bench = Bench(store=Stuck())
    bench.put(a_record(session_id="ses_0"))
    bench.token()
    stuck.append(True)
    bench.sign_out()
    assert [type(found) for found in during] == [NotSignedIn]
    assert (bench.session(), bench.stored()) == (None, None)


def test_a_sign_out_keeps_nobody_waiting_for_a_refresh_in_flight():
    """The service takes its time, and who asks for the session meanwhile hears at once that there is none."""
    arrived, go_on = threading.Event(), threading.Event()

    def slow(_call, _seconds):
        arrived.set()
        assert go_on.wait(10)
        return granted(2)

    bench = dead(slow)
    refreshing = in_thread(bench.token)
    assert arrived.wait(10)
    signing_out = in_thread(bench.sign_out)
    until(lambda: bench.account.epoch == 1)
    assert bench.session() is None
    with pytest.raises(NotSignedIn):
        bench.token()
    go_on.set()
    assert signing_out() is None
    assert isinstance(refreshing(), NotSignedIn)
    assert bench.settle().stored() is None


def test_a_store_that_fails_at_a_sign_out_takes_no_refresh_in_flight_back_in():
    """Its lock cannot be had, and so the refresh is not waited for: what it saves later is removed again."""
    arrived, go_on = threading.Event(), threading.Event()

    def slow(_call, _seconds):
        arrived.set()
        assert go_on.wait(10)
        return granted(2)

    store = FlakyStore()
    bench = dead(slow, store=store)
    refreshing = in_thread(bench.token)
    assert arrived.wait(10)
    store.fail("lock", OSError("no lock"))
    with pytest.raises(StoreUnavailable):
        bench.sign_out()
    go_on.set()
    assert isinstance(refreshing(), NotSignedIn)
    assert bench.settle().stored() is None


def test_a_fork_in_the_middle_of_a_sign_out_leaves_the_child_able_to_sign_in():
    """The thread that signs out is not in the child: it goes by what the store says."""
    bench = Bench()
    bench.put(a_record())
    with bench.account.leaving():
        bench.account.reset()
        assert bench.token() == "at_1"


def test_a_sign_in_shows_its_session_even_while_a_sign_out_is_on_its_way():
    """It had the store's lock first: until the sign-out has it, the user is signed in."""
    bench = Bench()
    bench.put(a_record())
    with bench.account.leaving() as shown:
        assert shown is None
        assert bench.sign_in().id == "ses_1"
        assert bench.token() == "at_1"


# the service and the store around it


def test_a_sign_out_without_a_service_is_a_sign_out(emulator, signed_in, store):
    """The network is no reason to stay signed in."""
    hj, _session = signed_in
    emulator.stop()
    hj.auth.sign_out()
    assert (hj.auth.session(), store.load(hj._account.key)) == (None, None)


@pytest.mark.parametrize("answer", [problem(401, "invalid_token"), problem(500, "internal"), NOT_SENT])
def test_what_the_service_says_to_a_sign_out_matters_to_nobody(answer):
    """The session is gone here; there is nothing a caller could do."""
    bench = dead()
    bench.engine.context.service.dialect.read_done(granted(1))
    object.__setattr__(bench.engine.context, "send", lambda _call, _seconds: answer)
    bench.sign_out()
    assert (bench.stored(), bench.told()) == (None, ["SIGNED_OUT"])


@pytest.mark.parametrize(
    ("answer", "error"), [(problem(403, "tenant_mismatch"), ApiError), (NOT_SENT, ServiceUnavailable)]
)
def test_a_sign_out_everywhere_says_when_the_other_sessions_may_live_on(answer, error):
    """Here it is done; who wanted all devices gone must know that they are not."""
    bench = dead()
    object.__setattr__(bench.engine.context, "send", lambda _call, _seconds: answer)
    with pytest.raises(error):
        bench.sign_out(everywhere=True)
    assert (bench.stored(), bench.told()) == (None, ["SIGNED_OUT"])


def test_a_sign_out_everywhere_ends_all_of_the_users_sessions(emulator, signed_in):
    """The lost phone is signed out from the desktop."""
    hj, session = signed_in
    phone = hj.for_account("phone")
    other = phone.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    hj.auth.sign_out(everywhere=True)
    assert {emulator._rules.session(it.id).status.value for it in (session, other)} == {"revoked"}


def test_signing_out_twice_or_without_a_session_does_nothing():
    """It is what the caller wanted."""
    bench = Bench()
    bench.sign_out()
    bench.sign_in()
    bench.sign_out()
    bench.sign_out(everywhere=True)
    assert bench.script.tokens("/auth/sign-out") == ["rt_1"]
    assert bench.told() == ["SIGNED_IN", "SIGNED_OUT"]
    with pytest.raises(NotSignedIn):
        bench.token()


def test_a_store_that_will_not_delete_is_an_error_and_the_service_is_told_all_the_same():
    """The session is over at the service, so what stays in the store is worthless; the caller is told."""
    store = FlakyStore()
    bench = dead(store=store)
    store.fail("delete")
    with pytest.raises(StoreUnavailable):
        bench.sign_out(everywhere=True)
    assert bench.account.state.snapshot is None
    assert bench.script.tokens("/auth/sign-out") == ["rt_1"]
    assert bench.told() == ["SIGNED_OUT"]


def test_the_stores_failure_is_told_before_the_services():
    """That the session is still in the store is the worse news."""
    store = FlakyStore()
    bench = dead(store=store)
    store.fail("delete")
    object.__setattr__(bench.engine.context, "send", lambda _call, _seconds: NOT_SENT)
    with pytest.raises(StoreUnavailable):
        bench.sign_out(everywhere=True)


@pytest.mark.parametrize("known", [True, False])
def test_a_stuck_lock_does_not_keep_anybody_signed_in(known):
    """The record is deleted without the lock; whoever holds it will find it gone."""
    store = FlakyStore()
    bench = Bench(store=store)
    bench.put(a_record())
    if known:
        bench.session()
    store.fail("lock", StoreLocked("held"))
    bench.sign_out()
    assert (bench.stored(), bench.session()) == (None, None)
    assert bench.script.tokens("/auth/sign-out") == ["rt_1"]


def test_a_stuck_lock_and_a_failing_delete_still_end_the_session_in_memory():
    """Nothing is sent with its token any more, and the caller is told what stayed where."""
    store = FlakyStore()
    bench = Bench(store=store)
    bench.put(a_record())
    assert bench.token() == "at_1"
    store.fail("lock", StoreLocked("held"))
    store.fail("delete")
    with pytest.raises(StoreUnavailable):
        bench.sign_out()
    assert bench.account.state.snapshot is None
    assert bench.script.tokens("/auth/sign-out") == ["rt_1"]


def test_a_session_that_only_memory_holds_is_signed_out_with_its_newest_token():
    """The store has an older pair: the service would take its refresh token for stolen."""
    store = FlakyStore()
    bench = dead(granted(2), store=store)
    store.fail("save", None, *[StoreUnavailable("full")] * 3)
    bench.token()
    bench.sign_out()
    assert bench.script.tokens("/auth/sign-out") == ["rt_2"]
    assert bench.stored() is None


# signing in again


def test_a_second_sign_in_replaces_the_first(emulator, signed_in):
    """One account holds one session: the newest."""
    hj, first = signed_in
    second = hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=True)
    session = hj.auth.session()
    assert session is not None
    assert session.id == second.id != first.id
    emulator.advance("2h")
    hj.auth.access_token()
    assert (emulator.rotations, emulator.reuses) == (1, 0)


def test_a_sign_in_during_a_refresh_wins(emulator, signed_in):
    """The refresh of the old session ends, and what is shown and stored is the new one."""
    hj, first = signed_in
    with emulator.hold("token/refresh", when="after") as hold:
        refreshing = in_thread(hj.auth.access_token)
        hold.wait_arrived()
        before = emulator.calls("sign-in")
        signing_in = in_thread(lambda: hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
        until(lambda: emulator.calls("sign-in") > before)
    second = signing_in()
    assert isinstance(refreshing(), str)
    stored = hj._engine.context.storage.load(hj._account.key)
    assert stored.session_id == second.id == hj.auth.session().id != first.id
    emulator.advance("2h")
    hj.auth.access_token()
    assert (emulator.rotations, emulator.reuses) == (2, 0)


def test_a_refresh_that_waits_behind_a_sign_in_adopts_the_new_session():
    """It asks nothing: the old refresh token is of no interest any more."""
    bench = Bench()
    bench.put(a_record())
    bench.session()
    bench.at(DEAD)
    with bench.store.lock(KEY, 1):
        refreshing = in_thread(bench.token)
        until(lambda: bench.account._flight is not None)
        bench.put(a_record(access_token=Secret("at_9"), session_id="ses_9", refreshed_at=START + DEAD))
        bench.account.epoch += 1
    assert refreshing() == "at_9"
    assert bench.script.calls == []


def test_a_sign_in_over_a_refresh_that_lost_its_lock_wins():
    """What that refresh could not save is no longer the session: it is neither shown nor saved."""

    class Lockless(FlakyStore):
        """Loses every lock."""

        def lock(self, key: str, timeout: float) -> AbstractContextManager[None]:
            """Lock nothing."""
            return nullcontext()

    def meanwhile(_call, _seconds):
        in_thread(lambda: bench.sign_in(access_token="at_9"))()
        bench.store.fail("load", *[StoreUnavailable("away")] * 3)
        return granted(2)

    bench = dead(meanwhile, store=Lockless())
    assert bench.token() == "at_9"
    assert bench.settle().token() == "at_9"


def test_a_sign_out_that_waits_for_a_refresh_tells_the_service_the_newest_token():
    """The old refresh token is spent by then: to present it again would look like theft."""

    def sign_out_meanwhile(_call, _seconds):
        waiting.append(in_thread(bench.sign_out))
        until(lambda: bench.account.epoch == 1)
        return granted(2)

    waiting = []
    bench = dead(sign_out_meanwhile)
    with pytest.raises(SignInRequired):
        bench.token()
    assert waiting[0]() is None
    assert bench.script.tokens("/auth/sign-out") == ["rt_2"]


def test_a_reader_that_begins_during_a_sign_out_shows_nothing_after_it():
    """It read the record just before the deletion, and returned just after the sign-out."""
    found, deleted = threading.Event(), threading.Event()

    class Slow(MemoryStore):
        """Lets one reader read before the deletion, and return after it."""

        def load(self, key: str) -> str | None:
            """Read early, return late."""
            text = super().load(key)
            if threading.current_thread() is threading.main_thread():
                found.set()
                assert deleted.wait(10)
                signing_out[0]()
            return text

        def delete(self, key: str) -> None:
            """Delete when the reader has read."""
            assert found.wait(10)
            super().delete(key)
            deleted.set()

    bench = Bench(store=Slow())
    bench.put(a_record())
    waiting = next(load(bench.account))
    signing_out = [in_thread(bench.sign_out)]
    until(lambda: bench.account.epoch == 1)
    waiting.block()
    assert bench.account.state.snapshot is None
    assert bench.session() is None


def test_a_background_refresh_behind_a_sign_out_tells_nothing():
    """One event says that the session is over, and it says why: it was signed out."""
    bench = Bench()
    bench.put(a_record())
    bench.session()
    with bench.store.lock(KEY, 1):
        assert bench.at(STALE).token() == "at_1"
        until(lambda: bench.account._flight is not None)
        signing_out = in_thread(bench.sign_out)
        until(lambda: bench.account.epoch == 1)
    assert signing_out() is None
    assert bench.settle().told() == ["SIGNED_OUT"]
