"""The key set: who waits, how often it fetches, which keys it takes. The clocks stand still unless moved."""

import json
import time
from functools import partial

import pytest

from hellojohn._clock import Timing
from hellojohn._errors import ConfigurationError, KeysUnavailable, ServiceUnavailable, UnknownKey
from hellojohn._limits import QUIET_KEY_WAIT
from hellojohn.stores import MemoryStore
from tests.fake_stores import FailingStore
from tests.verify.conftest import NOW
from tests.verify.keyserver import JWKS, Signer


@pytest.fixture
def token(signer, claims):
    """Return a token that stays good for two days."""
    return signer.sign({**claims, "exp": int(NOW) + 2 * 86_400})


@pytest.fixture
def strange(stranger, claims):
    """Return a token of a key that is not published."""
    return stranger.sign({**claims, "exp": int(NOW) + 2 * 86_400})


def settle(server, count):
    """Wait until the fetches that were asked for have arrived, and their answers were read."""
    server.wait_for_fetches(count)


def until(condition):
    """Wait for a worker thread to have done something."""
    ends_at = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.001)


def test_fresh_keys_are_fetched_once(verifier, server, clocks, token):
    """Five minutes are served by one fetch."""
    for _ in range(10):
        verifier.verify_token(token)
        clocks.advance(29)
    assert server.fetches == [JWKS]


def test_stale_keys_serve_while_a_fetch_hangs(verifier, server, clocks, token):
    """Nobody with a known key waits for a key server."""
    verifier.verify_token(token)
    server.gate.clear()
    clocks.advance(301)
    began = time.perf_counter()
    for _ in range(100):
        verifier.verify_token(token)
    assert time.perf_counter() - began < 20
    settle(server, 2)
    assert len(server.fetches) == 2


def test_a_quiet_time_ends_with_a_wait_for_fresh_keys(verifier, server, clocks, signer, token):
    """A key that was withdrawn in the night does not come back in the morning."""
    verifier.verify_token(token)
    server.publish(Signer("ed-3").jwk)
    clocks.advance(601)
    with pytest.raises(UnknownKey):
        verifier.verify_token(token)
    assert len(server.fetches) == 2


def test_a_quiet_time_costs_250_ms_at_most(verifier, server, clocks, token, monkeypatch):
    """The old keys serve when the key server hangs."""
    monkeypatch.setattr("hellojohn.verify._key_set.QUIET_KEY_WAIT", QUIET_KEY_WAIT)
    verifier.verify_token(token)
    server.gate.clear()
    clocks.advance(601)
    began = time.perf_counter()
    verifier.verify_token(token)
    assert 0.2 < time.perf_counter() - began < 4


def test_a_service_in_use_is_never_quiet(verifier, server, clocks, token):
    """In an outage, calls every minute wait for nothing."""
    verifier.verify_token(token)
    server.status = 500
    began = time.perf_counter()
    for fetches in range(2, 22):
        clocks.advance(301 if fetches == 2 else 60)
        verifier.verify_token(token)
        settle(server, fetches)
        until(lambda: verifier._keys._flight.done)
    assert time.perf_counter() - began < 4


def test_a_withdrawn_key_goes_with_the_next_fetch(verifier, server, clocks, token):
    """In a service in use that is after the soft life."""
    verifier.verify_token(token)
    server.publish(Signer("ed-3").jwk)
    clocks.advance(301)
    verifier.verify_token(token)
    until(lambda: verifier._keys._flight.done)
    with pytest.raises(UnknownKey):
        verifier.verify_token(token)


def test_a_new_key_is_accepted_within_31_seconds(verifier, server, clocks, stranger, signer, token, strange):  # noqa: PLR0917 - fixtures
    """An unknown kid fetches once in 30 seconds."""
    verifier.verify_token(token)
    with pytest.raises(UnknownKey):
        verifier.verify_token(strange)
    server.publish(signer.jwk, stranger.jwk)
    clocks.advance(29)
    with pytest.raises(UnknownKey):
        verifier.verify_token(strange)
    assert len(server.fetches) == 1
    clocks.advance(2)
    assert verifier.verify_token(strange).user_id == "usr_1"
    assert len(server.fetches) == 2


def test_unknown_kids_fetch_once_in_30_seconds(verifier, server, clocks, claims, token):
    """However many they are."""
    verifier.verify_token(token)
    clocks.advance(31)
    for number in range(100):
        with pytest.raises(UnknownKey):
            verifier.verify_token(Signer(f"kid-{number}").sign(claims))
    assert len(server.fetches) == 2


