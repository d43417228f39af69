"""The inequalities between the time budgets and sizes of ``_limits``, which its comments state."""

from datetime import UTC, datetime

import pytest

from hellojohn import ChallengeExpired, OAuthRequest, _limits, _oauth
from hellojohn.stores import _redis_lock

INEQUALITIES = {
    "a refresh ends before the smallest usual lease": "REFRESH_DEADLINE <= 30 * LEASE_SHARE",
    "a lease leaves time for the save": "0 < LEASE_SHARE < 1",
    "a refresh is begun with time for an answer": "0 < REFRESH_START_SHARE < 1",
    "a repetition fits into a refresh": "REPEAT_PAUSE < REFRESH_DEADLINE * REFRESH_START_SHARE",
    "all backoffs fit into a refresh": "FIRST_BACKOFF * 2 ** REFRESH_ATTEMPTS < REFRESH_DEADLINE",
    "all attempts to save are quick": "SAVE_PAUSE * 2 ** SAVE_ATTEMPTS < REPEAT_PAUSE",
    "save pauses grow": "SAVE_PAUSE <= LONGEST_SAVE_PAUSE",
    "a second look leaves time for the refresh": "SECOND_LOOK_DEADLINE < REFRESH_DEADLINE / 2",
    "a cooldown is short": "COOLDOWN <= LONGEST_COOLDOWN <= 60",
    "the storm limit is short": "LONGEST_STORM <= 60",
    "a refused token is not kept for most of its life": "STORM_SHARE < STALE_SHARE",
    "a sign-out does not wait for a whole refresh": "SIGN_OUT_LOCK_WAIT < REFRESH_DEADLINE",
    "a caller with a token waits less than a refresh": "FALLBACK_WAIT < REFRESH_DEADLINE",
    "events delay a call briefly": "EVENT_WAIT < FALLBACK_WAIT",
    "an exit waits for one refresh": "EXIT_WAIT == REFRESH_DEADLINE",
    "ending threads takes less than a call": "RETIRE_WAIT < EVENT_WAIT",
    "threads rest briefly": "THREAD_REST < RETIRE_WAIT",
    "a token is stale before it expires": "EXPIRING_SHARE < STALE_SHARE * (1 - JITTER)",
    "the stale window is the longer one": "LONGEST_EXPIRING < LONGEST_STALE * (1 - JITTER)",
    "the end is announced at most a day ahead": "LONGEST_END_NOTICE <= 86_400",
    "sign-ins have threads of their own": "0 < SIGN_IN_THREADS < NETWORK_THREADS",
    "each network thread has a connection": "CONNECTIONS >= NETWORK_THREADS",
    "dropped sessions are revoked within a sign-out": "REVOKE_DEADLINE <= SIGN_OUT_DEADLINE",
    "a sign-out is shorter than a call": "SIGN_OUT_DEADLINE <= CALL_DEADLINE",
    "a refusal is read in less than a refresh": "REFUSAL_READ_TIME < FALLBACK_WAIT",
    "a refusal is smaller than an answer": "LONGEST_REFUSAL < LARGEST_BODY",
    "an adopted and a refreshed token are tried": "REPEATS == 2",
    "a wait that the service asks for ends": "LONGEST_RETRY_AFTER <= 86_400",
    "a record outlives its session": "KEPT_AFTER_END > LONGEST_COOLDOWN",
    "an unknown end is no reason to forget": "KEPT_WITHOUT_END > 366 * 86_400",
    "a token lives longer than a moment": "0 < SHORTEST_TOKEN_LIFE < DOCUMENTED_TOKEN_LIFE < LONGEST_LIFE",
    "an overtime does not outlast a lease": "REFRESH_DEADLINE + OVERTIME < 30",
    "keys live longer than they are awaited": "KEY_WAIT < SHORTEST_KEY_SOFT_LIFE <= KEY_SOFT_LIFE",
    "unknown keys are asked for rarely": "KEY_FETCH_PAUSE >= 30",
    "a quiet set delays a caller little": "QUIET_KEY_WAIT < KEY_WAIT < KEY_FETCH_DEADLINE",
    "a revocation reaches other workers in time": "REVOCATION_SYNC <= REVOCATION_SPREAD <= 10",
    "typed texts fit into an answer": "LONGEST_PASSWORD < LONGEST_METADATA < LARGEST_BODY",
}


@pytest.mark.parametrize("name", INEQUALITIES)
def test_limits_fit_together(name):
    """A limit that is changed alone must not break what another one promises."""
    assert eval(INEQUALITIES[name], dict(vars(_limits))), INEQUALITIES[name]


def test_every_number_is_positive():
    """No budget and no size is zero, negative or endless."""
    numbers = {name: value for name, value in vars(_limits).items() if name.isupper()}
    assert all(0 < value < 1e12 for value in numbers.values())


def test_completed_browser_sign_ins_are_bounded():
    """A process remembers so many completed requests, and forgets the oldest one first."""
    now, count = datetime.now(UTC), _limits.COMPLETED_OAUTH_REQUESTS
    first, *others = (
        OAuthRequest(url="u", redirect_uri="r", expires_at=now, state=f"{n}", code_verifier="v", nonce="n")
        for n in range(count + 1)
    )
    for request in (first, *others):
        _oauth.claim(request)
    with pytest.raises(ChallengeExpired):
        _oauth.claim(others[0])
    _oauth.claim(first)


def test_lease_counts_as_over_before_it_can_be():
    """An answer to a lock that comes as late as it may leaves enough of the lease, for a refresh as well."""
    longest = 1 - _redis_lock._SLOW
    assert _limits.LEASE_SHARE < _limits.LEASE_END <= longest
