"""EncryptedStore: another store sees cipher text only, and only the right key and place read it."""

import functools
import os
import threading
from base64 import urlsafe_b64decode
from string import ascii_letters, digits
from types import SimpleNamespace

import pytest

from hellojohn._errors import ConfigurationError, StoreCorrupt, StoreError, StoreUnavailable
from hellojohn.stores import EncryptedStore, FileStore, MemoryStore, RedisStore, _cipher
from hellojohn.stores._key_text import key_text
from hellojohn.testing import TokenStoreContract
from hellojohn.testing._in_process_contract import InProcessStoreContract
from tests.secrecy.markers import STORE_KEY
from tests.stores.forking import in_forked_child
from tests.stores.recipes import encrypted_file

KEY, OTHER = b"k" * 32, b"o" * 32
PHRASE = "correct horse battery staple"
SALT = "hellojohn-encrypted-salt"


@pytest.fixture(autouse=True)
def derivations(monkeypatch) -> list[dict]:
    """Note the derivations of this process, which starts without derived keys, and make them cheap."""
    noted, real = [], _cipher.Scrypt

    def scrypt(*, n: int, **options):
        noted.append({"n": n, **options})
        return real(n=2, **options)

    monkeypatch.setattr(_cipher, "Scrypt", scrypt)
    monkeypatch.setattr(_cipher, "_ciphers", {})
    return noted


@pytest.fixture(params=[KEY, PHRASE], ids=["key", "pass phrase"])
def secret(request) -> bytes | str:
    """Return a key of each kind."""
    return request.param


class TestEncryptedFileStore(TokenStoreContract):
    """It keeps the contract, as the store inside does."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path) -> None:
        self.path = tmp_path / "sessions"

    def make_store(self) -> EncryptedStore:
        """Return a store of this test's folder."""
        return encrypted_file(self.path, KEY)

    def recipe(self):
        """Spare the children this module's imports."""
        return functools.partial(encrypted_file, self.path, KEY)

    def corrupt(self, key: str) -> None:
        """Write plain text, as an earlier version of the app may have done."""
        FileStore(self.path).save(key, "plain")


class TestPassPhrase(InProcessStoreContract):
    """It keeps the contract with a pass phrase, whose salt is in the inner store."""

    @pytest.fixture(autouse=True)
    def _one_store(self) -> None:
        self.store = EncryptedStore(MemoryStore(), PHRASE)

    def make_store(self) -> EncryptedStore:
        """Return the same store each time: its storage is in it."""
        return self.store


@pytest.fixture
def inner() -> MemoryStore:
    """Return the store that keeps the cipher text."""
    return MemoryStore()


def _salt(inner, key: str) -> str:
    return inner.load(key).split(":")[2]


# Records


def test_the_inner_store_sees_no_plain_text(inner):
    """Reading the disk reveals nothing, and two saves of one text do not look alike."""
    store = EncryptedStore(inner, KEY)
    records = set()
    for _ in range(2):
        store.save("k", "marker")
        records.add(inner.load("k"))
    assert len(records) == 2
    for record in records:
        assert "marker" not in record
        assert b"marker" not in urlsafe_b64decode(record.rpartition(":")[2])


def test_a_locked_value_is_encrypted_too(valkey, clients):
    """The value of the inner store, which comes with its lock, holds cipher text."""
    import redis  # noqa: PLC0415 - the contract's children do without it

    client = clients(redis.Redis, unix_socket_path=str(valkey.unix_socket_path))
    client.flushall()
    store = EncryptedStore(RedisStore(client), KEY)
    with store.lock("k", 1) as value:
        assert value.load() is None
        value.save("marker", expires_in=100.0, release=True)
    assert b"marker" not in client.get("hellojohn:{k}")
    assert 90_000 < client.pttl("hellojohn:{k}") <= 100_000
    with store.lock("k", 1) as value:
        assert value.load() == "marker"
        assert value.load() == "marker"
    another = EncryptedStore(RedisStore(client), OTHER).lock("k", 1)
    with another as value, pytest.raises(StoreCorrupt, match="another key") as caught:
        value.load()
    assert caught.value.readable_elsewhere


def test_a_record_in_the_place_of_another_key_is_corrupt(inner):
    """A user who can write the disk cannot take over the session of another."""
    store = EncryptedStore(inner, KEY)
    store.save("ada", "of ada")
    inner.save("eve", inner.load("ada"))
    with pytest.raises(StoreCorrupt, match="was changed"):
        store.load("eve")


