"""How a request gets a token: at once, after a wait, from another caller's refresh, or not at all."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hellojohn._errors import (
    ConfigurationError,
    ExpiryReason,
    NotSignedIn,
    ServiceUnavailable,
    SessionExpired,
    StoreUnavailable,
)
from hellojohn._limits import SAVE_ATTEMPTS
from hellojohn._secret import Secret
from hellojohn._session import operations
from hellojohn._session.account import Account
from hellojohn._session.acquire import acquire, load, load_unless_over
from hellojohn._session.calls import access_token
from hellojohn._session.record import SessionRecord
from hellojohn._session.state import Change
from hellojohn._waiting import run
from hellojohn._wire import Answer
from hellojohn.stores import MemoryStore
from tests.both_faces import until
from tests.fake_stores import FailingStore
from tests.session.bench import (
    EXPIRED,
    EXPIRING,
    KEY,
    LOST,
    NOT_SENT,
    STALE,
    START,
    TTL,
    Bench,
    Gate,
    Service,
    a_record,
    another_session,
    expired_token,
    in_thread,
    problem,
    response,
    tokens,
)


def at_once(count: int, work: Callable[[], Any]) -> list[Any]:
    """Do ``work`` on so many threads that start together; return what each returned or raised."""
    barrier = threading.Barrier(count)

    def start_together() -> Any:
        barrier.wait(20)
        return work()

    return [join() for join in [in_thread(start_together) for _ in range(count)]]


def test_fresh_token_needs_nothing() -> None:
    """A fresh token is returned without the store, the service or a thread."""
    bench = Bench(store=FailingStore())
    bench.put(a_record())
    bench.token()
    bench.store.fail("load")
    bench.store.fail("lock")
    assert bench.token() == "at_1"
    assert bench.service.requests == []


def test_signal_handler_inside_the_lock_of_the_account() -> None:
    """A call that would wait for a flight is refused: the flight needs the lock that its thread has."""
    bench = Bench()
    bench.put(a_record())
    bench.session()
    with bench.account.lock:
        for flow in (
            acquire(bench.account),
            load(bench.account),
            operations.sign_out(bench.account, everywhere=False),
        ):
            with pytest.raises(ServiceUnavailable, match="would wait for itself"):
                run(flow)
    assert run(acquire(bench.account)).record.generation == 1


def test_no_session_is_not_signed_in() -> None:
    """Without a session a caller gets NotSignedIn, which names where it was looked for."""
    with pytest.raises(NotSignedIn, match=r"'default' \(tenant tnt_1 at https://api.example.com\)"):
        Bench().token()


def test_sign_in_of_another_process_is_found() -> None:
    """A caller without a session finds the one that another process has signed in since."""
    bench = Bench()
    with pytest.raises(NotSignedIn):
        bench.token()
    bench.put(a_record())
    assert bench.token() == "at_1"


@pytest.mark.parametrize("round_", range(25))
def test_fifty_callers_share_one_refresh(round_: int) -> None:
    """Fifty callers with an expired token get the new one with one refresh."""
    bench = expired_token(tokens(2))
    assert at_once(50, bench.token) == ["at_2"] * 50
    assert bench.service.refreshed == ["rt_1"]


@pytest.mark.parametrize("round_", range(25))
def test_fifty_refused_callers_share_one_refresh(round_: int) -> None:
    """Fifty callers whose token was refused get a newer one with one refresh."""
    bench = Bench(tokens(2))
    bench.put(a_record())
    refused = bench.snapshot()
    assert at_once(50, lambda: bench.after_refusal(refused)) == ["at_2"] * 50
    assert bench.service.refreshed == ["rt_1"]


@pytest.mark.parametrize("round_", range(10))
def test_clients_on_one_store_share_one_refresh(round_: int) -> None:
    """Callers of several clients on one store cost one refresh: the others adopt its result."""
    service = Service(tokens(2))
    first = expired_token(service=service)
    benches = [first, *(Bench(store=first.store, time=first.time, service=service) for _ in range(4))]
    works = iter(benches * 3)
    assert at_once(15, lambda: next(works).token()) == ["at_2"] * 15
    assert service.refreshed == ["rt_1"]


def test_expiring_token_waits_for_a_new_one() -> None:
    """In a token's last seconds a caller gets the new one."""
    bench = Bench(tokens(2))
    bench.put(a_record())
    bench.time.at(EXPIRING + 1)
    assert bench.token() == "at_2"


