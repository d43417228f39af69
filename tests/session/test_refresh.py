"""One refresh: the contents of the store, the answers of the service, and the record that is kept."""

from typing import Any

import pytest

from hellojohn._errors import (
    ApiError,
    ConfigurationError,
    ExpiryReason,
    ServiceUnavailable,
    SessionExpired,
    StoreCorrupt,
    StoreLocked,
    StoreUnavailable,
)
from hellojohn._secret import Secret
from hellojohn._session.account import Account
from hellojohn._session.record import EndedRecord, ended
from hellojohn._wire import Answer, Delivery, TransportFailure
from tests.fake_stores import FailingStore, LeasedStore
from tests.session.bench import (
    EXPIRED,
    HTML,
    KEY,
    LOST,
    NOT_SENT,
    STALE,
    START,
    TTL,
    Bench,
    Gate,
    VirtualTime,
    a_record,
    another_session,
    expired_token,
    in_thread,
    problem,
    response,
    tokens,
)


def test_success_saves_the_next_generation() -> None:
    """A refresh presents the refresh token once, saves the new pair and emits TOKEN_REFRESHED."""
    bench = expired_token(tokens(2))
    assert bench.token() == "at_2"
    record = bench.session_record()
    assert (record.generation, record.refresh_token.reveal()) == (2, "rt_2")
    assert record.refresh_started_at is None
    assert bench.service.refreshed == ["rt_1"]
    assert bench.seen() == ["TOKEN_REFRESHED"]


def test_answer_without_a_refresh_token_keeps_the_old_one() -> None:
    """An answer that brings only an access token leaves the refresh token valid."""
    bench = expired_token(tokens(2, refresh_token=None))
    bench.token()
    assert bench.session_record().refresh_token.reveal() == "rt_1"


def test_attempt_is_noted_before_it_is_sent() -> None:
    """The store knows of a refresh before the service does, so that a crash in between is noticed."""
    bench = expired_token()
    bench.service.steps.append(lambda: (noted.append(bench.session_record()), tokens(2))[1])
    noted: list[Any] = []
    bench.token()
    assert noted[0].refresh_started_at == START + EXPIRED
    assert noted[0].generation == 1


def test_refresh_is_given_its_whole_deadline() -> None:
    """The only limit of a refresh is its deadline of 20 seconds: a slow answer is waited for."""
    bench = expired_token(tokens(2))
    bench.token()
    request, deadline = bench.service.requests[0]
    assert request.reads_until_deadline
    assert deadline == 20


# ------------------------------------------------------------------ contents of the store


def test_newer_pair_of_another_process_is_adopted() -> None:
    """A pair that another process has stored is used, and the service is not asked."""
    bench = Bench()
    bench.put(a_record())
    bench.token()
    newer = {"access_token": Secret("at_2"), "refresh_token": Secret("rt_2")}
    bench.put(a_record(generation=2, refreshed_at=START + EXPIRED, **newer))
    bench.time.at(EXPIRED)
    assert bench.token() == "at_2"
    assert bench.service.requests == []
    assert bench.seen() == []


def test_another_session_is_adopted_with_an_event() -> None:
    """A session that another process has signed in is used, and SESSION_REPLACED says so."""
    bench = Bench()
    bench.put(a_record())
    bench.token()
    bench.put(another_session())
    bench.time.at(EXPIRED)
    assert bench.token() == "at_b"
    assert bench.seen() == ["SESSION_REPLACED"]


def test_replaced_while_the_service_is_asked() -> None:
    """A pair that arrives after another process has signed in is signed out; the other session is used."""
    bench = expired_token()
    bench.service.steps.append(lambda: (bench.put(another_session()), tokens(2))[1])
    assert bench.token() == "at_b"
    bench.settle()
    assert bench.session_record().sign_in_id == "second"
    assert bench.service.signed_out == ["rt_2"]
    assert bench.seen() == ["SESSION_REPLACED"]


