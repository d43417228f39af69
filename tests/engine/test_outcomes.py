"""The refresh-outcome table through the engine: what the caller gets, what is kept, and what is told."""

import pytest

from hellojohn._errors import (
    AccountDisabled,
    ApiError,
    ExpiryReason,
    NotFound,
    PermissionDenied,
    ServiceUnavailable,
    SessionExpired,
)
from hellojohn._secret import Secret
from tests.engine.rig import (
    DEAD,
    HTML,
    NOT_SENT,
    START,
    UNKNOWN,
    Bench,
    a_record,
    dead,
    granted,
    kept,
    problem,
    reply,
)

# done


def test_done_saves_the_next_generation():
    """2xx with a readable body: the new pair is stored, shown and told once."""
    bench = dead(granted(2))
    assert bench.token() == "at_2"
    kept(
        bench,
        generation=2,
        refresh_token=Secret("rt_2"),
        access_token=Secret("at_2"),
        refreshed_at=START + DEAD,
    )
    assert bench.told() == ["TOKEN_REFRESHED"]
    assert bench.script.tokens() == ["rt_1"]


def test_done_keeps_the_old_refresh_token_if_the_answer_carries_none():
    """A server that does not rotate must not cost the refresh token."""
    bench = dead(granted(2, refresh_token=None))
    assert bench.token() == "at_2"
    kept(bench, generation=2, refresh_token=Secret("rt_1"), access_token=Secret("at_2"))


def test_done_measures_the_life_from_the_arrival_of_the_answer():
    """A slow answer must not make the token look older or younger than it is."""

    def slowly(_call, _seconds):
        bench.time.sleep(7)
        return granted(2)

    bench = dead(slowly)
    bench.token()
    kept(bench, generation=2, refresh_token=Secret("rt_2"), refreshed_at=START + DEAD + 7)


def test_done_closes_what_an_earlier_refresh_left_open():
    """The intent and the cooldown belong to the generation before."""
    bench = Bench(granted(2))
    bench.put(a_record(refresh_started_at=START, refresh_not_before=START + 5))
    assert bench.at(DEAD).token() == "at_2"
    kept(bench, generation=2, refresh_token=Secret("rt_2"))


def test_the_intent_is_in_the_store_while_the_service_is_asked():
    """A crash in the middle is recognisable afterwards."""
    seen = []

    def look(_call, _seconds):
        seen.append(bench.stored())
        return granted(2)

    bench = dead(look)
    bench.token()
    assert [(record.generation, record.refresh_started_at) for record in seen] == [(1, START + DEAD)]


# not sent


def test_not_sent_is_tried_again_after_a_backoff_that_grows():
    """A connection that is refused for a moment costs nobody an error."""
    bench = dead(NOT_SENT, NOT_SENT, NOT_SENT, granted(2))
    assert bench.token() == "at_2"
    assert bench.script.tokens() == ["rt_1"] * 4
    for slept, longest in zip(bench.time.slept, (0.4, 0.8, 1.6), strict=True):
        assert longest / 2 <= slept <= longest


def test_not_sent_in_the_end_keeps_everything():
    """Nothing was asked: no intent stays open, and the error says that nothing is in doubt."""
    bench = dead(*[NOT_SENT] * 4)
    with pytest.raises(ServiceUnavailable, match="The session is kept") as caught:
        bench.token()
    assert (caught.value.ambiguous, caught.value.retry_after) == (False, None)
    kept(bench)
    assert bench.told() == []


# later


@pytest.mark.parametrize("status", [429, 503])
def test_later_waits_as_the_service_asked_if_it_fits_the_deadline(status):
    """The caller gets its token a little late."""
    bench = dead(problem(status, "slow_down", retry_after="7"), granted(2))
    assert bench.token() == "at_2"
    assert bench.time.slept == [7.0]
    kept(bench, generation=2, refresh_token=Secret("rt_2"))


@pytest.mark.parametrize("status", [429, 503])
def test_later_than_the_deadline_is_an_error_and_a_cooldown(status):
    """The wait is told to the caller and noted for all who share the record."""
    bench = dead(problem(status, "slow_down", retry_after="90"))
    with pytest.raises(ServiceUnavailable) as caught:
        bench.token()
    assert (caught.value.retry_after, caught.value.ambiguous) == (90.0, False)
    kept(bench, refresh_not_before=START + DEAD + 90)
    assert bench.told() == []


def test_later_without_a_wait_backs_off_and_then_cools_down_a_little():
    """A service that names no wait is not hammered either."""
    bench = dead(*[problem(503, "down")] * 4)
    with pytest.raises(ServiceUnavailable):
        bench.token()
    assert len(bench.time.slept) == 3
    kept(bench, refresh_not_before=bench.time.now + 5)


# unknown

FOGGY = {
    "cut off": UNKNOWN,
    "500": problem(500, "internal"),
    "502": reply(502, HTML),
    "504": reply(504, HTML),
    "unreadable success": reply(200, b"{"),
    "success without a token": reply(200, {"ok": True}),
}


@pytest.mark.parametrize("foggy", FOGGY.values(), ids=FOGGY)
def test_unknown_is_presented_once_more_at_once(foggy):
    """Within a grace window it recovers, and waiting would not save it without one."""
    bench = dead(foggy, granted(2))
    assert bench.token() == "at_2"
    assert bench.script.tokens() == ["rt_1", "rt_1"]
    assert sum(bench.time.slept) == 0
    kept(bench, generation=2, refresh_token=Secret("rt_2"))