@pytest.mark.parametrize("answer", [NOT_SENT, LOST, problem(503, "unavailable", retry_after="60")], ids=str)
def test_expiring_token_is_used_when_the_refresh_fails(answer: Any) -> None:
    """In a token's last seconds a failed refresh leaves the caller with the token it has."""
    bench = Bench(*[answer] * 4)
    bench.put(a_record())
    bench.time.at(EXPIRING + 1)
    assert bench.token() == "at_1"
    requests = len(bench.service.requests)
    assert bench.token() == "at_1"
    assert len(bench.service.requests) == requests


def test_expired_token_in_a_cooldown_fails_at_once() -> None:
    """After a failed refresh, the error for callers without a usable token says how long to wait."""
    bench = expired_token(*[NOT_SENT] * 4)
    for _ in range(3):
        with pytest.raises(ServiceUnavailable):
            bench.token()
    assert len(bench.service.requests) == 4


def test_ended_session_stays_ended() -> None:
    """Every caller after the end of a session gets the same reason, and the service no request."""
    bench = expired_token(problem(401, "session_revoked"))
    for _ in range(3):
        with pytest.raises(SessionExpired) as caught:
            bench.token()
        assert caught.value.reason == "revoked"
    assert len(bench.service.requests) == 1


def test_end_in_the_last_seconds_is_not_hidden() -> None:
    """A session that ends in its token's last seconds raises, although the token still works."""
    bench = Bench(problem(401, "session_revoked"))
    bench.put(a_record())
    bench.time.at(EXPIRING + 1)
    with pytest.raises(SessionExpired):
        bench.token()


# ------------------------------------------------------------------ bounded waits


def test_request_waits_no_longer_than_its_timeout() -> None:
    """A caller with a timeout gets ServiceUnavailable after it; the refresh goes on for the next one."""
    bench = expired_token(gate := Gate(tokens(2)))
    with pytest.raises(ServiceUnavailable, match="goes on for the next request"):
        bench.token(timeout=0.01)
    gate.open()
    bench.settle()
    assert bench.token() == "at_2"
    assert bench.service.refreshed == ["rt_1"]


def test_timeout_of_a_store_read() -> None:
    """A caller with a timeout does not wait for a store that does not answer."""
    bench = Bench(store=FailingStore())
    blocked, release = threading.Event(), threading.Event()
    inner = bench.store.load

    def slow(key: str) -> str | None:
        blocked.set()
        release.wait(20)
        return inner(key)

    bench.store.load = slow
    other = in_thread(bench.session)
    assert blocked.wait(20)
    with pytest.raises(ServiceUnavailable):
        bench.token(timeout=0.01)
    release.set()
    assert other() is None


# ------------------------------------------------------------------ refusals


def test_refused_token_is_replaced_at_any_age() -> None:
    """A token from a sign-in may be refused at once: it is replaced by one refresh."""
    bench = Bench(tokens(2))
    bench.sign_in()
    assert bench.after_refusal() == "at_2"
    assert bench.session_record().after_refusal


def test_token_that_a_refusal_brought_is_not_replaced() -> None:
    """A token that a refusal has just brought, and that is refused as well, brings no storm of refreshes."""
    bench = Bench(tokens(2))
    bench.put(a_record())
    bench.after_refusal()
    for _ in range(50):
        assert bench.after_refusal() == "at_2"
    assert bench.service.refreshed == ["rt_1"]


def test_storm_limit_holds_in_other_processes() -> None:
    """Another process knows from the record that a refusal brought the token."""
    bench = Bench(tokens(2))
    bench.put(a_record())
    bench.after_refusal()
    other = Bench(store=bench.store, time=bench.time)
    assert other.after_refusal() == "at_2"
    assert other.service.requests == []


def test_storm_limit_ends_after_a_minute() -> None:
    """An endpoint that refuses every token costs one refresh a minute."""
    bench = Bench(tokens(2), tokens(3))
    bench.put(a_record())
    bench.after_refusal()
    bench.time.sleep(59)
    assert bench.after_refusal() == "at_2"
    bench.time.sleep(2)
    assert bench.after_refusal() == "at_3"