def test_adopted_session_that_ends_elsewhere_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event about the end of a session that another process has signed in names that session.

    The pair that came for it is not stored, so no request may use it in between.
    """
    shown, apply = set[str](), Account.apply

    def noting(self: Account, *arguments: Any, **options: Any) -> bool:
        applied = apply(self, *arguments, **options)
        shown.update(filter(None, [self.state.snapshot and self.state.snapshot.header]))
        return applied

    monkeypatch.setattr(Account, "apply", noting)
    bench, other = Bench(), another_session(session_id="ses_b")
    bench.put(a_record(session_id="ses_a"))
    bench.token()
    bench.put(other)
    over = ended(other, ExpiryReason.REFRESH_OUTCOME_UNKNOWN, None)
    bench.service.steps.append(lambda: (bench.put(over), tokens(2))[1])
    bench.time.at(3 * TTL)
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    bench.settle()
    assert caught.value.session_id == "ses_b"
    assert bench.seen() == ["SESSION_REPLACED", "SESSION_EXPIRED:refresh_outcome_unknown"]
    assert [event.session.id for event in bench.events if event.session] == ["ses_b", "ses_b"]
    assert shown == {"Bearer at_1"}


def test_store_that_lost_a_write() -> None:
    """A store that was restored to an older state does not make a replaced refresh token come back."""
    bench = expired_token(tokens(2), tokens(3))
    bench.token()
    bench.put(a_record())
    bench.time.at(3 * TTL)
    assert bench.token() == "at_3"
    assert bench.service.refreshed == ["rt_1", "rt_2"]
    assert bench.session_record().generation == 3


def test_sign_in_after_a_sign_out_elsewhere_is_no_surprise() -> None:
    """A user who is signed in by another process after the own session has ended is announced."""
    bench = Bench()
    bench.put(a_record())
    bench.token()
    bench.store.delete(KEY)
    bench.time.at(EXPIRED)
    with pytest.raises(SessionExpired):
        bench.token()
    bench.put(another_session())
    assert bench.token() == "at_b"
    assert bench.seen() == ["SESSION_EXPIRED:signed_out", "SESSION_REPLACED"]


def test_signed_out_elsewhere_before_the_refresh() -> None:
    """A session that another process has signed out is over, and its refresh token is not presented."""
    bench = Bench()
    bench.put(a_record())
    bench.token()
    bench.store.delete(KEY)
    bench.time.at(EXPIRED)
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is ExpiryReason.SIGNED_OUT
    assert bench.service.requests == []
    assert bench.seen() == ["SESSION_EXPIRED:signed_out"]


def test_signed_out_elsewhere_while_the_service_is_asked() -> None:
    """A pair that arrives after another process has signed out is not saved, and is signed out."""
    bench = expired_token()
    bench.service.steps.append(lambda: (bench.store.delete(KEY), tokens(2))[1])
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    bench.settle()
    assert caught.value.reason is ExpiryReason.SIGNED_OUT
    assert bench.stored() is None
    assert bench.service.signed_out == ["rt_2"]


def test_every_client_reports_the_same_reason() -> None:
    """The reason that the service gave is left in the store, for clients that find the session gone."""
    first = expired_token(problem(401, "session_revoked"))
    second = Bench(store=first.store, time=first.time)
    first.time.at(0)
    second.token()
    first.time.at(EXPIRED)
    for bench in (first, second, Bench(store=first.store, time=first.time)):
        with pytest.raises(SessionExpired) as caught:
            bench.token()
        assert caught.value.reason is ExpiryReason.REVOKED
        assert caught.value.session_id == "ses_1"
    assert second.seen() == ["SESSION_EXPIRED:revoked"]
    assert first.service.refreshed + second.service.refreshed == ["rt_1"]


def test_the_end_record_holds_no_token() -> None:
    """The note of an ended session in the store holds no secret."""
    bench = expired_token(problem(401, "session_revoked"))
    with pytest.raises(SessionExpired):
        bench.token()
    assert bench.end_record() == EndedRecord(
        api_url="https://api.example.com",
        tenant_id="tnt_1",
        sign_in_id="first",
        session_id="ses_1",
        reason=ExpiryReason.REVOKED,
        code="session_revoked",
    )
    text = bench.store.load(KEY)
    assert "at_1" not in text
    assert "rt_1" not in text


def test_end_of_another_session_comes_after_its_beginning() -> None:
    """A session that replaced this client's is ended by the service: both events come, in this order."""
    bench = Bench(problem(401, "session_revoked"))
    bench.put(a_record())
    bench.token()
    bench.put(another_session(refreshed_at=START))
    bench.time.at(EXPIRED)
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.session_id == "ses_2"
    assert bench.seen() == ["SESSION_REPLACED", "SESSION_EXPIRED:revoked"]


