"""RedisStore on a real Valkey server: leases, the fence behind them, and every way a server can fail."""

import functools
import logging
import math
import time

import pytest
import redis
import redis.asyncio
import redis.crc
import valkey as valkey_py
import valkey.asyncio

from hellojohn._errors import ConfigurationError, StoreCorrupt, StoreLocked, StoreUnavailable
from hellojohn.stores import RedisStore
from hellojohn.stores._redis_record import ACQUIRE, RELEASE
from hellojohn.testing import TokenStoreContract
from tests.stores import recipes
from tests.stores.forking import in_forked_child


class TestRedisClient(TokenStoreContract):
    """It keeps the contract with redis-py."""

    lease = recipes.LEASE
    kind, store_in_child = redis.Redis, staticmethod(recipes.with_redis)

    @pytest.fixture(autouse=True)
    def _connect(self, valkey, clients, request) -> None:
        self.socket, self.prefix = str(valkey.unix_socket_path), f"{request.node.nodeid}:"
        self.client = clients(self.kind, unix_socket_path=self.socket)

    def make_store(self) -> RedisStore:
        """Return a store of this test's keys."""
        return RedisStore(self.client, prefix=self.prefix, lease=self.lease)

    def recipe(self):
        """Give each child a client of its own."""
        return functools.partial(self.store_in_child, self.socket, self.prefix)

    def corrupt(self, key: str) -> None:
        """Write what is not UTF-8."""
        self.client.set(f"{self.prefix}{{{key}}}", b"\xff")


class TestValkeyClient(TestRedisClient):
    """It keeps the contract with valkey-py."""

    kind, store_in_child = valkey_py.Valkey, staticmethod(recipes.with_valkey)


@pytest.fixture(params=[redis.Redis, valkey_py.Valkey], ids=["redis-py", "valkey-py"])
def client(request, valkey, clients):
    """Return a client of either library, on an empty server."""
    client = clients(request.param, unix_socket_path=str(valkey.unix_socket_path))
    client.flushall()
    return client


@pytest.fixture
def store(client) -> RedisStore:
    """Return a store with the default settings."""
    return RedisStore(client)


class _Stub:
    """A client that answers with the errors and answers it is given."""

    def __init__(self, *answers: object) -> None:
        self.answers, self.commands = list(answers), []

    def execute_command(self, *args, **options):
        self.commands.append(args)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class _Clock:
    """Stands for the module ``time``."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class _Late:
    """A client whose answers to a request for a lock come late, and what happens before each of them."""

    def __init__(self, client, clock: _Clock, *late: float, meanwhile=lambda: None) -> None:
        self.client, self.clock, self.late, self.meanwhile = client, clock, list(late), meanwhile
        self.asked = 0

    def execute_command(self, *args, **options):
        answer = self.client.execute_command(*args, **options)
        if args[1] == ACQUIRE.encode():
            self.asked += 1
            self.clock.now += self.late.pop(0) if self.late else 0.0
            if self.late:
                self.meanwhile()
        return answer


class _Silent:
    """A client whose every request for a lock is carried out and fails."""

    def __init__(self, client, error: Exception) -> None:
        self.client, self.error = client, error

    def execute_command(self, *args, **options):
        answer = self.client.execute_command(*args, **options)
        if args[1] == ACQUIRE.encode():
            raise self.error
        return answer


class _Counting:
    """A client that counts what it is asked."""

    def __init__(self, client) -> None:
        self.client, self.calls = client, 0

    def execute_command(self, *args, **options):
        self.calls += 1
        return self.client.execute_command(*args, **options)


class _LosesAnswers:
    """A client whose connection breaks after every other command was carried out."""

    def __init__(self, client) -> None:
        self.client, self.broken = client, False

    def execute_command(self, *args, **options):
        answer = self.client.execute_command(*args, **options)
        self.broken = not self.broken
        if self.broken:
            raise redis.exceptions.ConnectionError("lost")
        return answer


# What it is given


@pytest.mark.parametrize("kind", [redis.asyncio.Redis, valkey.asyncio.Valkey])
def test_an_asyncio_client_is_refused_with_the_one_to_use(kind):
    """It would need the event loop that the SDK keeps free."""
    with pytest.raises(ConfigurationError, match="synchronous client"):
        RedisStore(kind())


@pytest.mark.parametrize("client", [None, "redis://localhost"])
def test_what_is_no_client_is_refused(client):
    """An address is not a client."""
    with pytest.raises(ConfigurationError, match="from_url"):
        RedisStore(client)


@pytest.mark.parametrize("lease", [0, -1, math.inf, math.nan, True, "30", None])
def test_a_lease_that_is_none_is_refused(lease):
    """A lock for ever would outlive its killed holder for ever."""
    with pytest.raises(ConfigurationError, match="lease"):
        RedisStore(_Stub(), lease=lease)


def test_a_prefix_that_is_no_text_is_refused():
    """The keys would begin with the word None."""
    with pytest.raises(ConfigurationError, match="prefix"):
        RedisStore(_Stub(), prefix=None)


def test_a_client_that_decodes_answers_serves_as_well(client, clients, valkey):
    """Its setting is the app's business; what does not decode is still told from a crash."""
    decoding = clients(type(client), unix_socket_path=str(valkey.unix_socket_path), decode_responses=True)
    store = RedisStore(decoding)
    store.save("k", "é")
    assert store.load("k") == "é"
    client.set("hellojohn:{k}", b"marker\xff")
    with pytest.raises(StoreCorrupt) as caught:
        store.load("k")
    assert not any("marker" in repr(entry.frame.f_locals) for entry in caught.traceback[1:])


