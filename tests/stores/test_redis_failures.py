"""The failures of a Redis or Valkey server: each names its cause and its fix, and shows no token."""

import functools
import socket
import time

import pytest
import redis
import valkey as valkey_py

from hellojohn._errors import StoreError, StoreUnavailable
from hellojohn.stores import RedisStore
from tests.stores.fakes import Clock, FakeClient

LIBRARIES = {"redis-py": redis.Redis, "valkey-py": valkey_py.Valkey}
both = pytest.mark.parametrize("kind", LIBRARIES.values(), ids=LIBRARIES)


@pytest.fixture
def address(own_valkey) -> dict[str, str]:
    """Return the address of a server that the test may change."""
    return {"unix_socket_path": str(own_valkey.unix_socket_path)}


@pytest.fixture
def connect(clients):
    """Return a function that makes a client without retries, which take seconds."""
    return functools.partial(clients, retry=None)


@pytest.fixture
def admin(clients, address):
    """Return a client that changes the server."""
    return clients(redis.Redis, **address)


def _acts(store: RedisStore) -> list:
    return [
        lambda: store.save("k", "marker"),
        lambda: store.delete("k"),
        lambda: store.quarantine("k"),
        lambda: store.lock("k", 60).__enter__(),
    ]


# Servers that refuse


@both
def test_a_read_only_replica_names_the_primary(kind, connect, address, admin):
    """The client was given the address of a replica."""
    admin.set("hellojohn:{k}", "text")
    admin.replicaof("127.0.0.1", 1)
    for act in _acts(RedisStore(connect(kind, **address))):
        with pytest.raises(StoreUnavailable, match="read-only replica; connect to the primary"):
            act()
    admin.config_set("replica-serve-stale-data", "no")
    for act in _acts(RedisStore(connect(kind, **address))):
        with pytest.raises(StoreUnavailable, match="replica that has lost its primary"):
            act()


@both
@pytest.mark.parametrize(
    "rights", ["~* +@all -eval", "~* +eval +get", "~other:* +@all"], ids=["EVAL", "SET", "key"]
)
def test_an_acl_that_forbids_something_names_what_to_allow(kind, connect, address, admin, rights):
    """The user may lack scripts, a command in scripts, or the keys."""
    admin.execute_command("ACL", "SETUSER", "app", "on", ">password", *rights.split())
    client = connect(kind, **address, username="app", password="password")
    for act in _acts(RedisStore(client)):
        with pytest.raises(StoreUnavailable, match="allow GET, SET, DEL, EVAL"):
            act()


@both
def test_a_wrong_password_names_the_settings(kind, connect, address, admin):
    """The password is missing or wrong."""
    admin.config_set("requirepass", "password")
    for settings in ({}, {"password": "wrong"}):
        with pytest.raises(StoreUnavailable, match="check the client's settings"):
            RedisStore(connect(kind, **address, **settings)).load("k")


@both
@pytest.mark.parametrize(
    "words", ["unknown command 'EVAL', with args beginning with: 'marker'", "unknown command `eval`"]
)
def test_a_server_without_scripts_says_so(kind, words):
    """Some proxies and imitations do not know EVAL."""
    errors = redis if kind is redis.Redis else valkey_py
    store = RedisStore(FakeClient(*[errors.exceptions.ResponseError(words)] * 4))
    for act in _acts(store)[:3]:
        with pytest.raises(StoreUnavailable, match="does not know EVAL; use a server or proxy that runs Lua"):
            act()