def test_an_outage_makes_an_unknown_kid_unavailable(verifier, server, clocks, token, strange):
    """A user whose token is signed by a new key is not signed out by an outage."""
    verifier.verify_token(token)
    server.status = 500
    clocks.advance(31)
    for _ in range(3):
        with pytest.raises(KeysUnavailable) as caught:
            verifier.verify_token(strange)
    assert caught.value.retry_after == pytest.approx(30)
    assert len(server.fetches) == 2
    assert verifier.verify_token(token).user_id == "usr_1"


@pytest.mark.parametrize(("asked", "pause"), [("120", 120), ("99999", 300), ("0", 30), ("soon", 30)])
def test_retry_after_lengthens_the_pause(verifier, server, clocks, token, asked, pause):  # noqa: PLR0917 - fixtures
    """Within bounds: a maintenance page cannot stop the fetching for an hour."""
    server.status, server.headers = 503, {"Retry-After": asked}
    with pytest.raises(KeysUnavailable) as caught:
        verifier.verify_token(token)
    assert caught.value.retry_after == pytest.approx(pause)
    server.status = 200
    clocks.advance(pause - 1)
    with pytest.raises(KeysUnavailable):
        verifier.verify_token(token)
    assert len(server.fetches) == 1
    clocks.advance(2)
    assert verifier.verify_token(token).user_id == "usr_1"


def test_retry_after_may_be_a_date(verifier, server, token):
    """It is measured against the answer's own date, not against this machine's clock."""
    server.status = 503
    server.headers = {"Date": "Sun, 29 Nov 2026 06:00:00 GMT", "Retry-After": "Sun, 29 Nov 2026 06:02:00 GMT"}
    with pytest.raises(KeysUnavailable) as caught:
        verifier.verify_token(token)
    assert caught.value.retry_after == pytest.approx(120)


def test_a_cold_set_waits_five_seconds_at_most(verifier, server, clocks, token):
    """Then the caller hears that the keys cannot be had, and when to come again."""
    server.gate.clear()
    began = time.perf_counter()
    with pytest.raises(KeysUnavailable, match="no answer yet"):
        verifier.verify_token(token)
    assert 4.5 < time.perf_counter() - began < 20
    server.gate.set()
    until(lambda: verifier._keys._flight.done)
    assert verifier.verify_token(token).user_id == "usr_1"
    assert server.fetches == [JWKS]


def test_a_fetch_that_never_ends_is_given_up(verifier, server, clocks, token):
    """A hang in the resolver, say, must not keep the next fetch from starting."""
    verifier.verify_token(token)
    server.gate.clear()
    clocks.advance(301)
    verifier.verify_token(token)
    settle(server, 2)
    clocks.advance(31)
    verifier.verify_token(token)
    settle(server, 3)


def test_old_keys_serve_a_day_of_outage(verifier, server, clocks, token):
    """After that, a typed error says so, and the first good fetch ends it."""
    verifier.verify_token(token)
    server.status = 500
    clocks.advance(86_399)
    verifier.verify_token(token)
    until(lambda: verifier._keys._flight.done)
    clocks.advance(32)
    with pytest.raises(ServiceUnavailable, match="status 500") as caught:
        verifier.verify_token(token)
    assert caught.value.retry_after is not None
    server.status = 200
    clocks.advance(31)
    assert verifier.verify_token(token).user_id == "usr_1"


def test_the_hard_life_is_a_setting(make, server, clocks, token):
    """``jwks_max_age`` shortens it, even below the soft life."""
    verifier = make(jwks_max_age="1m")
    verifier.verify_token(token)
    server.status = 500
    clocks.advance(61)
    with pytest.raises(KeysUnavailable):
        verifier.verify_token(token)
    with pytest.raises(ConfigurationError, match="jwks_max_age"):
        make(jwks_max_age="soon")


@pytest.mark.parametrize(
    ("control", "life"),
    [
        ("no-store", 30),
        ("max-age=0", 30),
        ("public, max-age=60", 60),
        ("max-age=86400", 300),
        ("", 300),
        ("max-age=junk", 300),
    ],
)
def test_cache_control_shortens_the_soft_life(verifier, server, clocks, token, control, life):  # noqa: PLR0917 - fixtures
    """Not below 30 seconds, and never beyond 300."""
    server.headers = {"Cache-Control": control}
    verifier.verify_token(token)
    clocks.advance(life - 1)
    verifier.verify_token(token)
    assert len(server.fetches) == 1
    clocks.advance(2)
    verifier.verify_token(token)
    settle(server, 2)


