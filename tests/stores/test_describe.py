"""``describe``: the facts about each store for the doctor, without a secret."""

import pytest
import redis
import valkey as valkey_py

from hellojohn._errors import StoreUnavailable
from hellojohn.stores import EncryptedStore, FileStore, KeyringStore, MemoryStore, RedisStore
from hellojohn.stores._redis_facts import server_facts
from tests.stores.backends import PLAIN, vault
from tests.stores.fakes import FakeClient
from tests.stores.recipes import FourMethods

KEY = b"k" * 32


def test_memory_says_that_sessions_end_with_the_process():
    """It is the reason why users are signed out at each restart."""
    facts = MemoryStore().describe()
    assert facts["where"] == "this process's memory"
    assert "threads" in facts["lock"]
    assert "Sessions end with this process" in facts["advice"]


# Files


def test_files_show_their_real_permissions(tmp_path):
    """They come from the disk."""
    store = FileStore(tmp_path / "sessions")
    assert store.describe()["permissions"] == "not created yet"
    store.path.mkdir(0o700)
    assert store.describe()["permissions"] == "folder 0700, files none yet"
    store.save("k", "text")
    assert store.describe() == {
        "where": str(tmp_path / "sessions"),
        "permissions": "folder 0700, files 0600",
        "lock": "a file beside each session; the system frees it when its holder dies",
        "encrypted": "no",
    }
    store._file("k").chmod(0o640)
    store._file("l").touch(0o600)
    store.path.chmod(0o755)
    assert store.describe()["permissions"] == "folder 0755, files 0600, 0640"


def test_a_folder_that_cannot_be_read_is_described(tmp_path):
    """The doctor reports the rest."""
    (tmp_path / "file").touch()
    assert FileStore(tmp_path / "file").describe()["permissions"] == "unknown (Not a directory)"


def test_a_file_that_is_removed_meanwhile_is_skipped(tmp_path, monkeypatch):
    """Another process may sign out between two looks at the folder."""
    store = FileStore(tmp_path)
    monkeypatch.setattr("pathlib.Path.iterdir", lambda folder: iter([folder / "gone"]))
    assert store.describe()["permissions"].endswith("files none yet")


def test_on_windows_the_profile_protects_files(tmp_path, monkeypatch):
    """Modes mean nothing there."""
    monkeypatch.setattr("sys.platform", "win32")
    assert "access lists" in FileStore(tmp_path).describe()["permissions"]


# The keyring


def test_a_keyring_shows_its_backend(use, home):
    """The user can look there, and the support knows which keyring it is."""
    use(vault())
    locks = home / ".local" / "state" / "hellojohn" / "locks"
    assert KeyringStore("app").describe() == {
        "where": "the system keyring, app 'app'",
        "backend": "keyring.backends.SecretService.Keyring",
        "lock": f"a file in {locks}; the system frees it when its holder dies",
        "encrypted": "by the keyring",
    }


def test_a_plaintext_keyring_is_advised_against(use):
    """The doctor repeats it for users who have opted out."""
    use(vault(PLAIN))
    facts = KeyringStore("app", allow_insecure=True).describe()
    assert facts["encrypted"] == "no"
    assert "install a secure one" in facts["advice"]


def test_without_a_keyring_it_says_what_to_install(use):
    """The message of the store is the advice."""
    use(vault(PLAIN))
    with pytest.raises(StoreUnavailable, match="install"):
        KeyringStore("app").describe()


# Redis


@pytest.fixture(params=[redis.Redis, valkey_py.Valkey], ids=["redis-py", "valkey-py"])
def client(request, own_valkey, clients):
    """Return a client of either library, on a server that the test may change."""
    return clients(request.param, unix_socket_path=str(own_valkey.unix_socket_path), db=3)