def test_end_of_an_earlier_session_is_a_sign_out() -> None:
    """A client whose session was replaced and has ended finds the end of a session that is not its own."""
    bench = Bench()
    bench.put(a_record())
    bench.token()
    bench.put(ended(another_session(), ExpiryReason.REVOKED, None))
    bench.time.at(EXPIRED)
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is ExpiryReason.SIGNED_OUT


# ------------------------------------------------------------------ answers of the service

_KEPT = (ServiceUnavailable, ApiError)


@pytest.mark.parametrize(
    "answer",
    [
        NOT_SENT,
        LOST,
        problem(500, "internal_error"),
        problem(502, "bad_gateway"),
        problem(503, "service_unavailable"),
        problem(504, "gateway_timeout"),
        problem(429, "rate_limit_exceeded"),
        response(200, HTML),
        response(200, b""),
        response(200, {"access_token": ""}),
        response(302, b"", location="https://elsewhere.example.com"),
        response(403, HTML),
        response(404, HTML),
        response(407, b""),
        response(401, b""),
        problem(401, "invalid_publishable_key"),
        problem(403, "tenant_mismatch"),
        problem(400, "invalid_request"),
    ],
    ids=str,
)
def test_only_the_services_word_ends_a_session(answer: Answer) -> None:
    """Any answer that does not refuse the session keeps it, and the same refresh token works later."""
    bench = expired_token(*[answer] * 8)
    with pytest.raises(_KEPT) as caught:
        bench.token()
    assert not isinstance(caught.value, SessionExpired)
    assert bench.session_record().refresh_token.reveal() == "rt_1"
    bench.service.steps.clear()
    bench.service.steps.append(tokens(2))
    bench.time.sleep(100)
    assert bench.token() == "at_2"
    assert set(bench.service.refreshed) == {"rt_1"}


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("refresh_token_expired", 401, ExpiryReason.EXPIRED),
        ("session_expired", 401, ExpiryReason.EXPIRED),
        ("session_revoked", 401, ExpiryReason.REVOKED),
        ("refresh_token_reused", 401, ExpiryReason.REUSE_DETECTED),
        ("refresh_token_invalid", 401, ExpiryReason.REJECTED),
        ("account_disabled", 403, ExpiryReason.USER_DISABLED),
    ],
)
def test_refusals_end_the_session(code: str, status: int, reason: ExpiryReason) -> None:
    """A refusal that names the session ends it with its reason, after one request."""
    bench = expired_token(problem(status, code))
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is reason
    assert bench.service.refreshed == ["rt_1"]
    assert bench.seen() == [f"SESSION_EXPIRED:{reason}"]


def test_idle_explains_an_expired_session() -> None:
    """A session that expired before its end, and was idle longer than allowed, has ended as idle."""
    bench = expired_token(problem(401, "session_expired"), idle_timeout="5m")
    bench.put(a_record(server_ends_at=START + 10 * TTL))
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is ExpiryReason.IDLE


def test_end_of_a_used_session_is_not_called_idle() -> None:
    """Where the client ends idle sessions, the service's word that one has expired has another cause."""
    expired = response(401, {"code": "SESSION_EXPIRED", "message": "Words."})
    bench = Bench(expired, response(204, b""), expired, api="v2", idle_timeout="10m")
    bench.put(a_record(last_used_at=START + 900))
    bench.time.at(EXPIRED)
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is ExpiryReason.EXPIRED


def test_not_sent_is_tried_again_with_a_backoff() -> None:
    """A request that never left is sent again after growing, jittered pauses."""
    bench = expired_token(NOT_SENT, NOT_SENT, tokens(2))
    assert bench.token() == "at_2"
    first, second = bench.time.slept
    assert 0.2 <= first <= 0.4
    assert 0.4 <= second <= 0.8


@pytest.mark.parametrize("answer", [LOST, problem(500, "internal_error"), response(502, HTML)], ids=str)
def test_lost_answer_is_asked_for_once_more(answer: Answer) -> None:
    """After a lost answer the same token is presented once more, and not before a second has passed."""
    bench = expired_token(answer, tokens(2))
    assert bench.token() == "at_2"
    assert bench.service.refreshed == ["rt_1", "rt_1"]
    assert bench.time.slept == [1.0]