def test_a_client_that_always_decodes_serves_as_well():
    """A wrapper may not know the option that keeps answers as bytes."""
    assert RedisStore(_Stub("text")).load("k") == "text"


def test_its_representation_shows_the_prefix_only():
    """A client's own may show the server's address."""
    store = RedisStore(_Stub(), prefix="app:")
    assert repr(store) == "RedisStore(prefix='app:')"
    assert store.lease == 30.0


def test_a_session_and_its_lock_are_on_one_node_of_a_cluster(store):
    """The fence reads both."""
    for key in ("k", "a}b", "tnt/ada@example.com", "{}", "}", "}ada@example.com", "}}", "%}", ""):
        record = store._record(key)
        names = [record.name, record.lock_name, f"{record.name}:corrupt-1"]
        assert len({redis.crc.key_slot(name.encode()) for name in names}) == 1


def test_keys_stay_distinct_and_ordinary_ones_stay_as_they_are(store):
    """What is escaped for the cluster's sake must not meet a key that looks like it."""
    keys = ("", "%", "%25", "%7D", "%257D", "}", "%}", "}%", "}%7D", "}}")
    assert len({store._record(key).name for key in keys}) == len(keys)
    assert store._record("ada@host:80/é {").name == "hellojohn:{ada@host:80/é {}"


# Expiry


@pytest.mark.parametrize(
    ("expires_in", "left"), [(100.0, 100_000), (9.5, 9_500), (10_000_000.0, 10_000_000_000)]
)
def test_a_record_expires_with_its_session(store, client, expires_in, left):
    """The server forgets what nobody can use any more."""
    store.save("k", "text", expires_in=expires_in)
    assert left - 9_000 < client.pttl("hellojohn:{k}") <= left


def test_a_record_without_an_expiry_stays(store, client):
    """Even when the one before it had one."""
    store.save("k", "text", expires_in=100.0)
    store.save("k", "text")
    assert client.pttl("hellojohn:{k}") == -1


@pytest.mark.parametrize("expires_in", [0.0, -5.0])
def test_a_record_that_is_over_already_goes_at_once(store, expires_in):
    """The server refuses an expiry of zero; the store must not."""
    store.save("k", "old")
    store.save("k", "new", expires_in=expires_in)
    until = time.monotonic() + 5
    while store.load("k") is not None:
        assert time.monotonic() < until


# The fence


def _acts(store: RedisStore) -> list:
    return [lambda: store.save("k", "mine"), lambda: store.delete("k"), lambda: store.quarantine("k")]


