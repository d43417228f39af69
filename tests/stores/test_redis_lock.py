"""The locks of RedisStore on a real Valkey server: leases, the fence behind them, and round trips."""

import logging

import pytest
import redis
import valkey as valkey_py

from hellojohn._errors import StoreLocked, StoreUnavailable
from hellojohn.stores import RedisStore
from hellojohn.stores._redis_record import ACQUIRE, RELEASE
from tests.stores.fakes import Clock, FakeClient
from tests.stores.forking import in_forked_child


@pytest.fixture
def client(valkey, clients):
    """Return a client of an empty server."""
    client = clients(redis.Redis, unix_socket_path=str(valkey.unix_socket_path))
    client.flushall()
    return client


@pytest.fixture
def store(client) -> RedisStore:
    """Return a store with the default settings."""
    return RedisStore(client)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    """Let the locks go by a clock that the test moves."""
    clock = Clock()
    monkeypatch.setattr("hellojohn.stores._redis_lock.time", clock)
    return clock


def _losing_answers(client) -> FakeClient:
    """Return a client whose connection breaks after every other command was carried out."""

    def lose(command) -> None:
        if len(answers.commands) % 2:
            raise redis.exceptions.ConnectionError("lost")

    answers = FakeClient(behind=client, after=lose)
    return answers


# Round trips


def test_a_refresh_takes_four_round_trips(client):
    """The text comes with the lock, and the last save releases it."""
    counting = FakeClient(behind=client)
    store = RedisStore(counting)
    store.save("k", "old")
    counting.commands.clear()
    with store.lock("k", 5) as value:
        assert value.load() == "old"
        value.save("attempt")
        assert value.load() == "attempt"
        value.save("new", expires_in=60.0, release=True)
        assert client.exists("hellojohn:{k}:lock") == 0
    assert len(counting.commands) == 4
    assert store.load("k") == "new"


def test_a_lock_without_a_release_takes_one_more(client):
    """A holder that saves nothing leaves the lock at the end."""
    counting = FakeClient(behind=client)
    with RedisStore(counting).lock("k", 5) as value:
        assert value.load() is None
    assert len(counting.commands) == 2
    assert client.keys("*") == []


def test_a_load_after_a_save_reads_the_server(store):
    """The text that came with the lock is not current any more, even if it was never loaded."""
    store.save("k", "old")
    with store.lock("k", 5) as value:
        value.save("new")
        assert value.load() == "new"


def test_a_save_with_a_release_may_run_twice(client):
    """The first answer was lost: the second run finds the lock gone and its text in place."""
    with RedisStore(_losing_answers(client)).lock("k", 0) as value:
        value.save("text", release=True)
    assert client.get("hellojohn:{k}") == b"text"
    with RedisStore(client).lock("k", 0):
        pass


def test_every_command_may_run_twice(client):
    """A command whose answer was lost may have been carried out; a second run changes nothing more."""
    store = RedisStore(_losing_answers(client))
    with store.lock("k", 0) as value:
        store.save("k", "text")
        value.save("text")
        assert store.load("k") == value.load() == "text"
    assert client.exists("hellojohn:{k}:lock") == 0
    store.delete("k")
    assert client.exists("hellojohn:{k}") == 0


def test_waiters_ask_less_and_less_often(client, clock):
    """A hundred waiters of a slow refresh must not keep the server busy."""
    counting = FakeClient(behind=client)
    with RedisStore(client).lock("k", 1), pytest.raises(StoreLocked):
        RedisStore(counting).lock("k", 10.0).__enter__()
    assert 40 < len(counting.commands) < 80


def test_waiters_do_not_ask_in_step(client, clock):
    """Waiters that began together spread out."""
    times = []
    for _ in range(2):
        asked = []
        waiter = FakeClient(behind=client, after=lambda command, asked=asked: asked.append(clock.now))
        began = clock.now
        with RedisStore(client).lock("k", 1), pytest.raises(StoreLocked):
            RedisStore(waiter).lock("k", 2.0).__enter__()
        times.append([moment - began for moment in asked[1:-1]])
    assert not {*times[0]} & {*times[1]}


# The fence