@both
def test_a_full_server_keeps_the_old_record(kind, connect, address, admin):
    """The update fails with its fix; reading and signing out still work."""
    store = RedisStore(connect(kind, **address))
    store.save("k", "old")
    admin.config_set("maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="raise maxmemory"):
        store.save("k", "marker" * 1000)
    with pytest.raises(StoreUnavailable, match="raise maxmemory"), store.lock("k", 5):
        pytest.fail("locked")
    assert store.load("k") == "old"
    store.delete("k")
    assert store.load("k") is None


# Servers that cannot be reached


@both
def test_a_stopped_server_is_reported_at_once(kind, connect, address, own_valkey):
    """It is not taken for a lock that another process holds, which would be waited for."""
    store = RedisStore(connect(kind, **address))
    store.save("k", "text")
    own_valkey.stop()
    began = time.monotonic()
    for act in [*_acts(store), lambda: store.load("k")]:
        with pytest.raises(StoreUnavailable, match="check unix_socket_path"):
            act()
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(("takes", "commands"), [(0.1, 2), (0.6, 1)])
def test_a_client_that_tried_for_long_is_not_asked_again(monkeypatch, takes, commands):
    """It may retry by itself; a connection that was only idle fails at once."""
    clock = Clock()
    monkeypatch.setattr("hellojohn.stores._redis_server.time", clock)

    def lose(command) -> None:
        clock.sleep(takes)
        raise redis.exceptions.ConnectionError("lost")

    client = FakeClient(behind=FakeClient(*[b"text"] * 2), after=lose)
    with pytest.raises(StoreUnavailable):
        RedisStore(client).load("k")
    assert len(client.commands) == commands


@both
@pytest.mark.parametrize(
    ("settings", "fix"),
    [
        ({"unix_socket_path": "{folder}/none"}, "socket is not there; check unix_socket_path"),
        ({"unix_socket_path": "{folder}/file"}, "no server listens on the client's socket"),
        ({"unix_socket_path": "{folder}"}, "no server listens on the client's socket"),
        ({"host": "/var/run/redis/redis.sock"}, "host is a path; give the client unix_socket_path"),
        ({"host": "no-such-host.invalid"}, "host is unknown; check its name"),
        ({"host": "127.0.0.1", "port": 1}, "cannot be reached; check that it runs"),
    ],
    ids=["no socket", "a file", "a folder", "path as host", "host", "port"],
)
def test_a_wrong_address_names_the_mistake(kind, connect, tmp_path, settings, fix):
    """A path was given as a host, or a path that is not a socket."""
    (tmp_path / "file").touch()
    given = {
        name: value.format(folder=tmp_path) if isinstance(value, str) else value
        for name, value in settings.items()
    }
    with pytest.raises(StoreUnavailable, match=fix) as caught:
        RedisStore(connect(kind, **given)).load("k")
    assert caught.value.__context__ is None


def test_a_socket_without_permission_names_it():
    """The server's socket belongs to another user."""
    error = redis.exceptions.ConnectionError("refused")
    error.__cause__ = PermissionError(13, "Permission denied")
    client = FakeClient(error, error)
    client.get_connection_kwargs = lambda: {"path": "/run/redis.sock"}
    with pytest.raises(StoreUnavailable, match=r"may not open the client's socket.*unixsocketperm"):
        RedisStore(client).load("k")


@both
def test_a_server_that_does_not_answer_is_asked_once(kind, connect):
    """Twice the wait would outlast the deadlines of the SDK."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        counting = FakeClient(behind=connect(kind, port=silent.getsockname()[1], socket_timeout=0.05))
        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            RedisStore(counting).load("k")
    assert len(counting.commands) == 1


@both
@pytest.mark.parametrize("pool_kind", ["ConnectionPool", "BlockingConnectionPool"])
def test_an_exhausted_pool_names_its_setting(kind, connect, address, pool_kind):
    """The network is in order, and trying again at once finds the pool as empty."""
    library = redis if kind is redis.Redis else valkey_py
    client = connect(kind, **address)
    pool = getattr(library, pool_kind)(
        connection_class=client.connection_pool.connection_class,
        path=client.connection_pool.connection_kwargs["path"],
        max_connections=1,
        **({"timeout": 0.01} if pool_kind == "BlockingConnectionPool" else {}),
    )
    busy = pool.get_connection() if library is redis else pool.get_connection("GET")
    counting = FakeClient(behind=connect(kind, connection_pool=pool))
    with pytest.raises(StoreUnavailable, match="raise its max_connections"):
        RedisStore(counting).load("k")
    assert len(counting.commands) == 1
    pool.release(busy)
    assert RedisStore(counting).load("k") is None
    pool.disconnect()


# Errors by name

_ERRORS = {
    "ReadOnlyError": "connect to the primary",
    "AuthenticationError": "check the client's settings",
    "NoPermissionError": "allow GET, SET",
    "BusyLoadingError": "loading its data",
    "TimeoutError": "did not answer in time",
    "MasterDownError": "connect to the primary",
    "ClusterCrossSlotError": "cluster client",
    "ClusterDownError": r"cluster client.*nodes run",
    "MaxConnectionsError": r"raise its max_connections.*BlockingConnectionPool",
    "ResponseError": "check the server's log",
}


@both
@pytest.mark.parametrize("name", _ERRORS)
def test_an_error_repeats_nothing_that_was_sent(kind, name):
    """A server's message may quote the command, and the command holds tokens."""
    library = redis if kind is redis.Redis else valkey_py
    error = getattr(library.exceptions, name)("something else: 'marker'")
    with pytest.raises(StoreUnavailable, match=_ERRORS[name]) as caught:
        RedisStore(FakeClient(error, error)).save("k", "marker")
    assert name in str(caught.value)
    assert "marker" not in str(caught.value)
    assert caught.value.__context__ is None
    assert not any("marker" in repr(entry.frame.f_locals) for entry in caught.traceback[1:])


@both
@pytest.mark.parametrize("name", ["MovedError", "AskError"])
def test_a_node_of_a_cluster_names_the_client_to_use(kind, name):
    """A plain client does not follow the cluster from node to node."""
    library = redis if kind is redis.Redis else valkey_py
    client = FakeClient(getattr(library.exceptions, name)("3999 127.0.0.1:6381"))
    with pytest.raises(StoreUnavailable, match=rf"{name}\): it is a cluster.*redis\.RedisCluster"):
        RedisStore(client).load("k")


_OLD_SCRIPT = "Error running script (call to f_0a1b): @user_script:5: @user_script: 5: "


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        ("READONLY You can't write against a read only replica.", "connect to the primary"),
        (f"{_OLD_SCRIPT}-READONLY You can't write against a read only replica.", "connect to the primary"),
        (f"{_OLD_SCRIPT}-OOM command not allowed when used memory > 'maxmemory'.", "raise maxmemory"),
        (f"{_OLD_SCRIPT}-WRONGTYPE Operation against a key", "another type"),
        ("CROSSSLOT Keys in request don't hash to the same slot", "cluster client"),
        ("MOVED 3999 127.0.0.1:6381", "cluster client"),
        ("ASK 3999 127.0.0.1:6381", "cluster client"),
        ("CLUSTERDOWN The cluster is down", "cluster client"),
    ],
)
def test_a_message_counts_where_its_class_says_less(words, fix):
    """Not every client has a class for each failure, and old servers wrap the errors of scripts."""
    client = FakeClient(redis.exceptions.ResponseError(words))
    with pytest.raises(StoreError, match=fix) as caught:
        RedisStore(client).save("k", "text")
    assert words not in str(caught.value)