@pytest.mark.parametrize("foggy", FOGGY.values(), ids=FOGGY)
def test_unknown_twice_keeps_everything_and_leaves_the_question_open(foggy):
    """Nobody is signed out by a gateway; the next refresh will know."""
    bench = dead(foggy, foggy)
    with pytest.raises(ServiceUnavailable, match="The session is kept") as caught:
        bench.token()
    assert caught.value.ambiguous
    kept(bench, refresh_started_at=START + DEAD)
    assert bench.told() == []


@pytest.mark.parametrize("code", ["refresh_token_invalid", "refresh_token_reused"])
def test_unknown_and_then_refused_is_an_unknown_outcome(code):
    """The first request was carried out and its answer was lost: the user must sign in, and is told why."""
    bench = dead(UNKNOWN, problem(401, code))
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert (caught.value.reason, caught.value.code) == (ExpiryReason.REFRESH_OUTCOME_UNKNOWN, code)
    assert (caught.value.session_id, bench.stored()) == ("ses_1", None)


def test_an_intent_that_a_crash_left_open_explains_a_refusal():
    """The same, when the first request was another process's, which was killed."""
    bench = Bench(problem(401, "refresh_token_invalid"))
    bench.put(a_record(refresh_started_at=START + 900))
    with pytest.raises(SessionExpired) as caught:
        bench.at(DEAD).token()
    assert caught.value.reason is ExpiryReason.REFRESH_OUTCOME_UNKNOWN


def test_a_revoked_session_is_revoked_whatever_was_open():
    """What the server says plainly is not in doubt."""
    bench = dead(UNKNOWN, problem(401, "session_revoked"))
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is ExpiryReason.REVOKED


def test_a_doubt_stays_when_later_attempts_are_not_sent():
    """That the last attempt was harmless does not undo the first."""
    bench = dead(UNKNOWN, NOT_SENT, NOT_SENT, NOT_SENT)
    with pytest.raises(ServiceUnavailable) as caught:
        bench.token()
    assert caught.value.ambiguous
    kept(bench, refresh_started_at=START + DEAD)


def test_an_open_question_keeps_the_moment_of_the_first_doubt():
    """A second refresh with an unknown outcome does not make the first one younger."""
    bench = Bench(UNKNOWN, UNKNOWN)
    bench.put(a_record(refresh_started_at=START + 900))
    with pytest.raises(ServiceUnavailable):
        bench.at(DEAD).token()
    kept(bench, refresh_started_at=START + 900)


# over


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("refresh_token_expired", ExpiryReason.EXPIRED),
        ("session_expired", ExpiryReason.EXPIRED),
        ("session_revoked", ExpiryReason.REVOKED),
        ("refresh_token_reused", ExpiryReason.REUSE_DETECTED),
        ("refresh_token_invalid", ExpiryReason.REJECTED),
    ],
)
def test_over_ends_the_session_with_its_reason(code, reason):
    """The store is cleared, the event is told, and nothing more is sent."""
    bench = dead(problem(401, code))
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert (caught.value.reason, caught.value.code, caught.value.session_id) == (reason, code, "ses_1")
    assert bench.stored() is None
    assert bench.told() == [f"SESSION_EXPIRED:{reason}"]
    assert len(bench.script.calls) == 1


def test_over_stays_over_with_the_same_reason_and_no_more_calls():
    """Every later request says why, until somebody signs in."""
    bench = dead(problem(401, "session_revoked"))
    for _ in range(3):
        with pytest.raises(SessionExpired) as caught:
            bench.token()
        assert caught.value.reason is ExpiryReason.REVOKED
    assert (len(bench.script.calls), bench.told()) == (1, ["SESSION_EXPIRED:revoked"])


@pytest.mark.parametrize(
    ("idle_timeout", "ends_at", "reason"),
    [
        ("10m", None, ExpiryReason.IDLE),
        ("10m", START + 5_000, ExpiryReason.IDLE),
        ("10m", START + 900, ExpiryReason.EXPIRED),
        ("2h", None, ExpiryReason.EXPIRED),
        (None, None, ExpiryReason.EXPIRED),
    ],
)
def test_an_expired_session_was_idle_when_the_idle_deadline_explains_it(idle_timeout, ends_at, reason):
    """The user is told the one reason that helps."""
    bench = Bench(problem(401, "session_expired"), idle_timeout=idle_timeout)
    bench.put(a_record(server_ends_at=ends_at))
    with pytest.raises(SessionExpired) as caught:
        bench.at(DEAD).token()
    assert caught.value.reason is reason


# misconfigured


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(401, "invalid_api_key"), ApiError),
        (problem(401, "missing_token"), ApiError),
        (problem(403, "tenant_mismatch"), PermissionDenied),
        (problem(403, "account_disabled"), AccountDisabled),
        (problem(400, "bad_request"), ApiError),
        (problem(401, "a_code_of_tomorrow"), ApiError),
        (reply(404, HTML), NotFound),
        (reply(408, HTML), ApiError),
        (reply(302, HTML, location="https://login.example.com"), ApiError),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_misconfigured_is_an_api_error_and_the_session_is_kept(answer, kind):
    """A wrong key or a wrong address signs nobody out: fixing it brings the session back."""
    bench = dead(answer, granted(2))
    with pytest.raises(kind) as caught:
        bench.token()
    assert caught.value.status == answer.status
    kept(bench)
    assert bench.told() == []
    assert bench.token() == "at_2"


# not HelloJohn's word


@pytest.mark.parametrize("body", [HTML, b"", b"null", b'{"error": {}}', b"{", b"\xff"], ids=repr)
@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_that_is_not_hellojohns_word_keeps_the_session(status, body):
    """A proxy's page between here and there signs nobody out."""
    bench = dead(reply(status, body), granted(2))
    with pytest.raises(ServiceUnavailable, match=str(status)) as caught:
        bench.token()
    assert not caught.value.ambiguous
    kept(bench)
    assert bench.token() == "at_2"