@pytest.mark.parametrize("act", range(3), ids=["save", "delete", "quarantine"])
@pytest.mark.parametrize("taken", [True, False], ids=["taken by another", "gone"])
def test_a_lost_lock_lets_nothing_be_written(store, client, act, taken):
    """Another holder has refreshed the session meanwhile: its record must survive."""
    client.set("hellojohn:{k}", "theirs")
    with store.lock("k", 1):
        client.set("hellojohn:{k}:lock", "other") if taken else client.delete("hellojohn:{k}:lock")
        with pytest.raises(StoreLocked, match=r"was lost.*Nothing was written"):
            _acts(store)[act]()
    assert store.load("k") == "theirs"
    assert client.get("hellojohn:{k}:lock") == (b"other" if taken else None)
    client.delete("hellojohn:{k}:lock")


def test_a_lease_that_ran_out_passes_to_the_next_and_fences_the_first(client):
    """A holder that slept through its lease wakes up as a stranger."""
    first, second = RedisStore(client, lease=0.05), RedisStore(client)
    with first.lock("k", 1), second.lock("k", 10):
        second.save("k", "theirs")
        with pytest.raises(StoreLocked):
            first.save("k", "mine")
    assert second.load("k") == "theirs"


def test_a_lease_that_ran_out_may_be_taken_again_by_the_thread_that_lost_it(client):
    """Leaving the two in turn must neither fail nor release another's."""
    store, other = RedisStore(client, lease=0.05), RedisStore(client)
    with store.lock("k", 1):
        with store.lock("k", 10):
            pass
        with other.lock("k", 1), pytest.raises(StoreLocked):
            store.save("k", "mine")
        assert client.exists("hellojohn:{k}:lock") == 0


def test_a_save_outside_any_lock_is_not_fenced(store):
    """Another account's lock, or none, says nothing about this one."""
    with store.lock("other", 1):
        store.save("k", "text")
    assert store.load("k") == "text"


def test_a_lock_is_gone_when_it_is_left(store, client):
    """The next holder need not wait for the lease."""
    with store.lock("k", 1):
        assert 9_000 < client.pttl("hellojohn:{k}:lock") <= 30_000
    assert client.keys("*") == []


@pytest.fixture
def clock(monkeypatch) -> _Clock:
    """Let the store go by a clock that the test moves."""
    clock = _Clock()
    monkeypatch.setattr("hellojohn.stores._redis_lock.time", clock)
    return clock


def test_a_lock_whose_answer_was_late_is_renewed_before_it_is_believed(client, clock):
    """The lease has been running since the server took it: its holder would outlive it unawares."""
    late = _Late(client, clock, 20.0, 5.1, 5.0, meanwhile=lambda: client.pexpire("hellojohn:{k}:lock", 9_000))
    store = RedisStore(late, lease=30.0)
    with store.lock("k", 60):
        assert late.asked == 3
        assert client.pttl("hellojohn:{k}:lock") > 20_000
        store.save("k", "text")
    assert client.exists("hellojohn:{k}:lock") == 0


def test_a_server_that_answers_late_for_the_whole_wait_gives_no_lock(client, clock):
    """And the lock that nobody has is free for others."""
    late = _Late(client, clock, *[6.0] * 5)
    with pytest.raises(StoreLocked, match=r"takes too long.*longer lease"):
        RedisStore(late, lease=30.0).lock("k", 10).__enter__()
    assert (late.asked, client.exists("hellojohn:{k}:lock")) == (2, 0)


def test_a_lock_that_was_lost_while_its_answer_was_late_is_the_other_s(client, clock):
    """A lease may be over before its answer comes."""
    late = _Late(client, clock, 31.0, 0.0, meanwhile=lambda: client.set("hellojohn:{k}:lock", "other"))
    with pytest.raises(StoreLocked, match="Another holder"):
        RedisStore(late, lease=30.0).lock("k", 31.1).__enter__()
    assert client.get("hellojohn:{k}:lock") == b"other"