def test_a_server_shows_its_version_place_and_persistence(client, own_valkey):
    """Each setting that can lose sessions is there, with advice."""
    store = RedisStore(client, prefix="app:", lease=12)
    client.config_set("save", "3600 1")
    client.config_set("maxmemory-policy", "noeviction")
    facts = store.describe()
    assert "since its last snapshot" in facts.pop("advice")
    assert facts == {
        "where": f"{own_valkey.unix_socket_path}, database 3, keys that begin with 'app:'",
        "server": f"Valkey {client.info()['valkey_version']}",
        "persistence": "snapshots (3600 1)",
        "eviction": "noeviction, maxmemory 0",
        "lock": "a lease of 12 s in the server",
        "encrypted": "no",
    }
    client.config_set("appendonly", "yes")
    facts = store.describe()
    assert facts["persistence"] == "append-only file and snapshots (3600 1)"
    assert "set its appendfsync to always" in facts["advice"]
    client.config_set("appendfsync", "always")
    assert "advice" not in store.describe()


def test_a_server_that_may_lose_sessions_gets_advice(client):
    """A policy matters once there is a limit; persistence matters at once."""
    store = RedisStore(client)
    client.config_set("save", "")
    client.config_set("maxmemory-policy", "volatile-lru")
    advice = store.describe()["advice"]
    assert "set its appendonly to yes" in advice
    assert "noeviction" not in advice
    client.config_set("maxmemory", "100mb")
    assert "set its maxmemory-policy to noeviction" in store.describe()["advice"]


@pytest.mark.parametrize(
    ("info", "save", "expected"),
    [
        (None, None, ("unknown", "unknown", "unknown, maxmemory ?")),
        (b"raw", b"raw", ("unknown", "unknown", "unknown, maxmemory ?")),
        ({"redis_version": "7.4.1", "aof_enabled": 0}, None, ("Redis 7.4.1", "no append-only file", None)),
        ({"aof_enabled": 1}, {"save": ""}, ("unknown", "append-only file", None)),
    ],
    ids=["silent", "raw", "no CONFIG", "append-only"],
)
def test_a_server_that_reports_less_is_described_by_that(info, save, expected):
    """A managed server forbids half of the questions; that needs no advice."""
    facts = server_facts(info, save)
    assert (facts["server"], facts["persistence"], expected[2] and facts["eviction"]) == expected
    assert "advice" not in facts


def test_a_server_out_of_reach_shows_its_address(clients):
    """The address shows; the user and the password do not."""
    url = "redis://marker-user:marker-password@127.0.0.1:1/2"
    for client in (redis.Redis.from_url(url), valkey_py.Valkey.from_url(url)):
        facts = RedisStore(client).describe()
        assert facts["where"] == "127.0.0.1:1, database 2, keys that begin with 'hellojohn:'"
        assert facts["server"] == "unknown"
        assert "marker" not in str(facts)


def test_a_client_without_an_address_is_described():
    """A wrapper of an app need not have one, and one failed question is enough."""
    client = FakeClient(*[ConnectionRefusedError("marker")] * 3)
    facts = RedisStore(client).describe()
    assert facts["where"].startswith("the client's server")
    assert {command[0] for command in client.commands} == {"INFO"}


# Encrypted


def test_encryption_names_its_key_and_the_store_inside(tmp_path):
    """Two hosts can compare ids, and no id gives a key away."""
    plain, store = FileStore(tmp_path), EncryptedStore(FileStore(tmp_path), [KEY, b"o" * 32, "marker phrase"])
    facts = store.describe()
    first = EncryptedStore(MemoryStore(), KEY).describe()["encrypted"].removeprefix("AES-256-GCM with ")
    assert facts["encrypted"].startswith(f"AES-256-GCM with {first}; key ")
    assert facts["encrypted"].endswith(", a pass phrase can be read")
    assert facts["inside"] == "FileStore"
    assert {**facts, "encrypted": "no"} == {"inside": "FileStore", **plain.describe()}
    assert "marker" not in str(facts)
    store.save("k", "text")
    assert first.removeprefix("key ") in plain.load("k"), "the id is that of the record"


def test_encryption_is_described_around_any_store(tmp_path):
    """The inner store need not have a description."""
    facts = EncryptedStore(FourMethods(tmp_path), "a pass phrase").describe()
    assert facts == {"inside": "FourMethods", "encrypted": "AES-256-GCM with a pass phrase"}