def odd_keys(signer, rsa_signer):
    """Return keys that must not verify anything, each under the kid of its kind."""
    small = Signer("small", "RS256")
    return {
        "symmetric": {"kty": "oct", "kid": "symmetric", "k": "c2VjcmV0", "alg": "HS256"},
        "encryption": {**signer.jwk, "kid": "encryption", "use": "enc"},
        "operations": {**signer.jwk, "kid": "operations", "key_ops": ["sign"]},
        "private": {**signer.jwk, "kid": "private", "d": "AA"},
        "other algorithm": {**signer.jwk, "kid": "other algorithm", "alg": "ES256"},
        "pss": {**rsa_signer.jwk, "kid": "pss", "alg": "PS256"},
        "curve": {**signer.jwk, "kid": "curve", "crv": "Ed448"},
        "cut": {**signer.jwk, "kid": "cut", "x": "AAAA"},
        "no x": {"kty": "OKP", "crv": "Ed25519", "kid": "no x"},
        "no e": {"kty": "RSA", "kid": "no e", "n": small.jwk["n"]},
        "number": {**signer.jwk, "kid": 7},
        "empty": {**signer.jwk, "kid": ""},
        "algorithm of odd type": {**signer.jwk, "kid": "algorithm of odd type", "alg": 7},
        "no kid": {name: value for name, value in signer.jwk.items() if name != "kid"},
    }


def test_odd_keys_are_skipped_and_the_good_one_serves(verifier, server, signer, rsa_signer, claims, token):  # noqa: PLR0917 - fixtures
    """One broken entry must not take the service down, and none of them verifies."""
    odd = odd_keys(signer, rsa_signer)
    server.publish("text", None, *odd.values(), signer.jwk)
    assert verifier.verify_token(token).user_id == "usr_1"
    for kid in odd:
        with pytest.raises(UnknownKey):
            verifier.verify_token(signer.sign(claims, headers={"kid": kid}))
    assert server.fetches == [JWKS]


def test_a_short_rsa_key_is_skipped(verifier, server):
    """Below 2,048 bits a signature proves little."""
    short = {"kty": "RSA", "kid": "short", "e": "AQAB", "n": "wF7D" * 32}
    server.publish(short)
    with pytest.raises(KeysUnavailable):
        verifier.verify_token(Signer("short", "RS256").sign({"sub": "x"}))


def test_an_rsa_key_without_alg_verifies_rs256_only(verifier, server, rsa_signer, claims):
    """The strongest guess is still a guess."""
    server.publish({name: value for name, value in rsa_signer.jwk.items() if name != "alg"})
    assert verifier.verify_token(rsa_signer.sign(claims)).user_id == "usr_1"


def test_rs512_verifies_where_the_key_says_so(verifier, server, claims):
    """The three RSA algorithms with PKCS#1 v1.5 are supported."""
    signer = Signer("rsa-5", "RS256")
    signer.algorithm = "RS512"
    server.publish(signer.jwk)
    assert verifier.verify_token(signer.sign(claims)).user_id == "usr_1"


def test_the_first_of_two_keys_with_one_kid_counts(verifier, server, signer, token):
    """So that appending a key cannot replace one."""
    server.publish(signer.jwk, Signer("ed-1").jwk)
    assert verifier.verify_token(token).user_id == "usr_1"


UNUSABLE = [
    b"",
    b"{}",
    b"[]",
    b"<html>",
    b'{"keys": {}}',
    b'{"keys": []}',
    b'{"keys": [{"kty": "oct"}]}',
    b"\xff",
    b'{"keys": ' + b"[" * 100_000,
    b" " * 1_048_576 + b'{"keys": []}',
]


@pytest.mark.parametrize("body", UNUSABLE, ids=range(len(UNUSABLE)))
def test_a_set_without_a_usable_key_is_a_failed_fetch(verifier, server, clocks, token, body):
    """Keys that were there go on serving."""
    verifier.verify_token(token)
    server.documents[JWKS] = body
    clocks.advance(301)
    verifier.verify_token(token)
    until(lambda: verifier._keys._flight.done)
    assert len(server.fetches) == 2
    assert verifier.verify_token(token).user_id == "usr_1"


@pytest.mark.parametrize("status", [301, 302, 307, 404, 429, 500])
def test_other_answers_than_200_fail_and_redirects_are_refused(verifier, server, signer, token, status):
    """Keys come from the settings' URL, wherever it points the client."""
    server.publish(signer.jwk, path="/elsewhere")
    server.status, server.headers = status, {"Location": f"{server.url}/elsewhere"}
    with pytest.raises(KeysUnavailable, match=f"status {status}"):
        verifier.verify_token(token)
    assert server.fetches == [JWKS]