@pytest.mark.parametrize("error", [redis.exceptions.TimeoutError, redis.exceptions.ConnectionError])
def test_a_lock_that_was_taken_without_an_answer_is_released(client, error):
    """Nobody believes to have it, and it would hold up the session until its lease ends."""
    answers = _Silent(client, error("lost"))
    with pytest.raises(StoreUnavailable, match=error.__name__):
        RedisStore(answers).lock("k", 10).__enter__()
    assert client.exists("hellojohn:{k}:lock") == 0


@pytest.mark.parametrize(
    "error", [redis.exceptions.TimeoutError, redis.exceptions.ConnectionError, ValueError]
)
def test_a_release_of_what_may_have_been_taken_is_tried_once_and_quietly(error, caplog):
    """A server that hangs must not hang its caller for longer than it must."""
    stub = _Stub(*[error("no")] * 5)
    with pytest.raises(StoreUnavailable), caplog.at_level(logging.WARNING, "hellojohn"):
        RedisStore(stub).lock("k", 10).__enter__()
    scripts = [command[1].decode() for command in stub.commands]
    assert (scripts.count(RELEASE), scripts[-1]) == (1, RELEASE)
    assert not caplog.records


def test_a_child_forked_inside_a_lock_does_not_hold_it(store, client):
    """It must neither write behind its parent's fence nor release its parent's lock."""

    def leave_and_write() -> str:
        holder.__exit__(None, None, None)
        return str(client.get("hellojohn:{k}:lock") is not None)

    holder = store.lock("k", 1)
    holder.__enter__()
    assert in_forked_child(lambda: str(store.save("k", "the child's"))).startswith("StoreLocked: ")
    assert in_forked_child(leave_and_write) == "True"
    store.save("k", "text")
    holder.__exit__(None, None, None)
    assert store.load("k") == "text"


# Foreign data


def test_a_key_of_another_type_is_corrupt_and_can_be_quarantine(store, client):
    """Another program uses the same prefix: its list is not lost."""
    client.lpush("hellojohn:{k}", "theirs")
    with pytest.raises(StoreCorrupt, match="another type"):
        store.load("k")
    assert store.quarantine("k") == "hellojohn:{k}:corrupt-1"
    assert client.lrange("hellojohn:{k}:corrupt-1", 0, -1) == [b"theirs"]
    assert store.load("k") is None


def test_texts_quarantine_never_overwrite_each_other(store, client):
    """Each takes the next free number."""
    for text in ("first", "second"):
        store.save("k", text)
        store.quarantine("k")
    assert [client.get(f"hellojohn:{{k}}:corrupt-{n}") for n in (1, 2)] == [b"first", b"second"]


def test_a_text_that_could_not_be_loaded_again_is_not_saved(store):
    """A lone surrogate does not encode; the text does not show."""
    store.save("k", "old")
    with pytest.raises(StoreCorrupt, match="Nothing was saved"):
        store.save("k", "\udc80")
    assert store.load("k") == "old"


# Failing servers


def test_a_lost_connection_is_made_anew(store, client, clients, valkey):
    """A server that dropped idle connections costs nobody an error."""
    store.save("k", "text")
    other = clients(redis.Redis, unix_socket_path=str(valkey.unix_socket_path))
    with store.lock("k", 1):
        other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert store.load("k") == "text"
        other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        store.save("k", "newer")
    assert store.load("k") == "newer"


def test_an_answer_that_was_lost_is_asked_for_again(client):
    """Whatever was sent may have been carried out: doing it twice must do no more."""
    store = RedisStore(_LosesAnswers(client))
    with store.lock("k", 0):
        store.save("k", "text")
        assert store.load("k") == "text"
    assert client.exists("hellojohn:{k}:lock") == 0
    store.delete("k")
    assert client.exists("hellojohn:{k}") == 0


def test_a_broken_server_is_reported_at_once_and_not_as_a_held_lock(own_valkey, clients):
    """Waiting for a lock that nobody can give would hang every caller."""
    client = clients(valkey_py.Valkey, unix_socket_path=str(own_valkey.unix_socket_path))
    store = RedisStore(client)
    store.save("k", "text")
    own_valkey.stop()
    began = time.monotonic()
    for act in [*_acts(store), lambda: store.load("k"), lambda: store.lock("k", 60).__enter__()]:
        with pytest.raises(StoreUnavailable, match=r"ConnectionError\): it cannot be reached"):
            act()
    assert time.monotonic() - began < 30