@pytest.mark.parametrize(
    "place", [0, 25, 45, 70, -12, -5], ids=["kind", "key", "salt", "nonce", "text", "tag"]
)
def test_a_record_changed_in_any_part_is_corrupt(inner, place):
    """Every part is checked, for a pass phrase as well."""
    store = EncryptedStore(inner, PHRASE)
    store.save("k", "a text that is long enough to have a middle")
    record = inner.load("k")
    other = "1" if record[place] != "1" else "2"
    inner.save("k", record[:place] + other + record[place:][1:])
    with pytest.raises(StoreCorrupt):
        store.load("k")
    inner.save("k", record)
    assert store.load("k")


def test_a_record_changed_in_any_one_character_is_corrupt(inner):
    """Not even the bits that base64 ignores go unchecked, and no change causes another error."""
    store = EncryptedStore(inner, KEY)
    store.save("k", "a text")  # 34 bytes with nonce and tag, so the last character has unused bits
    record = inner.load("k")
    assert record.endswith("==")
    for place, was in enumerate(record):
        for other in {*f"{ascii_letters}{digits}-_=:+/ \n\0", "é", "\udc80"} - {was}:
            inner.save("k", record[:place] + other + record[place + 1 :])
            with pytest.raises(StoreCorrupt):
                store.load("k")


@pytest.mark.parametrize("rest", ["", "AAAA", "A" * 16, "====", "A" * 40], ids=len)
def test_a_cut_record_is_corrupt(inner, rest):
    """Too short for a nonce or a tag is corrupt, not a crash."""
    store = EncryptedStore(inner, KEY)
    store.save("k", "text")
    inner.save("k", inner.load("k").rpartition(":")[0] + ":" + rest)
    with pytest.raises(StoreCorrupt, match="was changed"):
        store.load("k")


def test_a_text_that_could_not_be_loaded_is_not_saved(inner):
    """A lone surrogate does not encode; the text does not show."""
    with pytest.raises(StoreCorrupt, match="Nothing was saved") as caught:
        EncryptedStore(inner, KEY).save("k", "marker\udc80")
    assert not any("marker" in repr(entry.frame.f_locals) for entry in caught.traceback[1:])
    assert inner.load("k") is None


# What another key or version can read


def test_the_record_of_another_key_is_readable_elsewhere(inner):
    """A wrong setting must not cost a session that the right one still reads."""
    EncryptedStore(inner, KEY).save("k", "text")
    with pytest.raises(StoreCorrupt, match=r"another key.*old_key") as caught:
        EncryptedStore(inner, [OTHER, PHRASE]).load("k")
    assert caught.value.readable_elsewhere
    assert EncryptedStore(inner, KEY).load("k") == "text"


@pytest.mark.parametrize("number", ["2", "10", "987"])
def test_the_record_of_a_later_version_is_readable_elsewhere(inner, number):
    """While workers are upgraded one by one, an old one meets the sessions of the new ones."""
    record = f"hellojohn-encrypted-{number}:{STORE_KEY}, whatever it looks like\n"
    inner.save("k", record)
    with pytest.raises(StoreCorrupt, match=r"later version.*Upgrade") as caught:
        EncryptedStore(inner, KEY).load("k")
    assert caught.value.readable_elsewhere
    assert STORE_KEY not in str(caught.value)
    assert not any(STORE_KEY in repr(entry.frame.f_locals) for entry in caught.traceback[1:])


@pytest.mark.parametrize("number", ["0", "01", "", "-2", "2x", "\u0662"])
def test_damage_is_not_readable_elsewhere(inner, number):
    """It is not a later version, and no key will ever read it."""
    inner.save("k", f"hellojohn-encrypted-{number}:text")
    with pytest.raises(StoreCorrupt, match="was changed") as caught:
        EncryptedStore(inner, KEY).load("k")
    assert not caught.value.readable_elsewhere


def test_quarantine_moves_any_record(inner):
    """The caller decides when; the record stays encrypted."""
    store = EncryptedStore(inner, KEY)
    store.save("k", "marker")
    assert store.quarantine("k") == "k.corrupt-1"
    assert "marker" not in inner.load("k.corrupt-1")
    EncryptedStore(inner, OTHER).save("k", "of another key")
    assert store.quarantine("k") == "k.corrupt-2"
    assert store.quarantine("k") is None


