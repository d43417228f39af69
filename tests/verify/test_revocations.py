"""Revocations by call: their reach, their life, their number, and how other processes see them."""

import asyncio
import json
import timeit
import tracemalloc

import pytest
import trio

from hellojohn._errors import ConfigurationError, StoreUnavailable, TokenRefusal, TokenRevoked
from hellojohn._limits import MOST_REVOCATIONS
from hellojohn.stores import FileStore, RedisStore
from hellojohn.verify._revocation_list import Revocation, RevocationList
from hellojohn.verify._shared_revocations import SharedRevocations
from tests.fake_stores import FailingStore
from tests.verify.conftest import NOW
from tests.verify.test_key_set import until


@pytest.fixture
def token(signer, claims):
    """Return a token that stays good for two days."""
    return signer.sign({**claims, "exp": int(NOW) + 2 * 86_400})


def is_revoked(verifier, token):
    """Return whether a token is refused because it was revoked."""
    try:
        verifier.verify_token(token)
    except TokenRevoked as error:
        return error.reason is TokenRefusal.REVOKED
    return False


@pytest.mark.parametrize(
    "whom", [{"session_id": "ses_1"}, {"user_id": "usr_1"}, {"session_id": "x", "user_id": "usr_1"}], ids=str
)
def test_a_revoked_token_is_refused_at_once(verifier, token, whom):
    """By its session or by its user."""
    assert not is_revoked(verifier, token)
    verifier.revocations.add(**whom)
    assert is_revoked(verifier, token)


def test_others_are_not_concerned(verifier, token):
    """Nor is a user whose id is a session's."""
    verifier.revocations.add(session_id="usr_1", user_id="ses_1")
    verifier.revocations.add(session_id="ses_2", user_id="usr_2")
    assert not is_revoked(verifier, token)


def test_who_signs_in_again_is_not_thrown_out(verifier, signer, clocks, claims, token):
    """A user's revocation reaches the tokens that were issued before it, and no later one."""
    clocks.advance(10)
    verifier.revocations.add(user_id="usr_1")
    clocks.advance(1)
    later = signer.sign({**claims, "iat": int(NOW) + 11, "session_id": "ses_2"})
    assert (is_revoked(verifier, token), is_revoked(verifier, later)) == (True, False)


def test_a_token_without_iat_counts_as_issued_before(verifier, signer, claims):
    """It cannot prove the contrary."""
    token = signer.sign({name: value for name, value in claims.items() if name != "iat"})
    verifier.revocations.add(user_id="usr_1")
    assert is_revoked(verifier, token)


def test_a_revocation_lives_as_long_as_an_access_token(make, clocks, signer, claims):
    """After that no token is left that it could reach."""
    verifier = make(access_token_ttl="1h")
    verifier.revocations.add(session_id="ses_1", user_id="usr_1")
    token = signer.sign({**claims, "exp": int(NOW) + 86_400})
    clocks.advance(3_599)
    assert is_revoked(verifier, token)
    clocks.advance(2)
    assert not is_revoked(verifier, token)
    verifier.revocations.add(session_id="ses_3")
    assert len(verifier._feed.known) == 1


@pytest.mark.parametrize(
    "whom",
    [{}, {"session_id": ""}, {"user_id": 7}, {"user_id": "x" * 257}, {"session_id": b"x"}],
    ids=range(5),
)
def test_a_senseless_id_is_a_configuration_error(verifier, whom):
    """Nothing was revoked, and the program must know."""
    with pytest.raises(ConfigurationError):
        verifier.revocations.add(**whom)