def test_a_server_that_was_restarted_works_again_and_has_lost_the_lock(own_valkey, clients):
    """The holder learns it at its save, and nothing is written."""
    client = clients(valkey_py.Valkey, unix_socket_path=str(own_valkey.unix_socket_path))
    store = RedisStore(client)
    with store.lock("k", 1):
        own_valkey.terminate()
        own_valkey.start()
        with pytest.raises(StoreLocked, match="server restarted"):
            store.save("k", "text")
    with store.lock("k", 1):
        store.save("k", "text")
    assert store.load("k") == "text"


def test_a_lock_that_cannot_be_released_is_logged(own_valkey, clients, caplog):
    """What was saved under it is saved: the caller must not be told otherwise."""
    client = clients(valkey_py.Valkey, unix_socket_path=str(own_valkey.unix_socket_path))
    store = RedisStore(client)
    with caplog.at_level(logging.WARNING, "hellojohn"), store.lock("k", 1):
        store.save("k", "marker")
        own_valkey.stop()
    assert "stays for up to 30 s" in caplog.text
    assert "marker" not in caplog.text


def test_a_full_server_keeps_the_old_record(store, client):
    """The update fails with what to do; reading and signing out still work."""
    store.save("k", "old")
    client.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable, match="raise maxmemory"):
            store.save("k", "marker" * 1000)
        with pytest.raises(StoreUnavailable, match="raise maxmemory"), store.lock("k", 5):
            pytest.fail("locked")
        assert store.load("k") == "old"
        store.delete("k")
        assert store.load("k") is None
    finally:
        client.config_set("maxmemory", "0")


@pytest.mark.parametrize("library", [redis, valkey_py], ids=["redis-py", "valkey-py"])
@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("ReadOnlyError", "connect to the primary"),
        ("AuthenticationError", "check the client's settings"),
        ("NoPermissionError", "allow GET, SET"),
        ("BusyLoadingError", "loading its data"),
        ("TimeoutError", "did not answer in time"),
        ("MasterDownError", "connect to the primary"),
        ("ClusterCrossSlotError", "cluster client"),
        ("ClusterDownError", r"cluster client.*nodes run"),
        ("MaxConnectionsError", r"raise its max_connections.*BlockingConnectionPool"),
        ("ResponseError", "check the server's log"),
    ],
)
def test_each_failure_names_its_fix_and_repeats_nothing_that_was_sent(library, name, fix):
    """A server's message may quote the command, and the command holds tokens."""
    kind = getattr(library.exceptions, name)
    stub = _Stub(*(kind("unknown command, with args beginning with: 'marker'") for _ in range(2)))
    with pytest.raises(StoreUnavailable, match=fix) as caught:
        RedisStore(stub).save("k", "marker")
    assert name in str(caught.value)
    assert "marker" not in str(caught.value)
    assert caught.value.__context__ is None
    assert not any("marker" in repr(entry.frame.f_locals) for entry in caught.traceback[1:])


@pytest.mark.parametrize("library", [redis, valkey_py], ids=["redis-py", "valkey-py"])
@pytest.mark.parametrize("name", ["MovedError", "AskError"])
def test_a_node_of_a_cluster_names_the_client_to_use(library, name):
    """A plain client does not follow the cluster from node to node."""
    stub = _Stub(getattr(library.exceptions, name)("3999 127.0.0.1:6381"))
    with pytest.raises(StoreUnavailable, match=rf"{name}\): it is a cluster.*redis\.RedisCluster"):
        RedisStore(stub).load("k")


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        ("READONLY You can't write against a read only replica.", "connect to the primary"),
        ("CROSSSLOT Keys in request don't hash to the same slot", "cluster client"),
        ("MOVED 3999 127.0.0.1:6381", "cluster client"),
        ("ASK 3999 127.0.0.1:6381", "cluster client"),
        ("CLUSTERDOWN The cluster is down", "cluster client"),
    ],
)
def test_a_server_s_own_word_for_a_failure_counts_as_its_class_does(words, fix):
    """Not every client has a class for each."""
    stub = _Stub(redis.exceptions.ResponseError(words))
    with pytest.raises(StoreUnavailable, match=fix) as caught:
        RedisStore(stub).save("k", "text")
    assert words not in str(caught.value)