@pytest.mark.parametrize("now", [float("nan"), float("inf"), -1e9, 1e18])
def test_storm_limit_holds_for_a_clock_without_time(now: float) -> None:
    """Where the clock returns no time, a refusal causes a refresh once a minute by the monotonic clock."""
    bench = Bench(tokens(2), tokens(3))
    bench.time.wall = now
    bench.sign_in()
    assert [bench.after_refusal() for _ in range(3)] == ["at_2"] * 3
    bench.time.elapsed += 59
    assert bench.after_refusal() == "at_2"
    bench.time.elapsed += 2
    assert [bench.after_refusal() for _ in range(3)] == ["at_3"] * 3


def test_callers_without_time_share_one_refresh() -> None:
    """Where the clock returns no time, a refused caller joins the refresh that another one has caused."""
    bench = Bench(gate := Gate(tokens(2)))
    bench.put(a_record())
    bench.time.wall = float("nan")
    refused = bench.snapshot()
    first = in_thread(lambda: bench.after_refusal(refused))
    gate.wait()
    second = in_thread(lambda: bench.after_refusal(refused))
    until(lambda: bench.account.flight is None or len(bench.account.flight._callbacks) == 2)
    gate.open()
    assert (first(), second()) == ("at_2", "at_2")


def test_failure_without_time_is_not_asked_again_at_once() -> None:
    """Where the clock returns no time, an outage behind a refused token causes one refresh a minute, too."""
    bench = Bench(problem(500, "internal_error"), problem(500, "internal_error"), tokens(2))
    bench.put(a_record())
    bench.time.wall = float("nan")
    with pytest.raises(ServiceUnavailable):
        bench.after_refusal()
    assert bench.after_refusal() == "at_1"
    bench.time.elapsed += 61
    assert bench.after_refusal() == "at_2"


def test_new_session_without_time_may_be_refused() -> None:
    """Where the clock returns no time, the token of a new sign-in is replaced although another just was."""
    bench = Bench(tokens(2))
    bench.put(a_record())
    bench.time.wall = float("nan")
    assert bench.after_refusal() == "at_2"
    bench.sign_in("b")
    bench.service.steps.append(tokens(3))
    assert bench.after_refusal() == "at_3"


def test_token_of_an_ordinary_refresh_may_be_refused() -> None:
    """A token from an ordinary refresh is replaced once when it is refused, at any age."""
    bench = expired_token(tokens(2), tokens(3))
    bench.token()
    assert bench.after_refusal() == "at_3"


def test_refusal_adopts_what_another_process_has() -> None:
    """A refused caller gets the pair that another process has stored, without a refresh."""
    bench = Bench()
    bench.put(a_record())
    bench.token()
    bench.put(a_record(generation=2, access_token=Secret("at_2"), refresh_token=Secret("rt_2")))
    assert bench.after_refusal() == "at_2"
    assert bench.service.requests == []


def test_newer_token_may_have_the_same_text() -> None:
    """Two tokens issued in the same second can be equal: the generation decides which is newer."""
    bench = Bench(tokens(2, access_token="at_1"))
    bench.put(a_record())
    refused = bench.snapshot()
    newer = run(acquire(bench.account, refused))
    assert newer.record.generation == 2
    assert newer.header == refused.header


def test_refresh_forces_one() -> None:
    """refresh() brings a new pair although the token is fresh, and returns its session."""
    bench = Bench(tokens(2))
    bench.sign_in()
    session = bench.refresh()
    assert bench.session_record().refresh_token.reveal() == "rt_2"
    assert session == bench.session()
    assert bench.seen() == ["SIGNED_IN", "TOKEN_REFRESHED"]


def test_refreshes_at_one_moment_are_one() -> None:
    """Callers of refresh() join the refresh that is under way."""
    bench = Bench(gate := Gate(tokens(2)))
    bench.sign_in()
    first = in_thread(bench.refresh)
    gate.wait()
    joined = [in_thread(bench.refresh) for _ in range(5)]
    while len(bench.account.flight._callbacks) < 6:  # type: ignore[union-attr]
        pass
    gate.open()
    assert len({join().access_token_expires_at for join in [first, *joined]}) == 1
    assert bench.service.refreshed == ["rt_s"]


# ------------------------------------------------------------------ turns, and interrupted callers