def test_damage_that_the_inner_store_finds_can_be_quarantined(tmp_path):
    """It is not even a text."""
    store = encrypted_file(tmp_path / "sessions", KEY)
    store.save("k", "text")
    store.inner._file("k").write_bytes(b"\xff")
    with pytest.raises(StoreCorrupt, match="not UTF-8"):
        store.load("k")
    assert store.quarantine("k").endswith(".corrupt-1")


# Keys


def test_keys_rotate(inner):
    """The first key writes and all of them read, so no session is lost on the way."""
    EncryptedStore(inner, "an old pass phrase").save("k", "text")
    both = EncryptedStore(inner, (KEY, "an old pass phrase"))
    assert both.load("k") == "text"
    both.save("k", "newer")
    assert EncryptedStore(inner, KEY).load("k") == "newer"


def test_a_generated_key_is_new_each_time(inner, monkeypatch):
    """It passes through an environment variable, the default place for it, and through files."""
    key = EncryptedStore.generate_key()
    assert key != EncryptedStore.generate_key()
    assert key.isascii()
    monkeypatch.setenv("HELLOJOHN_STORE_KEY", key)
    EncryptedStore(inner).save("k", "text")
    assert EncryptedStore(inner, f"{key}\n").load("k") == "text"


_SLIPS = {
    "a wrong letter": lambda key, place: key[:place] + ("a" if key[place] != "a" else "b") + key[place + 1 :],
    "a wrong digit": lambda key, place: key[:place] + "0" + key[place + 1 :],
    "a missing character": lambda key, place: key[:place] + key[place + 1 :],
    "a character twice": lambda key, place: key[:place] + key[place] + key[place:],
    "an upper-case letter": lambda key, place: key[:place] + "Z" + key[place + 1 :],
    "cut at the end": lambda key, place: key[: max(place, 4)],
    "other separators": lambda key, place: key.replace("_", " -.\n\u2013"[place % 5]),
    "lost separators": lambda key, place: key.replace("_", "", place) if place > 1 else key.replace("_", ""),
    "other separators, cut": lambda key, place: key.replace("_", "-")[min(place, 30) :],
    "cut at the beginning": lambda key, place: key[min(place + 1, 40) :],
}


@pytest.mark.parametrize("slip", _SLIPS.values(), ids=_SLIPS)
def test_a_damaged_key_text_is_refused(inner, slip):
    """It would silently be another key, as a pass phrase. It does not show."""
    key = key_text(bytes(range(32)))
    for place in range(len(key)):
        damaged = slip(key, place)
        with pytest.raises(
            ConfigurationError, match=r"damaged text of EncryptedStore\.generate_key"
        ) as caught:
            EncryptedStore(inner, [damaged])
        assert damaged not in str(caught.value)


@pytest.mark.parametrize(
    "phrase",
    [
        "elephant_passport_keyboard",
        "correct horse battery staple",
        "x" * 12,
        "Tr0ub4dor&3-Tr0ub4dor&3",
        "hjkl" * 4,
        "hjkl2 on the keyboard",
        "sunshin3 princes5 and others",
    ],
)
def test_a_pass_phrase_is_not_taken_for_a_damaged_key(inner, phrase):
    """Any text of twelve characters will do, with underscores as well."""
    EncryptedStore(inner, phrase).save("k", "text")
    assert EncryptedStore(inner, phrase).load("k") == "text"


@pytest.mark.parametrize("phrase", ["a", "secret", "x" * 11, " " * 20, f"secret{' ' * 20}"])
def test_a_short_pass_phrase_is_refused(inner, phrase):
    """The records can be stolen, and then a short phrase is soon guessed."""
    with pytest.raises(ConfigurationError, match=r"less than 12 characters.*generate_key\(\)") as caught:
        EncryptedStore(inner, [KEY, phrase])
    assert f"{phrase!r}" not in str(caught.value)


@pytest.mark.parametrize("key", [None, "", b"", [], [KEY, ""], b"short", b"x" * 33, 5, [None], [[KEY]]])
def test_a_missing_or_unusable_key_is_refused(monkeypatch, key):
    """The message names the argument, the variable and what would do, and shows no key."""
    monkeypatch.delenv("HELLOJOHN_STORE_KEY", raising=False)
    with pytest.raises(
        ConfigurationError, match=r"argument key .* HELLOJOHN_STORE_KEY.*generate_key"
    ) as caught:
        EncryptedStore(MemoryStore(), key)
    assert not any("kkkk" in repr(entry.frame.f_locals) for entry in caught.traceback[1:])