@pytest.mark.parametrize("answer", [response(504, HTML), response(200, HTML)], ids=str)
def test_gateway_timeout_is_not_asked_again_at_once(answer: Answer) -> None:
    """The service behind a gateway may still be at work, so the next refresh asks, not this one."""
    bench = expired_token(answer)
    with pytest.raises(ServiceUnavailable) as caught:
        bench.token()
    assert caught.value.ambiguous
    assert bench.service.refreshed == ["rt_1"]
    assert bench.session_record().refresh_started_at is not None


def test_answer_that_never_comes_is_not_overtaken() -> None:
    """A request that was read until the deadline is not followed by a second one with the same token."""
    bench = expired_token()

    def never() -> Answer:
        bench.time.sleep(20)
        return TransportFailure(Delivery.UNKNOWN, "ReadTimeout: no whole answer came to the sent call")

    bench.service.steps.append(never)
    with pytest.raises(ServiceUnavailable):
        bench.token()
    assert bench.service.refreshed == ["rt_1"]


@pytest.mark.parametrize("code", ["refresh_token_invalid", "refresh_token_reused"])
def test_refusal_after_a_lost_answer_is_no_theft(code: str) -> None:
    """A refusal of a token whose first presentation was cut off is refresh_outcome_unknown."""
    bench = expired_token(LOST, problem(401, code))
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is ExpiryReason.REFRESH_OUTCOME_UNKNOWN


def test_refusal_after_a_crash_is_no_theft() -> None:
    """A refusal after another process has died in a refresh is refresh_outcome_unknown."""
    bench = expired_token(problem(401, "refresh_token_reused"))
    bench.put(a_record(refresh_started_at=START + 500))
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is ExpiryReason.REFRESH_OUTCOME_UNKNOWN


@pytest.mark.parametrize("first", [LOST, problem(503, "service_unavailable")], ids=str)
def test_refusal_after_a_sign_out_elsewhere(first: Answer) -> None:
    """A refusal while another process took the session out of the store is signed_out, also after doubt."""
    bench = expired_token(first)

    def sign_out_elsewhere() -> Answer:
        bench.store.delete(KEY)
        return problem(401, "refresh_token_invalid")

    bench.service.steps.append(sign_out_elsewhere)
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is ExpiryReason.SIGNED_OUT
    assert bench.stored() is None
    assert bench.seen() == ["SESSION_EXPIRED:signed_out"]


def test_retry_after_that_fits_is_waited_for() -> None:
    """A wait that ends before the deadline is waited for."""
    bench = expired_token(problem(503, "service_unavailable", retry_after="3"), tokens(2))
    assert bench.token() == "at_2"
    assert bench.time.slept == [3.0]


@pytest.mark.parametrize("retry_after", ["3600", "86400"])
def test_long_retry_after_is_a_short_cooldown(retry_after: str) -> None:
    """A maintenance page for hours blocks no caller for more than a minute, and refresh() may always ask."""
    bench = expired_token(problem(503, "service_unavailable", retry_after=retry_after))
    with pytest.raises(ServiceUnavailable) as caught:
        bench.token()
    assert caught.value.retry_after == float(retry_after)
    other = Bench(tokens(2), store=bench.store, time=bench.time)
    with pytest.raises(ServiceUnavailable) as caught:
        other.token()
    assert caught.value.retry_after == 60
    assert other.service.requests == []
    other.refresh()
    assert other.service.refreshed == ["rt_1"]


def test_cooldown_ends_after_a_minute() -> None:
    """After the longest cooldown the service is asked again."""
    bench = expired_token(problem(503, "service_unavailable", retry_after="3600"), tokens(2))
    with pytest.raises(ServiceUnavailable):
        bench.token()
    bench.time.sleep(61)
    assert bench.token() == "at_2"


@pytest.mark.parametrize("ahead", [61.0, 597.0, 1e9])
def test_cooldown_of_a_wrong_clock_counts_for_nothing(ahead: float) -> None:
    """A moment further ahead than a cooldown can be comes from a host whose clock is wrong."""
    bench = expired_token(tokens(2))
    bench.put(a_record(cooldown_until=START + EXPIRED + ahead))
    assert bench.token() == "at_2"


def test_failure_cools_down_for_all_clients() -> None:
    """In an outage, a client that is created per request fails at once and sends nothing."""
    bench = expired_token(*[NOT_SENT] * 4)
    with pytest.raises(ServiceUnavailable):
        bench.token()
    other = Bench(store=bench.store, time=bench.time)
    with pytest.raises(ServiceUnavailable) as caught:
        other.token()
    assert 0 < (caught.value.retry_after or 0) <= 5
    assert other.service.requests == []
    assert other.time.slept == bench.time.slept