@pytest.mark.parametrize("act", ["save", "delete", "quarantine", "save the value", "release"])
@pytest.mark.parametrize("taken", [True, False], ids=["taken by another", "gone"])
def test_a_lost_lock_lets_nothing_be_written(store, client, act, taken):
    """Another holder has refreshed the session since, and its record must stay."""
    client.set("hellojohn:{k}", "theirs")
    with store.lock("k", 1) as value:
        client.set("hellojohn:{k}:lock", "other") if taken else client.delete("hellojohn:{k}:lock")
        acts = {
            "save": lambda: store.save("k", "mine"),
            "delete": lambda: store.delete("k"),
            "quarantine": lambda: store.quarantine("k"),
            "save the value": lambda: value.save("mine"),
            "release": lambda: value.save("mine", release=True),
        }
        with pytest.raises(StoreLocked, match=r"was lost.*Nothing was written"):
            acts[act]()
    assert store.load("k") == "theirs"
    assert client.get("hellojohn:{k}:lock") == (b"other" if taken else None)


def test_a_lease_that_ran_out_passes_to_the_next_holder(client):
    """The first holder was suspended, and saves nothing when it wakes up."""
    first, second = RedisStore(client, lease=0.05), RedisStore(client)
    with first.lock("k", 1) as value, second.lock("k", 10):
        second.save("k", "theirs")
        for save in (lambda: first.save("k", "mine"), lambda: value.save("mine")):
            with pytest.raises(StoreLocked):
                save()
    assert second.load("k") == "theirs"


def test_a_thread_may_take_a_lost_lease_again(client):
    """Leaving the two locks in turn neither fails nor releases that of another holder."""
    store, other = RedisStore(client, lease=0.05), RedisStore(client)
    with store.lock("k", 1):
        with store.lock("k", 10):
            pass
        with other.lock("k", 1), pytest.raises(StoreLocked):
            store.save("k", "mine")
        assert client.exists("hellojohn:{k}:lock") == 0


def test_a_save_without_the_lock_is_not_fenced(store):
    """The lock of another account says nothing about this one."""
    with store.lock("other", 1):
        store.save("k", "text")
    assert store.load("k") == "text"


def test_a_released_lock_saves_nothing_more(store):
    """The next holder may have saved since."""
    with store.lock("k", 1) as value:
        value.save("text", release=True)
        for save in (lambda: value.save("late"), lambda: store.save("k", "late")):
            with pytest.raises(StoreLocked):
                save()
    assert store.load("k") == "text"


def test_a_lock_is_gone_when_it_is_left(store, client):
    """The next holder does not wait for the lease."""
    with store.lock("k", 1):
        assert 9_000 < client.pttl("hellojohn:{k}:lock") <= 30_000
    assert client.keys("*") == []


def test_a_child_forked_inside_a_lock_does_not_hold_it(store, client):
    """It neither writes behind its parent's fence nor releases its parent's lock."""

    def leave_and_look() -> str:
        holder.__exit__(None, None, None)
        return str(client.get("hellojohn:{k}:lock") is not None)

    holder = store.lock("k", 1)
    value = holder.__enter__()
    assert in_forked_child(lambda: str(store.save("k", "the child's"))).startswith("StoreLocked: ")
    assert in_forked_child(lambda: str(value.save("the child's"))).startswith("StoreLocked: ")
    assert in_forked_child(leave_and_look) == "True"
    value.save("text")
    holder.__exit__(None, None, None)
    assert store.load("k") == "text"


# Late and lost answers


def _late(client, clock: Clock, *delays: float, between=lambda: None) -> FakeClient:
    """Return a client whose answers to requests for a lock come late; ``between`` is called between them."""
    left = list(delays)

    def delay(command) -> None:
        if command[1] == ACQUIRE.encode():
            clock.now += left.pop(0) if left else 0.0
            if left:
                between()

    return FakeClient(behind=client, after=delay)


def _asked(client: FakeClient) -> int:
    return sum(command[1] == ACQUIRE.encode() for command in client.commands)


def test_a_lock_whose_answer_was_late_is_renewed(client, clock):
    """The lease runs from the moment when the server set it, so its holder could outlive it."""
    late = _late(client, clock, 20.0, 5.1, 5.0, between=lambda: client.pexpire("hellojohn:{k}:lock", 9_000))
    store = RedisStore(late, lease=30.0)
    with store.lock("k", 60):
        assert _asked(late) == 3
        assert client.pttl("hellojohn:{k}:lock") > 20_000
        store.save("k", "text")
    assert client.exists("hellojohn:{k}:lock") == 0