class Meanwhile(MemoryStore):
    """A store in which something happens between the reading of a text and its arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], None] | None = None

    def load(self, key: str) -> str | None:
        """Load, and let it happen once."""
        text = super().load(key)
        work, self.meanwhile = self.meanwhile, None
        if work is not None:
            work()
        return text


def test_load_has_the_turn_of_the_moment_it_was_asked_for() -> None:
    """A read that was asked for before a sign-out does not show the session after it, even if it is late."""
    bench = Bench(store=Meanwhile())
    bench.put(a_record())
    reading = next(load(bench.account)).completion
    turn, _, _ = bench.account.ask_to_sign_out()

    def sign_out() -> None:
        bench.store.delete(KEY)
        bench.account.apply(Change.SIGNED_OUT, turn)

    bench.store.meanwhile = sign_out
    reading.start(blocking=True)
    assert reading.done
    assert bench.account.state.snapshot is None


def test_refresh_has_the_turn_of_the_moment_it_was_asked_for() -> None:
    """A refresh that was asked for before a sign-out sends nothing after it, even if a worker is late."""
    bench = Bench()
    bench.put(a_record())
    bench.token()
    bench.time.at(EXPIRED)
    refreshing = next(acquire(bench.account)).completion
    bench.account.ask_to_sign_out()
    refreshing.start(blocking=False)
    refreshing.wait(20)
    assert refreshing.done
    assert bench.service.refreshed == []


@pytest.mark.parametrize("way", [acquire, load, load_unless_over])
def test_load_of_an_interrupted_caller_is_made_again(way: Callable[[Account], Any]) -> None:
    """Ctrl-C in the caller that reads the store for all does not fail the others, however often it comes."""
    bench = Bench(store=Meanwhile())
    if way is load_unless_over:  # the session in memory is over, and another is stored
        bench.put(a_record(sign_in_id="over", client_ends_at=START + 1))
        run(load(bench.account))
        bench.time.at(2)
    bench.put(a_record())

    def interrupt() -> None:
        raise KeyboardInterrupt

    waiting = way(bench.account)
    reading = next(waiting).completion
    for _ in range(9):
        bench.store.meanwhile = interrupt
        with pytest.raises(KeyboardInterrupt):
            reading.start(blocking=True)
        before, reading = reading, next(waiting).completion
        assert reading is not before
    reading.start(blocking=True)
    with pytest.raises(StopIteration) as returned:
        next(waiting)
    assert returned.value.value.record.access_token.reveal() == "at_1"


# ------------------------------------------------------------------ the end is near


def test_end_is_announced_once() -> None:
    """SESSION_EXPIRING is emitted once per session, when it is used in its last tenth."""
    bench = Bench()
    bench.put(a_record(server_ends_at=START + 800))
    bench.time.at(700)
    bench.token()
    assert bench.seen() == []
    bench.time.at(730)
    for _ in range(3):
        assert bench.token() == "at_1"
        assert bench.seen() == ["SESSION_EXPIRING"]
    assert bench.session_record().end_announced


def test_end_is_announced_by_a_request_that_refreshes() -> None:
    """A request that first has to wait for a new token announces the end as well."""
    bench = Bench(tokens(2))
    bench.put(a_record(server_ends_at=START + 10 * TTL))
    bench.token()
    bench.time.at(9.5 * TTL)
    assert bench.token() == "at_2"
    assert bench.seen() == ["TOKEN_REFRESHED", "SESSION_EXPIRING"]


def test_end_is_announced_once_for_all_clients() -> None:
    """Clients that are created per request, and other processes, announce the end of a session once."""
    bench = Bench()
    bench.put(a_record(server_ends_at=START + 800))
    bench.time.at(730)
    seen: list[str] = []
    for _ in range(5):
        other = Bench(store=bench.store, time=bench.time)
        other.token()
        seen += other.seen()
    assert seen == ["SESSION_EXPIRING"]


def test_end_is_announced_although_the_store_fails() -> None:
    """A store that cannot note the announcement does not prevent it, nor the request."""
    bench = Bench(store=FailingStore())
    bench.put(a_record(server_ends_at=START + 800))
    bench.token()
    bench.store.fail("save")
    bench.time.at(730)
    assert bench.token() == "at_1"
    assert bench.seen() == ["SESSION_EXPIRING"]


@pytest.mark.parametrize("works_again", [True, False])
def test_announcing_the_end_keeps_an_unsaved_copy(works_again: bool) -> None:
    """The newest refresh token may be in memory only: the older record in the store does not replace it."""
    bench = Bench(store=FailingStore())

    def refuse_saves() -> Answer:
        bench.store.fail("save", times=SAVE_ATTEMPTS if works_again else 1_000)
        return tokens(2)

    bench.service.steps.append(refuse_saves)
    bench.put(a_record(server_ends_at=START + 10 * TTL))
    bench.token()
    bench.time.at(9.5 * TTL)
    assert bench.token() == "at_2"
    assert bench.seen() == ["TOKEN_REFRESHED", "SESSION_EXPIRING"]
    assert bench.session_record().end_announced is works_again
    snapshot = bench.account.state.snapshot
    assert snapshot is not None
    assert snapshot.record.refresh_token.reveal() == "rt_2"


def test_end_of_a_replaced_session_is_not_announced() -> None:
    """A session that another process has replaced is not announced to end."""
    bench = Bench()
    bench.put(a_record(server_ends_at=START + 800))
    bench.token()
    bench.put(another_session(refreshed_at=START + 700))
    bench.time.at(730)
    bench.token()
    assert bench.seen() == []


# ------------------------------------------------------------------ sessions whose time is over


IDLE = {"api": "v2", "idle_timeout": "10m"}


def over_in_memory(record: SessionRecord, *steps: Answer, **settings: Any) -> Bench:
    """Return a client that knows a session whose time is over as far as it knows."""
    bench = Bench(*steps, **settings)
    bench.put(record)
    bench.session()
    bench.time.at(EXPIRED)
    return bench


def test_session_past_the_clients_end_is_not_shown() -> None:
    """An end that the client keeps takes the session away at once. One that the service keeps is its word."""
    bench = over_in_memory(a_record(client_ends_at=START + TTL))
    assert bench.session() is None
    kept = over_in_memory(a_record(server_ends_at=START + TTL)).session()
    assert kept is not None
    assert kept.time_left() == timedelta(0)
    assert bench.service.requests == []
    assert bench.seen() == []


def test_session_used_by_another_process_is_shown() -> None:
    """A session that is idle as far as memory knows is shown if another process has used it since."""
    bench = over_in_memory(a_record(), **IDLE)
    assert bench.session() is None
    bench.put(a_record(last_used_at=START + TTL))
    assert bench.session() is not None
    bench.time.at(TTL + 700)
    bench.put(a_record(generation=2, refresh_token=Secret("rt_2"), refreshed_at=START + TTL + 650))
    assert bench.session() is not None
    assert bench.snapshot().record.generation == 2
    assert bench.service.requests == []


def test_new_session_of_another_process_is_shown() -> None:
    """A session whose time is over is replaced by the one of a sign-in elsewhere."""
    bench = over_in_memory(a_record(client_ends_at=START + TTL))
    bench.put(another_session())
    session = bench.session()
    assert session is not None
    assert session.id == "ses_2"
    assert bench.seen() == ["SESSION_REPLACED"]


def test_last_request_counts_as_use_of_the_shown_session() -> None:
    """A session that requests have used is not idle, although no refresh has noted it."""
    bench = over_in_memory(a_record(), **IDLE)
    bench.account.used_at = START + TTL - 10
    assert bench.session() is not None


def test_session_past_its_end_survives_a_failing_store() -> None:
    """A store that fails when it is read again fails the call, and takes nothing away."""
    store = FailingStore()
    bench = over_in_memory(a_record(client_ends_at=START + TTL), store=store)
    store.fail("load", times=1)
    with pytest.raises(StoreUnavailable):
        bench.session()
    assert bench.session() is None


def test_refresh_asks_although_memory_knows_an_end() -> None:
    """A cooldown that another process noted does not prevent refresh() after an end in memory."""
    bench = over_in_memory(a_record(), tokens(2), **IDLE)
    bench.put(a_record(last_used_at=START + TTL, cooldown_until=START + EXPIRED + 5))
    assert bench.refresh().id == "ses_1"
    assert bench.session_record().generation == 2


# ------------------------------------------------------------------ absurd clocks, closed clients


@pytest.mark.parametrize("now", [float("nan"), float("inf"), float("-inf"), -1e18, 1e18])
def test_absurd_clock_ends_nothing(now: float) -> None:
    """A clock that returns nonsense ends no session and raises nothing but our own errors."""
    bench = Bench(*[tokens(number) for number in range(2, 9)])
    bench.put(a_record(client_ends_at=START + 30 * TTL, server_ends_at=START + 30 * TTL))
    bench.token()
    bench.time.wall = now
    if now == 1e18:
        with pytest.raises(SessionExpired):  # every end has passed by such a clock
            bench.token()
        return
    assert bench.token().startswith("at_")
    assert bench.session() is not None
    bench.time.at(10)
    assert bench.token().startswith("at_")


def test_clock_set_back_refreshes_in_the_background() -> None:
    """A clock that was set back costs one refresh, because the token's age is unknown."""
    bench = Bench(tokens(2))
    bench.put(a_record())
    bench.token()
    bench.time.at(-3_600)
    assert bench.token() == "at_1"
    bench.settle()
    assert bench.token() == "at_2"
    bench.settle()
    assert bench.service.refreshed == ["rt_1"]