@pytest.mark.parametrize("kind", ["ConnectionPool", "BlockingConnectionPool"])
def test_an_exhausted_pool_is_told_from_a_server_out_of_reach(client, clients, kind):
    """The network is in order, and trying again at once finds the pool as empty."""
    library = redis if isinstance(client, redis.Redis) else valkey_py
    pool = getattr(library, kind)(
        connection_class=client.connection_pool.connection_class,
        path=client.connection_pool.connection_kwargs["path"],
        max_connections=1,
        **({"timeout": 0.01} if kind == "BlockingConnectionPool" else {}),
    )
    busy = pool.get_connection() if library is redis else pool.get_connection("GET")
    counting = _Counting(clients(type(client), connection_pool=pool))
    with pytest.raises(StoreUnavailable, match="raise its max_connections"):
        RedisStore(counting).load("k")
    assert counting.calls == 1
    pool.release(busy)
    assert RedisStore(counting).load("k") is None
    pool.disconnect()


def test_a_timeout_is_not_tried_again():
    """Twice the wait would outlast the deadlines above."""
    stub = _Stub(redis.exceptions.TimeoutError("slow"), b"text")
    with pytest.raises(StoreUnavailable):
        RedisStore(stub).load("k")
    assert len(stub.commands) == 1


# Round trips


def test_a_refresh_takes_four_round_trips(client):
    """The text comes with the lock, and the last save releases it."""
    counting = _Counting(client)
    store = RedisStore(counting)
    store.save("k", "old")
    counting.calls = 0
    with store.lock("k", 5) as value:
        assert value.load() == "old"
        value.save("attempt")
        assert value.load() == "attempt"
        value.save("new", expires_in=60.0, release=True)
        assert client.exists("hellojohn:{k}:lock") == 0
    assert counting.calls == 4
    assert store.load("k") == "new"


def test_a_release_that_was_sent_twice_counts_once(client):
    """The first answer was lost: the second run finds the lock gone and its own text in place."""
    store = RedisStore(_LosesAnswers(client))
    with store.lock("k", 0) as value:
        value.save("text", release=True)
    assert store.load("k") == "text"
    with RedisStore(client).lock("k", 0):
        pass


def test_a_release_after_the_lock_was_lost_writes_nothing(client):
    """Another holder has saved since: its text and its lock stay."""
    store = RedisStore(client)
    with store.lock("k", 1) as value:
        client.set("hellojohn:{k}", "theirs")
        client.set("hellojohn:{k}:lock", "other")
        with pytest.raises(StoreLocked, match="was lost"):
            value.save("mine", release=True)
    assert client.get("hellojohn:{k}") == b"theirs"
    assert client.get("hellojohn:{k}:lock") == b"other"


def test_a_failed_save_keeps_the_lock_until_it_is_left(client):
    """A full server refuses the save that would have released the lock."""
    store = RedisStore(client)
    with store.lock("k", 1) as value:
        client.config_set("maxmemory", "1")
        try:
            with pytest.raises(StoreUnavailable, match="raise maxmemory"):
                value.save("x" * 1000, release=True)
        finally:
            client.config_set("maxmemory", "0")
        assert client.exists("hellojohn:{k}:lock") == 1
    assert client.exists("hellojohn:{k}:lock") == 0


def test_waiters_of_a_lock_ask_less_and_less_often(client, clock):
    """A hundred waiters of a slow refresh must not keep the server busy."""
    counting = _Counting(client)
    with RedisStore(client).lock("k", 1), pytest.raises(StoreLocked):
        RedisStore(counting).lock("k", 10.0).__enter__()
    assert 40 < counting.calls < 120
