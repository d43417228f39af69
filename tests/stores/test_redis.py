"""RedisStore on a real Valkey server: its arguments, its keys, expiry and foreign data."""

import functools
import math
import time

import pytest
import redis
import redis.asyncio
import redis.crc
import valkey as valkey_py
import valkey.asyncio

from hellojohn import HelloJohn
from hellojohn._errors import ConfigurationError, StoreCorrupt
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.stores import RedisStore
from hellojohn.testing import TokenStoreContract
from tests.stores import recipes
from tests.stores.fakes import FakeClient


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
        """Make a client in each child."""
        return functools.partial(self.store_in_child, self.socket, self.prefix)

    def corrupt(self, key: str) -> None:
        """Write bytes that are not UTF-8."""
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


# Arguments


@pytest.mark.parametrize("kind", [redis.asyncio.Redis, valkey.asyncio.Valkey])
def test_an_asyncio_client_is_refused(kind):
    """It would need the event loop that the SDK keeps free."""
    with pytest.raises(ConfigurationError, match="synchronous client"):
        RedisStore(kind())


@pytest.mark.parametrize("client", [None, "redis://localhost"])
def test_an_address_is_not_a_client(client):
    """The message shows how to make one."""
    with pytest.raises(ConfigurationError, match="from_url"):
        RedisStore(client)


_HUGE = [pytest.param(10**400, id="beyond floats"), pytest.param(10**5000, id="beyond str"), 1e16]


@pytest.mark.parametrize("lease", [0, -1, math.inf, math.nan, True, "30", None, *_HUGE])
def test_a_lease_that_is_not_a_time_is_refused(lease):
    """An endless lock would outlive its killed holder."""
    with pytest.raises(ConfigurationError, match="lease"):
        RedisStore(FakeClient(), lease=lease)


def test_a_prefix_must_be_a_text():
    """The keys would begin with the word None."""
    with pytest.raises(ConfigurationError, match="prefix"):
        RedisStore(FakeClient(), prefix=None)


@pytest.mark.parametrize("prefix", ["{}:", "{}", "app:{}:", "{}{app}:", "}{}:"])
def test_a_prefix_that_parts_a_record_from_its_lock_is_refused(prefix):
    """In a cluster, only the first braces of a key count, and empty ones stand for the whole key."""
    with pytest.raises(ConfigurationError, match=r"prefix=.*first braces cannot be empty"):
        RedisStore(FakeClient(), prefix=prefix)
    name = f"{prefix}{{k}}"
    assert redis.crc.key_slot(name.encode()) != redis.crc.key_slot(f"{name}:lock".encode())


@pytest.mark.parametrize("prefix", ["", "{", "}", "}{", "{app", "{app}:", "{app}{}:", "{{}", "a{:}b", "{ }"])
def test_a_prefix_may_have_other_braces(prefix):
    """The record and its lock are on one node whatever else the prefix holds."""
    for key in ("k", "", "}", "{}"):
        record = RedisStore(FakeClient(), prefix=prefix)._record(key)
        slots = {redis.crc.key_slot(name.encode()) for name in (record.name, record.lock_name)}
        assert len(slots) == 1


def test_a_client_that_decodes_answers_serves_as_well(client, clients, valkey):
    """That setting is the app's choice; corrupt data is still recognised."""
    decoding = clients(type(client), unix_socket_path=str(valkey.unix_socket_path), decode_responses=True)
    store = RedisStore(decoding)
    store.save("k", "é")
    assert store.load("k") == "é"
    with store.lock("k", 1) as value:
        assert value.load() == "é"
    client.set("hellojohn:{k}", b"marker\xff")
    with pytest.raises(StoreCorrupt) as caught:
        store.load("k")
    assert not any("marker" in repr(entry.frame.f_locals) for entry in caught.traceback[1:])


def test_a_client_that_always_decodes_serves_as_well():
    """A wrapper may not know the option that keeps answers as bytes."""
    assert RedisStore(FakeClient("text")).load("k") == "text"
    with RedisStore(FakeClient([1, "text"], 1)).lock("k", 1) as value:
        assert value.load() == "text"


def test_its_representation_shows_the_prefix_only():
    """That of the client may show the server's address."""
    store = RedisStore(FakeClient(), prefix="app:")
    assert repr(store) == "RedisStore(prefix='app:')"
    assert store.lease == 30.0