def test_closed_client_fails_at_once() -> None:
    """Every use of a closed client raises, also of an account with a fresh token."""
    bench = Bench()
    bench.sign_in()
    bench.engine.close()
    for call in (bench.token, bench.session, bench.refresh, bench.sign_in, bench.sign_out):
        with pytest.raises(ConfigurationError, match="was closed"):
            call()
    with pytest.raises(ConfigurationError, match="was closed"):
        bench.engine.account("another")


def test_without_background_refresh_stale_tokens_stay() -> None:
    """Without background refresh nothing is refreshed before the token's last seconds."""
    bench = Bench(tokens(2), background_refresh=False)
    bench.put(a_record())
    bench.time.at(STALE + 1)
    assert bench.token() == "at_1"
    bench.settle()
    assert bench.service.requests == []
    bench.time.at(EXPIRED)
    assert bench.token() == "at_2"


def test_refusal_of_another_sessions_token_brings_no_token() -> None:
    """A refused token whose session was replaced meanwhile is not the cause of the next one's refresh."""
    bench = Bench(tokens(3))
    bench.put(a_record())
    refused = bench.snapshot()
    bench.put(another_session(refreshed_at=START))
    bench.time.at(EXPIRED)
    assert bench.after_refusal(refused) == "at_3"
    assert not bench.session_record().after_refusal