def test_the_text_comes_with_the_last_answer(client, clock):
    """Another process may have saved while the first answer was late."""
    late = _late(client, clock, 20.0, 0.0, between=lambda: client.set("hellojohn:{k}", "newer"))
    client.set("hellojohn:{k}", "older")
    with RedisStore(late, lease=30.0).lock("k", 60) as value:
        assert value.load() == "newer"


def test_a_server_that_answers_late_gives_no_lock(client, clock):
    """The lock that it set is released for others."""
    late = _late(client, clock, *[6.0] * 5)
    with pytest.raises(StoreLocked, match=r"takes too long.*longer lease"):
        RedisStore(late, lease=30.0).lock("k", 10).__enter__()
    assert (_asked(late), client.exists("hellojohn:{k}:lock")) == (2, 0)


def test_a_lock_may_be_lost_before_its_answer_comes(client, clock):
    """Then it belongs to another holder."""
    late = _late(client, clock, 31.0, 0.0, between=lambda: client.set("hellojohn:{k}:lock", "other"))
    with pytest.raises(StoreLocked, match="Another holder"):
        RedisStore(late, lease=30.0).lock("k", 31.1).__enter__()
    assert client.get("hellojohn:{k}:lock") == b"other"


@pytest.mark.parametrize("error", [redis.exceptions.TimeoutError, redis.exceptions.ConnectionError])
def test_a_lock_that_was_set_without_an_answer_is_released(client, error):
    """It would hold up the session until its lease ends."""

    def lose(command) -> None:
        if command[1] == ACQUIRE.encode():
            raise error("lost")

    with pytest.raises(StoreUnavailable, match=error.__name__):
        RedisStore(FakeClient(behind=client, after=lose)).lock("k", 10).__enter__()
    assert client.exists("hellojohn:{k}:lock") == 0


@pytest.mark.parametrize(
    "error", [redis.exceptions.TimeoutError, redis.exceptions.ConnectionError, ValueError]
)
def test_such_a_release_is_tried_once_and_not_logged(error, caplog):
    """A server that hangs must not hang its caller for longer."""
    failing = FakeClient(*[error("no")] * 5)
    with pytest.raises(StoreUnavailable), caplog.at_level(logging.WARNING, "hellojohn"):
        RedisStore(failing).lock("k", 10).__enter__()
    scripts = [command[1].decode() for command in failing.commands]
    assert (scripts.count(RELEASE), scripts[-1]) == (1, RELEASE)
    assert not caplog.records


# Failing servers


def test_a_lost_connection_is_made_again(store, client, clients, valkey):
    """A server that dropped idle connections causes no error."""
    store.save("k", "text")
    other = clients(redis.Redis, unix_socket_path=str(valkey.unix_socket_path))
    with store.lock("k", 1) as value:
        for _ in range(2):
            other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert store.load("k") == "text"
        other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        value.save("newer", release=True)
    assert store.load("k") == "newer"


def test_a_restarted_server_has_lost_the_lock(own_valkey, clients):
    """The holder learns it when it saves, and nothing is written."""
    client = clients(valkey_py.Valkey, unix_socket_path=str(own_valkey.unix_socket_path))
    store = RedisStore(client)
    with store.lock("k", 1) as value:
        own_valkey.terminate()
        own_valkey.start()
        for save in (lambda: store.save("k", "text"), lambda: value.save("text", release=True)):
            with pytest.raises(StoreLocked, match="server restarted"):
                save()
    with store.lock("k", 1):
        store.save("k", "text")
    assert store.load("k") == "text"


def test_a_lock_that_cannot_be_released_is_logged(own_valkey, clients, caplog):
    """The work under it is done, so its caller gets no error."""
    client = clients(valkey_py.Valkey, unix_socket_path=str(own_valkey.unix_socket_path))
    store = RedisStore(client)
    with caplog.at_level(logging.WARNING, "hellojohn"), store.lock("k", 1):
        store.save("k", "marker")
        own_valkey.stop()
    assert "stays for up to 30 s" in caplog.text
    assert "marker" not in caplog.text


def test_a_failed_save_keeps_the_lock_until_it_is_left(store, client):
    """A full server refuses the save that would have released the lock."""
    with store.lock("k", 1) as value:
        client.config_set("maxmemory", "1")
        try:
            with pytest.raises(StoreUnavailable, match="raise maxmemory"):
                value.save("x" * 1000, release=True)
        finally:
            client.config_set("maxmemory", "0")
        assert client.exists("hellojohn:{k}:lock") == 1
    assert client.exists("hellojohn:{k}:lock") == 0