# ------------------------------------------------------------------ leases, suspension, late locks


def test_refresh_ends_before_the_lease_does() -> None:
    """Under a lease a refresh has two thirds of it, and others are kept away as long."""
    bench = expired_token(tokens(2), store=LeasedStore(lease=15))
    noted: list[Any] = []
    bench.service.steps[0] = lambda: (noted.append(bench.session_record()), tokens(2))[1]
    bench.token()
    assert bench.service.requests[0][1] == 10
    assert noted[0].refresh_not_before == START + EXPIRED + 10


def test_guard_of_another_holder_is_respected() -> None:
    """While another process may still be sending the token, this one does not, not even for refresh()."""
    bench = expired_token(store=LeasedStore(lease=30))
    bench.put(a_record(refresh_started_at=START + EXPIRED, refresh_not_before=START + EXPIRED + 12))
    for call in (bench.token, bench.refresh):
        with pytest.raises(ServiceUnavailable) as caught:
            call()
        assert caught.value.retry_after == 12
    assert bench.service.requests == []


@pytest.mark.parametrize("ahead", [31.0, 600.0])
def test_guard_of_a_wrong_clock_counts_for_nothing(ahead: float) -> None:
    """A guard further ahead than a lease comes from a host whose clock is wrong."""
    bench = expired_token(tokens(2), store=LeasedStore(lease=30))
    bench.put(a_record(refresh_started_at=START, refresh_not_before=START + EXPIRED + ahead))
    assert bench.token() == "at_2"


@pytest.mark.parametrize("clock", ["wall", "elapsed"])
@pytest.mark.parametrize("step", ["load", "save"])
def test_suspended_process_sends_nothing(clock: str, step: str) -> None:
    """A process that was suspended between lock and request does not send, whichever clock went on."""
    bench = expired_token(store=LeasedStore(lease=30))

    def suspend() -> None:
        setattr(bench.time, clock, getattr(bench.time, clock) + 40)

    bench.store.once_after(step, suspend)
    with pytest.raises(ServiceUnavailable):
        bench.token()
    assert bench.service.requests == []
    assert bench.session_record().refresh_token.reveal() == "rt_1"


@pytest.mark.parametrize("clock", ["wall", "elapsed"])
def test_process_suspended_in_a_pause_sends_nothing_more(monkeypatch: pytest.MonkeyPatch, clock: str) -> None:
    """The time is checked before each attempt of a refresh, not only before the first one."""

    def suspended(time: VirtualTime, seconds: float) -> None:
        setattr(time, clock, getattr(time, clock) + seconds + 40)

    monkeypatch.setattr(VirtualTime, "sleep", suspended)
    bench = expired_token(NOT_SENT, tokens(2), store=LeasedStore(lease=30))
    with pytest.raises(ServiceUnavailable):
        bench.token()
    assert len(bench.service.requests) == 1
    assert bench.session_record().refresh_token.reveal() == "rt_1"


# ------------------------------------------------------------------ stores that fail


def test_store_that_fails_before_the_request() -> None:
    """A store that cannot note the attempt fails the refresh before anything is sent."""
    bench = expired_token(store=FailingStore())
    bench.store.fail("save")
    with pytest.raises(StoreUnavailable):
        bench.token()
    assert bench.service.requests == []


def test_saved_at_the_third_attempt() -> None:
    """A store that fails twice takes the new pair at the third attempt."""
    bench = expired_token(tokens(2), store=FailingStore())
    bench.store.fail("save", skip=1, times=2)
    assert bench.token() == "at_2"
    assert bench.session_record().generation == 2


def test_pair_that_cannot_be_saved_is_used_from_memory() -> None:
    """A pair that the store does not take is kept in memory, used, and saved at the next occasion."""
    bench = expired_token(tokens(2), store=FailingStore())
    bench.store.fail("save", skip=1)
    assert bench.token() == "at_2"
    bench.settle()
    assert bench.session_record().generation == 1
    bench.store.heal()
    bench.time.sleep(6)
    assert bench.token() == "at_2"
    bench.settle()
    assert bench.session_record().generation == 2
    assert bench.service.refreshed == ["rt_1"]