# Keys


def test_a_record_and_its_lock_are_on_one_cluster_node(store):
    """The scripts use both."""
    for key in ("k", "a}b", "tnt/ada@example.com", "{}", "}", "}ada@example.com", "}}", "%}", ""):
        record = store._record(key)
        names = [record.name, record.lock_name, f"{record.name}:corrupt-1"]
        assert len({redis.crc.key_slot(name.encode()) for name in names}) == 1


def test_keys_stay_distinct_and_readable(store):
    """A key that is escaped for the cluster must not meet a key that looks like it."""
    keys = ("", "%", "%25", "%7D", "%257D", "}", "%}", "}%", "}%7D", "}}")
    assert len({store._record(key).name for key in keys}) == len(keys)
    assert store._record("ada@host:80/é {").name == "hellojohn:{ada@host:80/é {}"


# Expiry


def _days_left(client) -> list[int]:
    """Return the days that the server keeps each of its keys."""
    return [round(client.pttl(key) / 86_400_000) for key in client.scan_iter()]


@pytest.mark.parametrize("way", ["store", "value"])
@pytest.mark.parametrize(
    ("expires_in", "left"), [(100.0, 100_000), (9.5, 9_500), (10_000_000.0, 10_000_000_000)]
)
def test_a_record_expires_with_its_session(store, client, expires_in, left, way):
    """The server forgets a session that is over."""
    if way == "store":
        store.save("k", "text", expires_in=expires_in)
    else:
        with store.lock("k", 1) as value:
            value.save("text", expires_in=expires_in, release=True)
    assert left - 9_000 < client.pttl("hellojohn:{k}") <= left


def test_a_record_without_an_expiry_stays(store, client):
    """That is so even when the one before it had an expiry."""
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


@pytest.mark.parametrize(
    ("options", "days"),
    [
        ({}, 401),
        ({"remember_me": True}, 31),
        ({"remember_me": False}, 2),
        ({"session_options": {"duration": "90d"}}, 91),
    ],
    ids=["not asked", "remembered", "for a day", "own duration"],
)
@pytest.mark.parametrize("shape", ["flat", "nested"])
def test_every_session_has_a_life_in_the_server(client, store, shape, options, days):
    """Also the one whose end the service does not name: otherwise its record would stay for ever."""
    with (
        Emulator(answers=shape) as emulator,
        HelloJohn(
            tenant_id=emulator.tenant_id,
            publishable_key=emulator.publishable_key,
            api_url=emulator.url,
            store=store,
        ) as hj,
    ):
        emulator.configure(session_duration="400d")
        session = hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, **options)
        assert (session.expires_at is None) is (shape == "flat")
        assert _days_left(client) == [days]
        hj.auth.refresh()
        assert _days_left(client) == [days]


# Foreign data


def test_a_value_of_another_type_is_quarantined(store, client):
    """Another program uses the same prefix: its list is not lost, with the lock and without."""
    client.lpush("hellojohn:{k}", "theirs")
    with store.lock("k", 1) as value:
        for load in (lambda: store.load("k"), value.load, value.load):
            with pytest.raises(StoreCorrupt, match="another type"):
                load()
        assert store.quarantine("k") == "hellojohn:{k}:corrupt-1"
        assert value.load() is None
    assert client.lrange("hellojohn:{k}:corrupt-1", 0, -1) == [b"theirs"]
    assert store.load("k") is None


def test_quarantined_records_are_all_kept(store, client):
    """Each is renamed to the next free number, and keeps its expiry."""
    for text in ("first", "second"):
        store.save("k", text, expires_in=100.0)
        store.quarantine("k")
    assert [client.get(f"hellojohn:{{k}}:corrupt-{n}") for n in (1, 2)] == [b"first", b"second"]
    assert client.pttl("hellojohn:{k}:corrupt-2") > 0


def test_a_text_that_could_not_be_loaded_is_not_saved(store):
    """A lone surrogate does not encode; the text does not show."""
    store.save("k", "old")
    with store.lock("k", 1) as value:
        for save in (lambda: store.save("k", "\udc80"), lambda: value.save("\udc80")):
            with pytest.raises(StoreCorrupt, match="Nothing was saved"):
                save()
    assert store.load("k") == "old"