def test_a_pass_phrase_must_be_utf_8(monkeypatch, inner):
    """An environment variable can hold any bytes. They do not show."""
    monkeypatch.setitem(os.environb, b"HELLOJOHN_STORE_KEY", f"{STORE_KEY} ".encode() + b"\xff")
    for key in (None, f"{STORE_KEY}\udcff", [KEY, f"{STORE_KEY}\udcff"]):
        with pytest.raises(ConfigurationError, match="not valid UTF-8") as caught:
            EncryptedStore(inner, key)
        assert not any(STORE_KEY in repr(entry.frame.f_locals) for entry in caught.traceback[1:])


@pytest.mark.parametrize("key", [STORE_KEY, (STORE_KEY * 2)[:32].encode(), [KEY, STORE_KEY]], ids=type)
@pytest.mark.parametrize("wrong", ["inner", "cryptography"])
def test_another_mistake_does_not_show_the_key(monkeypatch, key, wrong):
    """An app that fails to start prints its locals to a log that many read."""
    if wrong == "cryptography":
        monkeypatch.setattr("hellojohn.stores.encrypted.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=wrong) as caught:
        EncryptedStore(None if wrong == "inner" else MemoryStore(), key)
    assert not any(STORE_KEY in repr(entry.frame.f_locals) for entry in caught.traceback[1:])


def test_no_key_shows(inner):
    """Neither in the store's representation nor in its parts."""
    store = EncryptedStore(inner, ["marker phrase", KEY])
    store.save("k", "text")
    shown = [
        repr(store),
        repr(vars(store)),
        *(repr(vars(key)) for key in store._keys),
        repr(_cipher._ciphers),
    ]
    assert not any("marker" in text or "kkkk" in text for text in shown)
    assert repr(store) == "EncryptedStore(MemoryStore(<2 kept>))"
    assert store.inner is inner


@pytest.mark.parametrize("inner", [MemoryStore, None, "/var/lib/app"])
def test_an_inner_store_of_another_type_is_refused(inner):
    """The error comes where the store is made, and not at the first sign-in."""
    with pytest.raises(ConfigurationError, match="inner must be a TokenStore"):
        EncryptedStore(inner, KEY)


def test_without_cryptography_it_says_what_to_install(monkeypatch):
    """The message has the command."""
    monkeypatch.setattr("hellojohn.stores.encrypted.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install .*hellojohn\[encrypted\]"):
        EncryptedStore(MemoryStore(), KEY)


# Deriving keys


def test_a_derivation_is_expensive(inner, derivations):
    """Its cost is the one that OWASP recommends, in the variant with 32 MiB of memory."""
    EncryptedStore(inner, PHRASE).save("k", "text")
    (options,) = derivations
    assert (options["n"], options["r"], options["p"], options["length"]) == (2**15, 8, 3, 32)


def test_a_process_derives_a_key_once_for_all_threads(inner, derivations):
    """A derivation takes a fifth of a second and 32 MiB of memory; stores and clients share it."""
    barrier, loaded = threading.Barrier(16), []

    def use(number: int) -> None:
        store = EncryptedStore(inner, PHRASE)
        barrier.wait()
        store.save(f"k{number}", "text")
        loaded.append(store.load(f"k{number}"))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == ["text"] * 16
    assert len(derivations) == 1


def test_the_records_of_many_processes_cost_no_derivation(inner, derivations, monkeypatch):
    """All processes that share a store agree on its salt."""
    for number in range(8):
        monkeypatch.setattr(_cipher, "_ciphers", {})  # as in a new process
        EncryptedStore(inner, PHRASE).save(f"k{number}", "text")
    derivations.clear()
    store = EncryptedStore(inner, PHRASE)
    assert [store.load(f"k{number}") for number in range(8)] == ["text"] * 8
    assert derivations == []


def test_processes_that_start_at_once_agree_on_a_salt(tmp_path):
    """The first one makes it, under the lock of the inner store."""
    barrier = threading.Barrier(8)

    def save(number: int) -> None:
        store = encrypted_file(tmp_path / "sessions", PHRASE)
        barrier.wait()
        store.save(f"k{number}", "text")

    threads = [threading.Thread(target=save, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = FileStore(tmp_path / "sessions")
    assert len({_salt(files, f"k{number}") for number in range(8)}) == 1


def test_the_salts_of_two_stores_differ():
    """One table of guesses must not serve for all stores."""
    salts = set()
    for _ in range(2):
        inner = MemoryStore()
        EncryptedStore(inner, PHRASE).save("k", "text")
        salts.add(_salt(inner, "k"))
    assert len(salts) == 2


def test_a_key_that_is_not_a_pass_phrase_needs_no_salt(inner):
    """Nothing but the records is kept in the inner store."""
    EncryptedStore(inner, [KEY, PHRASE]).save("k", "text")
    assert inner.load(SALT) is None
    assert _salt(inner, "k") == ""


@pytest.mark.parametrize("salt", ["", "hellojohn-encrypted-salt-1:short", "theirs"])
def test_a_damaged_salt_is_left_alone(inner, salt):
    """The process uses its own salt, which its records name, so that others can read them."""
    inner.save(SALT, salt)
    EncryptedStore(inner, PHRASE).save("k", "text")
    assert inner.load(SALT) == salt
    assert EncryptedStore(inner, PHRASE).load("k") == "text"


@pytest.mark.parametrize("act", ["load", "lock", "save"])
def test_a_store_that_refuses_the_salt_still_saves_records(inner, monkeypatch, act):
    """The salt saves time; the session must be saved."""
    real = getattr(inner, act)

    def refuse(key, *rest, **options):
        if key == SALT:
            raise StoreUnavailable("no")
        return real(key, *rest, **options)

    monkeypatch.setattr(inner, act, refuse)
    EncryptedStore(inner, PHRASE).save("k", "text")
    assert EncryptedStore(inner, PHRASE).load("k") == "text"


def test_the_derived_keys_are_limited(inner, derivations, monkeypatch):
    """Records with made-up salts must not fill the memory, nor lock the real ones out."""
    monkeypatch.setattr(_cipher, "_MOST_DERIVED", 2)
    store = EncryptedStore(inner, PHRASE)
    store.save("k", "text")
    record = inner.load("k")
    for number in range(3):
        inner.save("x", record.replace(_salt(inner, "k"), f"{number:032x}"))
        with pytest.raises(StoreCorrupt):
            store.load("x")
    assert len(_cipher._ciphers) == 2
    assert store.load("k") == "text"


def test_a_child_can_derive_although_its_parent_was_deriving(inner, derivations):
    """The thread that was deriving does not exist in the child."""
    store = EncryptedStore(inner, PHRASE)
    store.save("k", "text")
    _cipher._ciphers.clear()
    with _cipher._deriving.current():
        assert in_forked_child(lambda: store.load("k") or "") == "text"


# The inner store


def test_the_expiry_reaches_the_inner_store(monkeypatch, inner):
    """A store that expires records does so with encrypted ones."""
    seen = []
    monkeypatch.setattr(inner, "save", lambda key, text, *, expires_in: seen.append(expires_in))
    EncryptedStore(inner, KEY).save("k", "text", expires_in=5.0)
    assert seen == [5.0]


def test_the_lease_of_the_inner_store_shows_through(inner):
    """The engine ends a refresh before it, and does not look inside."""
    assert EncryptedStore(RedisStore(SimpleNamespace(execute_command=print), lease=7.0), KEY).lease == 7.0
    assert EncryptedStore(inner, KEY).lease is None


def test_a_forked_child_has_the_rules_of_the_inner_store(inner, secret):
    """Encryption does not make a memory store shareable."""
    store = EncryptedStore(inner, secret)
    store.save("k", "text")
    assert in_forked_child(lambda: str(store.lock("k", 1).__enter__())).startswith("StoreUnavailable: ")
    assert in_forked_child(lambda: store.load("k") or "") == "text"


class VaultSealed(StoreError):
    """An error of a user's store, with an argument that it needs."""

    def __init__(self, vault: str, *, code: int) -> None:
        super().__init__(f"{vault} is sealed")
        self.code = code


@pytest.mark.parametrize("act", ["load", "save", "delete", "lock", "quarantine"])
def test_an_error_of_the_inner_store_arrives_as_it_was_raised(inner, monkeypatch, act):
    """Its class may have arguments that nothing else knows."""
    raised = VaultSealed("vault", code=7)

    def refuse(*args, **options):
        raise raised

    monkeypatch.setattr(inner, act, refuse)
    store = EncryptedStore(inner, KEY)
    acts = {"save": lambda: store.save("k", "text"), "lock": lambda: store.lock("k", 1).__enter__()}
    with pytest.raises(VaultSealed) as caught:
        acts.get(act, lambda: getattr(store, act)("k"))()
    assert caught.value is raised