def test_the_oldest_go_first_with_a_warning(clocks, caplog):
    """At most 100,000 are kept."""
    known = RevocationList(lifetime=86_400, clock=clocks.wall)
    known.add(Revocation("session", f"ses_{n}", NOW + n / 1e6) for n in range(MOST_REVOCATIONS // 2))
    known.add(Revocation("user", f"usr_{n}", NOW + 1 + n / 1e6) for n in range(MOST_REVOCATIONS // 2))
    assert (len(known), caplog.text) == (MOST_REVOCATIONS, "")
    known.add([Revocation("session", "ses_last", NOW + 2)])
    assert len(known) <= MOST_REVOCATIONS
    assert "oldest were dropped" in caplog.text
    assert not known.is_revoked("ses_0", "", None, NOW)
    assert known.is_revoked("ses_last", "", None, NOW)
    assert known.is_revoked(None, "usr_0", None, NOW)


def test_a_full_list_costs_32_mib_and_one_look(clocks):
    """A look-up costs about the same in a full list and in a short one."""
    tracemalloc.start()
    known = RevocationList(lifetime=86_400, clock=clocks.wall)
    known.add(Revocation("session", f"ses_{n:026}", NOW + n / 1e6) for n in range(MOST_REVOCATIONS))
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert size < 32 * 2**20
    short = RevocationList(lifetime=86_400, clock=clocks.wall)
    short.add(Revocation("session", f"ses_{n:026}", NOW) for n in range(10))
    assert _cost_of_a_look(known) < 10 * _cost_of_a_look(short)


def _cost_of_a_look(known: RevocationList) -> float:
    return min(timeit.repeat(lambda: known.is_revoked("ses_x", "usr_1", NOW, NOW), number=1_000, repeat=9))


@pytest.fixture
def two(make, clocks, tmp_path):
    """Return two verifiers that share a store, as two processes would."""
    return [make(store=FileStore(tmp_path)) for _ in range(2)]


def test_other_workers_see_a_revocation_within_ten_seconds(two, clocks, token):
    """Without a read of the store per verification."""
    here, there = two
    assert not is_revoked(there, token)
    here.revocations.add(session_id="ses_1")
    assert is_revoked(here, token)
    clocks.advance(4)
    assert not is_revoked(there, token)
    clocks.advance(5.5)
    is_revoked(there, token)
    until(lambda: there._feed._flight.done)
    assert is_revoked(there, token)


def test_a_quiet_worker_waits_for_the_shared_revocations(two, clocks, token):
    """Its first verification after ten seconds without a read knows what happened."""
    here, there = two
    assert not is_revoked(there, token)
    here.revocations.add(user_id="usr_1")
    clocks.advance(11)
    assert is_revoked(there, token)


def test_a_new_worker_knows_what_was_revoked_before(two, token):
    """It reads the store with its first token."""
    here, there = two
    here.revocations.add(session_id="ses_1")
    assert is_revoked(there, token)


def test_verifications_read_the_store_every_five_seconds(make, clocks, tmp_path, token):
    """A thousand verifications in twenty seconds cost five reads."""
    loads = []

    class Counting(FileStore):
        def load(self, key):
            loads.append(key)
            return super().load(key)

    verifier = make(store=Counting(tmp_path))
    for _ in range(1_000):
        verifier.verify_token(token)
        until(lambda: verifier._feed._flight.done)
        clocks.advance(0.02)
    assert 4 <= len(loads) <= 5


@pytest.fixture
def broken(make, monkeypatch):
    """Return a store that fails, and a verifier that shares its revocations through it."""
    store = FailingStore()
    store.fail("load")
    monkeypatch.setattr("hellojohn.verify._verifier.MemoryStore", FileStore)
    return store, make(store=store)


def test_a_store_that_fails_stops_no_verification(broken, token, caplog):
    """The known revocations hold, and a warning says that others may be missing."""
    store, verifier = broken
    assert not is_revoked(verifier, token)
    assert "cannot be read" in caplog.text
    with pytest.raises(StoreUnavailable):
        verifier.revocations.add(session_id="ses_1")
    assert is_revoked(verifier, token)
    assert store.load


def test_the_log_grows_in_parts_and_forgets(clocks, tmp_path):
    """Twelve hundred revocations are three parts, and those of yesterday leave the index."""
    store = FileStore(tmp_path)
    log, reader = (SharedRevocations(store, "@t", lifetime=86_400) for _ in range(2))
    log.append([Revocation("session", f"ses_{n}", NOW) for n in range(1_199)], now=NOW)
    log.append([Revocation("user", "usr_1", NOW + 1)], now=NOW + 1)
    assert len(json.loads(store.load("revocations@t"))["parts"]) == 3
    assert len(reader.read_new()) == 1_200
    assert reader.read_new() == []
    log.append([Revocation("user", "usr_2", NOW + 2)], now=NOW + 2)
    assert Revocation("user", "usr_2", NOW + 2) in reader.read_new()
    late = NOW + 86_403
    log.append([Revocation("user", "usr_3", late)], now=late)
    assert [part[0] for part in json.loads(store.load("revocations@t"))["parts"]] == [4]
    assert reader.read_new() == [Revocation("user", "usr_3", late)]


@pytest.mark.parametrize(
    "junk", ["", "junk", "[]", '{"v": 1}', '{"v": 1, "epoch": "a", "parts": [[1], 7]}', '{"v": 2}']
)
def test_a_damaged_index_is_begun_again(tmp_path, junk):
    """Nothing raises, and the next revocation spreads as usual."""
    store = FileStore(tmp_path)
    log, reader = (SharedRevocations(store, "@t", lifetime=86_400) for _ in range(2))
    log.append([Revocation("session", "ses_1", NOW)], now=NOW)
    reader.read_new()
    store.save("revocations@t", junk)
    assert reader.read_new() == []
    log.append([Revocation("session", "ses_2", NOW)], now=NOW)
    assert reader.read_new() == [Revocation("session", "ses_2", NOW)]


def test_revocations_spread_over_redis(make, clocks, valkey, clients, token):
    """Workers on several hosts share them."""
    import redis  # noqa: PLC0415 - an extra

    here, there = (
        make(store=RedisStore(clients(redis.Redis, unix_socket_path=str(valkey.unix_socket_path))))
        for _ in range(2)
    )
    here.revocations.add(session_id="ses_1")
    assert is_revoked(there, token)


def test_add_is_awaited_on_the_async_client(two, token):
    """Under asyncio and trio; the store is written to on a worker thread."""
    here, there = two
    asyncio.run(here.async_revocations.add(session_id="ses_9"))

    async def main():
        await here.async_revocations.add(session_id="ses_1")
        with pytest.raises(TokenRevoked):
            await there.verify_token_async(token)

    trio.run(main)
    assert len(there._feed.known) == 2


def test_an_async_add_hands_on_the_stores_error(broken):
    """The caller learns that the other workers do not know."""
    with pytest.raises(StoreUnavailable):
        asyncio.run(broken[1].async_revocations.add(session_id="ses_1"))


def test_revocations_hold_without_a_thread_to_read_the_others(two, clocks, token, monkeypatch):
    """The known ones still count, and no call fails."""
    here, _ = two
    here.verify_token(token)
    here.revocations.add(user_id="usr_1")
    clocks.advance(6)
    monkeypatch.setattr("hellojohn.verify._workers.Workers.submit", lambda *_: False)
    assert is_revoked(here, token)


@pytest.mark.parametrize("entry", [["session", 7, 1.0], ["user"], "text", ["other", "x", 1.0]], ids=str)
def test_damaged_entries_of_the_log_are_skipped(tmp_path, entry):
    """The others count."""
    store = FileStore(tmp_path)
    log, reader = (SharedRevocations(store, "@t", lifetime=86_400) for _ in range(2))
    log.append([Revocation("session", "ses_1", NOW)], now=NOW)
    index = json.loads(store.load("revocations@t"))
    name = f"revocations@t#{index['epoch']}.1"
    part = json.loads(store.load(name))
    store.save(name, json.dumps({**part, "revocations": [entry, *part["revocations"]]}))
    assert reader.read_new() == [Revocation("session", "ses_1", NOW)]
