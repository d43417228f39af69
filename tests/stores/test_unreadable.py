"""What a client reports of a record that its store cannot read: the sentences of the message agree."""

import logging
import re

import pytest
import redis

from hellojohn import StoreCorrupt
from hellojohn.stores import EncryptedStore, FileStore, KeyringStore, MemoryStore, RedisStore
from tests.behaviour.scripted import EMAIL, PASSWORD, DictStore, ScriptedService
from tests.stores.backends import vault

KEY, OTHER = b"k" * 32, b"o" * 32
DENIAL = re.compile(r"Nothing was changed|left as it was")


@pytest.fixture
def service() -> ScriptedService:
    """Return a service without sockets."""
    return ScriptedService()


@pytest.fixture
def place(service) -> str:
    """Return the key of the client's session."""
    store = DictStore()
    service.client(store=store).auth.sign_in(EMAIL, PASSWORD)
    (key,) = store.texts
    return key


def _bytes_in_a_file(place, request):
    store = FileStore(request.getfixturevalue("tmp_path") / "sessions")
    store.save(place, "text")
    store._file(place).write_bytes(b"\xff")
    return store


def _redis(request):
    address = str(request.getfixturevalue("valkey").unix_socket_path)
    client = request.getfixturevalue("clients")(redis.Redis, unix_socket_path=address)
    client.flushall()
    return client


def _bytes_in_redis(place, request):
    client = _redis(request)
    client.set(f"hellojohn:{{{place}}}", b"\xff")
    return RedisStore(client)


def _list_in_redis(place, request):
    client = _redis(request)
    client.lpush(f"hellojohn:{{{place}}}", "theirs")
    return RedisStore(client)


def _junk_in_a_keyring(place, request):
    backend = request.getfixturevalue("use")(vault())
    store = KeyringStore("app")
    store.save(place, "text")
    (entry,) = backend.entries
    backend.entries[entry] = "junk"
    return store


def _plain_text_inside(place, request):
    inner = MemoryStore()
    inner.save(place, "text")
    return EncryptedStore(inner, KEY)


@pytest.mark.parametrize(
    "damaged",
    [_bytes_in_a_file, _bytes_in_redis, _list_in_redis, _junk_in_a_keyring, _plain_text_inside],
    ids=lambda make: make.__name__.strip("_"),
)
def test_the_report_of_a_quarantine_does_not_deny_it(service, place, request, damaged):
    """A reader who learns where the record was moved does not read that it was left alone."""
    hj = service.client(store=damaged(place, request))
    with pytest.raises(StoreCorrupt, match="It was quarantined as") as caught:
        hj.auth.session()
    assert not DENIAL.search(str(caught.value))


@pytest.mark.parametrize("later", [False, True], ids=["another key", "later version"])
def test_a_record_that_others_can_read_says_when_it_is_moved(service, place, caplog, later):
    """It stays where it is until a sign-in or a sign-out, and the log line about that agrees."""
    inner = MemoryStore()
    EncryptedStore(inner, OTHER).save(place, "text")
    if later:
        inner.save(place, "hellojohn-encrypted-2:text")
    record = inner.load(place)
    hj = service.client(store=EncryptedStore(inner, KEY))
    with pytest.raises(StoreCorrupt, match=r"Only a sign-in or a sign-out moves the record\.$"):
        hj.auth.session()
    assert inner.load(place) == record
    with caplog.at_level(logging.ERROR, "hellojohn"):
        hj.auth.sign_in(EMAIL, PASSWORD)
    (line,) = caplog.messages
    assert f"It was quarantined as {place}.corrupt-1" in line
    assert not DENIAL.search(line)