def test_unsaved_pair_is_saved_before_the_next_refresh() -> None:
    """A refresh saves the pair that the store did not take, and presents the newest token."""
    bench = expired_token(tokens(2), tokens(3), store=FailingStore())
    bench.store.fail("save", skip=1)
    bench.token()
    bench.store.heal()
    bench.time.at(3 * TTL)
    assert bench.token() == "at_3"
    assert bench.service.refreshed == ["rt_1", "rt_2"]
    assert bench.session_record().generation == 3


def test_copy_in_memory_does_not_undo_a_note_in_the_store() -> None:
    """A save that failed was carried out, and another process noted a refresh since: the note stays."""
    bench = expired_token(tokens(2), store=FailingStore())
    bench.store.fail("save", skip=1, late=True)
    bench.token()
    bench.settle()
    bench.store.heal()
    noted = bench.session_record().changed(refresh_started_at=START + EXPIRED)
    bench.put(noted)
    bench.token()
    bench.settle()
    assert bench.session_record() == noted


def test_lost_lock_is_taken_again_for_the_save() -> None:
    """A pair that was not saved because the lock was lost is saved under a new one."""
    bench = expired_token(tokens(2), store=FailingStore())
    bench.store.fail("save", skip=1, times=3, error=StoreLocked("The lease ran out."))
    assert bench.token() == "at_2"
    bench.settle()
    assert bench.session_record().generation == 2


def test_unsaved_pair_of_a_session_signed_out_elsewhere() -> None:
    """A pair that only memory has ends when another process has signed the session out."""
    bench = expired_token(tokens(2), store=FailingStore())
    bench.store.fail("save", skip=1)
    bench.token()
    bench.store.heal()
    bench.store.delete(KEY)
    bench.time.at(3 * TTL)
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    bench.settle()
    assert caught.value.reason is ExpiryReason.SIGNED_OUT
    assert bench.service.signed_out == ["rt_2"]


def test_fresh_session_in_place_of_an_unsaved_pair_is_kept() -> None:
    """Another process has signed in where an unsaved pair was to be saved: its fresh token will do."""
    bench = expired_token(tokens(2), store=FailingStore())
    bench.store.fail("save", skip=1)
    bench.token()
    bench.store.heal()
    bench.time.at(3 * TTL)
    theirs = another_session(refreshed_at=START + 3 * TTL)
    bench.put(theirs)
    assert bench.token() == theirs.access_token.reveal()
    bench.settle()
    assert (bench.service.refreshed, bench.service.signed_out) == (["rt_1"], ["rt_2"])


# ------------------------------------------------------------------ damaged records


@pytest.mark.parametrize("text", ["{", "[]", '{"v":1}', "x" * 100])
def test_damaged_record_costs_nobody_the_session(text: str) -> None:
    """A text that is damaged while the session is in memory is quarantined, and the session goes on."""
    bench = Bench(tokens(2))
    bench.put(a_record())
    bench.token()
    bench.put_text(text)
    bench.time.at(EXPIRED)
    assert bench.token() == "at_2"
    assert bench.session_record().generation == 2
    assert bench.store.load(f"{KEY}.corrupt-1") == text


def test_record_damaged_while_the_service_is_asked() -> None:
    """A text that is damaged during a refresh is quarantined, and the new pair is saved."""
    bench = expired_token()
    bench.service.steps.append(lambda: (bench.put_text("{"), tokens(2))[1])
    assert bench.token() == "at_2"
    assert bench.session_record().generation == 2


def test_damaged_record_and_a_full_disk() -> None:
    """A session whose damaged record was quarantined outlives a store that takes nothing in its place."""
    bench = Bench(tokens(2), store=FailingStore())
    bench.put(a_record())
    bench.token()
    bench.put_text("{")
    bench.time.at(EXPIRED)
    bench.store.fail("save")
    with pytest.raises(StoreUnavailable):
        bench.token()
    bench.store.heal()
    bench.time.sleep(6)
    assert bench.token() == "at_2"
    assert bench.session_record().generation == 2


def test_damaged_record_is_reported_once() -> None:
    """A process without the session in memory reports the damage once. After that, no user is signed in."""
    bench = Bench()
    bench.put_text("{")
    with pytest.raises(StoreCorrupt, match="quarantined as"):
        bench.session()
    assert bench.session() is None