def test_refresh_asks_for_a_session_that_came_in_a_cooldown() -> None:
    """An explicit refresh that joined another one asks again, also for another session."""
    bench = Bench(gate := Gate(response(503, b"", retry_after="30")), tokens(3))
    bench.put(a_record())
    bench.session()
    known = bench.account.state.snapshot
    bench.put(another_session(refreshed_at=START))
    bench.time.at(EXPIRED)
    using = in_thread(bench.token)
    gate.wait()
    refreshing = acquire(bench.account, known, forced=True)
    joined = next(refreshing).completion
    gate.open()
    joined.wait(20)
    assert isinstance(using(), ServiceUnavailable)
    assert run(refreshing).record.access_token.reveal() == "at_3"


def test_session_in_use_is_there_though_it_seems_idle() -> None:
    """Where the client ends idle sessions, session() counts the last request as use, like a request does."""
    bench = Bench(api="v2", idle_timeout="10m", background_refresh=False)
    bench.put(a_record())
    bench.time.at(60 * 4)
    run(access_token(bench.account, refused=None))
    bench.time.at(60 * 13)
    assert bench.session() is not None
    bench.time.at(60 * 15)
    assert bench.session() is None


def test_session_that_idles_out_after_a_refresh_is_not_used() -> None:
    """A caller that waited for a refresh and is suspended until the session is idle gets no token."""
    bench = Bench(tokens(2), api="v2", idle_timeout="20m")
    bench.put(a_record())
    bench.session()
    bench.time.at(EXPIRED)
    waiting = acquire(bench.account)
    refreshing = next(waiting).completion
    refreshing.start(blocking=False)
    refreshing.wait(20)
    bench.time.at(EXPIRED + 60 * 21)
    with pytest.raises(SessionExpired) as caught:
        run(waiting)
    assert caught.value.reason is ExpiryReason.IDLE


@pytest.mark.parametrize("background", [True, False])
def test_session_in_use_does_not_idle_out(background: bool) -> None:
    """With a known idle timeout, a session in use is refreshed when half of it has passed."""
    bench = Bench(
        *[tokens(number) for number in range(2, 20)], idle_timeout="4m", background_refresh=background
    )
    bench.put(a_record())
    for minute in range(1, 16):
        bench.time.at(60 * minute)
        bench.token()
        bench.settle()
        assert bench.time.wall - bench.session_record().refreshed_at <= 180