def test_clients_of_one_source_share_their_keys(make, server, token):
    """A client per request costs no fetch per request."""
    for _ in range(10):
        assert make().verify_token(token).user_id == "usr_1"
    assert server.fetches == [JWKS]


def test_a_fetch_that_raises_anything_is_a_failed_fetch(make, token):
    """The callable belongs to the program and may break in any way."""

    def fetch(url, timeout):
        raise LookupError(url, timeout)

    with pytest.raises(KeysUnavailable, match="LookupError"):
        make(fetch=fetch).verify_token(token)


def test_settings_that_cannot_work_are_configuration_errors(make, token):
    """Each caller hears the fix, without a wait for the next fetch."""

    def fetch(url, timeout):
        raise ConfigurationError("Pass a factory.")

    verifier = make(fetch=fetch)
    for _ in range(3):
        with pytest.raises(ConfigurationError, match="Pass a factory"):
            verifier.verify_token(token)


def test_kept_keys_serve_a_cold_start_in_an_outage(make, server, clocks, token):
    """The second process starts while the key server is down, an hour later."""
    store = MemoryStore()
    first = make(jwks_cache=store)
    first.verify_token(token)
    until(lambda: store.load(f"keys@{server.url}{JWKS}") is not None)
    server.status = 500
    clocks.advance(3_600)
    second = restarted(make, store, clocks)
    assert second.verify_token(token).user_id == "usr_1"
    clocks.advance(86_400)
    with pytest.raises(KeysUnavailable):
        restarted(make, store, clocks).verify_token(token)


def restarted(make, store, clocks):
    """Return a verifier that shares nothing with the others but the store."""
    return make(jwks_cache=store, timing=Timing(clocks.wall, partial(clocks.monotonic), time.sleep))


def test_kept_keys_give_way_to_fresh_ones(make, server, clocks, token):
    """A key that was withdrawn since is not trusted because it was kept."""
    store = MemoryStore()
    make(jwks_cache=store).verify_token(token)
    until(lambda: store.load(f"keys@{server.url}{JWKS}") is not None)
    server.publish(Signer("ed-3").jwk)
    clocks.advance(3_600)
    with pytest.raises(UnknownKey):
        restarted(make, store, clocks).verify_token(token)


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: "junk",
        lambda kept: "[]",
        lambda kept: "\ud800",
        lambda kept: json.dumps({**kept, "url": "https://evil.example"}),
        lambda kept: json.dumps({**kept, "v": 2}),
        lambda kept: json.dumps({**kept, "fetched_at": kept["fetched_at"] + 3_600}),
        lambda kept: json.dumps({**kept, "fetched_at": "now"}),
        lambda kept: json.dumps({**kept, "keys": [{"kty": "oct"}]}),
    ],
    ids=range(8),
)
def test_kept_keys_that_cannot_be_trusted_are_ignored(make, server, clocks, token, change):
    """The error is that of the key server, and the cache is written again later."""
    store = MemoryStore()
    make(jwks_cache=store).verify_token(token)
    name = f"keys@{server.url}{JWKS}"
    until(lambda: store.load(name) is not None)
    store.save(name, change(json.loads(store.load(name))))
    server.status = 500
    with pytest.raises(KeysUnavailable, match="status 500"):
        restarted(make, store, clocks).verify_token(token)


def test_a_cache_that_fails_changes_nothing(make, server, token, caplog):
    """Verification goes on, and a warning names the failure."""
    store = FailingStore()
    for method in ("load", "save"):
        store.fail(method, error=RuntimeError())
    verifier = make(jwks_cache=store)
    assert verifier.verify_token(token).user_id == "usr_1"
    until(lambda: "cannot be kept" in caplog.text)
    assert "cannot be loaded" in caplog.text


def test_unchanged_keys_are_kept_once_an_hour(make, server, clocks, token):
    """The store is not written at every fetch."""
    saves = []

    class Counting(MemoryStore):
        def save(self, key, text, *, expires_in=None):
            saves.append(expires_in)
            super().save(key, text)

    verifier = make(jwks_cache=Counting())
    for fetches in range(1, 15):
        verifier.verify_token(token)
        settle(server, fetches)
        until(lambda: verifier._keys._flight.done)
        clocks.advance(301)
    until(lambda: len(saves) == 2)
    assert saves == [86_400, 86_400]