def test_record_of_a_later_version_is_left_alone() -> None:
    """A record that a later version wrote is not touched by reading and refreshing."""
    bench = Bench()
    bench.put_text('{"v":99}')
    for call in (bench.session, bench.token):
        with pytest.raises(StoreCorrupt, match="later version"):
            call()
    assert bench.store.load(KEY) == '{"v":99}'


def test_record_of_another_tenant_is_quarantined() -> None:
    """A record that another service issued is not used: its token must not be sent here."""
    bench = Bench()
    bench.put(a_record(api_url="https://other.example.com"))
    with pytest.raises(StoreCorrupt, match="another service"):
        bench.token()
    assert bench.service.requests == []


# ------------------------------------------------------------------ the client's own deadline


def test_deadline_ends_the_session_here_and_there() -> None:
    """A session whose own deadline has passed ends with duration_elapsed and is signed out."""
    bench = Bench()
    bench.put(a_record(client_ends_at=START + 500))
    bench.token()
    bench.time.at(501)
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    bench.settle()
    assert caught.value.reason is ExpiryReason.DURATION_ELAPSED
    assert bench.service.signed_out == ["rt_1"]
    assert bench.seen() == ["SESSION_EXPIRED:duration_elapsed"]
    assert bench.session() is None


def test_deadline_is_the_reason_though_the_clock_is_set_back() -> None:
    """A clock that is set back while the store is read does not turn the deadline into another reason."""
    bench = Bench()
    bench.put(a_record(client_ends_at=START + 500))
    bench.token()
    bench.time.at(501)
    load = bench.store.load

    def loading(key: str) -> str | None:
        bench.time.at(100)
        text: str | None = load(key)
        return text

    bench.store.load = loading
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is ExpiryReason.DURATION_ELAPSED


def test_outage_at_the_deadline_is_not_called_an_end() -> None:
    """The open-source server's database goes away as the client's own deadline passes: that is the reason."""
    bench = Bench(api="v2")
    bench.put(a_record(client_ends_at=START + EXPIRED + 0.1))
    bench.time.at(EXPIRED)
    away = response(401, {"code": "SESSION_EXPIRED", "message": "Words."})
    no_database = response(500, {"code": "store_error", "message": "Words."})
    bench.service.steps.extend([away, no_database] * 4)
    with pytest.raises(ServiceUnavailable):
        bench.token()
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is ExpiryReason.DURATION_ELAPSED


def test_deadline_of_a_replaced_session_ends_nothing() -> None:
    """A session that another process has signed in is not ended by the deadline of the one before."""
    bench = Bench()
    bench.put(a_record(client_ends_at=START + 500))
    bench.token()
    bench.put(another_session(refreshed_at=START + 400))
    bench.time.at(501)
    assert bench.token() == "at_b"
    assert bench.seen() == ["SESSION_REPLACED"]


# ------------------------------------------------------------------ before anything is sent


def test_preparation_comes_before_the_lock() -> None:
    """Whatever cannot be loaded fails the refresh before the store is locked or anything is sent."""
    bench = expired_token(store=FailingStore())

    def fail() -> None:
        raise ConfigurationError("No HTTP client can be built.")

    service = bench.engine.context.service._replace(load=fail)
    bench.engine.context.service = service
    with pytest.raises(ConfigurationError):
        bench.token()
    assert bench.store.used["lock"] == 0
    assert bench.session_record().refresh_started_at is None


def test_closing_client_does_not_retry() -> None:
    """A refresh that fails while the client closes is not tried again."""
    bench = expired_token(gate := Gate(NOT_SENT))
    caller = in_thread(bench.token)
    gate.wait()
    closing = in_thread(bench.engine.close)
    while not bench.engine.context.closing:
        pass
    gate.open()
    assert isinstance(caller(), ServiceUnavailable)
    closing()
    assert bench.service.refreshed == ["rt_1"]


def test_stale_token_is_refreshed_in_the_background() -> None:
    """A caller with a stale token gets it at once, and a refresh brings the next one."""
    bench = Bench(gate := Gate(tokens(2)))
    bench.put(a_record())
    bench.time.at(STALE + 1)
    assert bench.token() == "at_1"
    gate.wait()
    assert bench.token() == "at_1"
    gate.open()
    bench.settle()
    assert bench.token() == "at_2"


def test_time_passes_only_when_it_is_set() -> None:
    """The bench's clocks are still, so that a test decides when time passes."""
    time = VirtualTime()
    assert (time.wall, time.elapsed) == (START, 0)
