"""EncryptedStore: what another store sees is cipher text, and only the right key and place read it."""

import functools
import os
import time
from base64 import urlsafe_b64decode
from string import ascii_letters, digits
from types import SimpleNamespace

import pytest

from hellojohn._errors import ConfigurationError, StoreCorrupt
from hellojohn.stores import EncryptedStore, FileStore, MemoryStore, RedisStore
from hellojohn.testing import TokenStoreContract
from tests.secrecy.markers import STORE_KEY
from tests.secrecy.tracebacks import exposed_by, judged
from tests.stores.forking import in_forked_child
from tests.stores.recipes import encrypted_file

KEY, OTHER = b"k" * 32, b"o" * 32


class TestEncryptedFileStore(TokenStoreContract):
    """It keeps the contract, as the store it wraps does."""

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
        """Write plain text, such as an earlier version of the app did."""
        FileStore(self.path).save(key, "plain")


@pytest.fixture
def inner() -> MemoryStore:
    """Return the store that keeps the cipher text."""
    return MemoryStore()


def test_the_inner_store_sees_no_plain_text(inner):
    """Whoever reads the disk learns nothing, and two saves of one text do not look alike."""
    store = EncryptedStore(inner, KEY)
    records = set()
    for _ in range(2):
        store.save("k", "marker")
        records.add(inner.load("k"))
    assert len(records) == 2
    for record in records:
        assert "marker" not in record
        assert b"marker" not in urlsafe_b64decode(record.rpartition(":")[2])


def test_a_record_in_another_keys_place_is_refused(inner):
    """Whoever writes the disk cannot give one user another's session."""
    store = EncryptedStore(inner, KEY)
    store.save("ada", "of ada")
    inner.save("eve", inner.load("ada"))
    with pytest.raises(StoreCorrupt, match="was changed"):
        store.load("eve")


@pytest.mark.parametrize(
    "place", [0, 25, 45, 70, -12, -5], ids=["kind", "key", "salt", "nonce", "text", "tag"]
)
def test_a_record_changed_anywhere_is_refused(inner, place):
    """Every character counts."""
    store = EncryptedStore(inner, "a pass phrase")
    store.save("k", "a text that is long enough to have a middle")
    record = inner.load("k")
    other = "1" if record[place] != "1" else "2"
    inner.save("k", record[:place] + other + record[place:][1:])
    with pytest.raises(StoreCorrupt):
        store.load("k")
    inner.save("k", record)
    assert store.load("k")


def test_a_record_changed_in_any_one_character_is_corrupt_and_nothing_else(inner):
    """No change makes another error of it, and none goes unseen, not even in the bits that base64 drops."""
    store = EncryptedStore(inner, KEY)
    store.save(
        "k", "a text"
    )  # 34 bytes with nonce and tag: the last character has bits that stand for nothing
    record = inner.load("k")
    assert record.endswith("==")
    for place, was in enumerate(record):
        for other in {*f"{ascii_letters}{digits}-_=:+/ \n\0", "é", "\udc80"} - {was}:
            inner.save("k", record[:place] + other + record[place + 1 :])
            with pytest.raises(StoreCorrupt):
                store.load("k")


def test_a_record_with_padding_in_the_middle_is_quarantine(inner):
    """The user signs in again instead of meeting the error at every start."""
    store = EncryptedStore(inner, KEY)
    store.save("k", "a text")
    damaged = inner.load("k")[:60] + "=" + inner.load("k")[61:]
    inner.save("k", damaged)
    with pytest.raises(StoreCorrupt, match="was changed"):
        store.load("k")
    assert store.quarantine("k") == "k.corrupt-1"
    assert inner.load("k.corrupt-1") == damaged


@pytest.mark.parametrize("rest", ["", "AAAA", "A" * 16, "====", "A" * 40], ids=len)
def test_a_truncated_record_is_refused(inner, rest):
    """Too short for a nonce or a tag is corrupt, not a crash."""
    store = EncryptedStore(inner, KEY)
    store.save("k", "text")
    inner.save("k", inner.load("k").rpartition(":")[0] + ":" + rest)
    with pytest.raises(StoreCorrupt, match="was changed"):
        store.load("k")


def test_the_wrong_key_changes_nothing_and_sets_nothing_aside(inner):
    """A wrong setting must not cost a session that the right one still reads."""
    EncryptedStore(inner, KEY).save("k", "text")
    wrong = EncryptedStore(inner, [OTHER, "a pass phrase"])
    with pytest.raises(StoreCorrupt, match=r"another key.*old_key") as caught:
        wrong.load("k")
    assert caught.value.readable_elsewhere
    assert EncryptedStore(inner, KEY).load("k") == "text"


@pytest.mark.parametrize("number", ["2", "10", "987"])
def test_a_record_of_a_later_format_is_left_for_the_later_version(inner, number):
    """While workers are upgraded one by one, an old one must not put the sessions of the new ones away."""
    record = f"hellojohn-encrypted-{number}:{STORE_KEY}, whatever it looks like\n"
    inner.save("k", record)
    store = EncryptedStore(inner, KEY)
    with pytest.raises(StoreCorrupt, match=r"later version.*upgrade") as caught:
        store.load("k")
    assert caught.value.readable_elsewhere
    assert exposed_by(caught.value) == []
    assert inner.load("k") == record


@pytest.mark.parametrize("number", ["0", "01", "", "-2", "2x", "\u0662"])
def test_what_is_no_later_format_can_be_quarantine(inner, number):
    """Damage that nothing will ever read must not stay in the way."""
    inner.save("k", f"hellojohn-encrypted-{number}:text")
    store = EncryptedStore(inner, KEY)
    with pytest.raises(StoreCorrupt, match="was changed"):
        store.load("k")
    assert store.quarantine("k") == "k.corrupt-1"


def test_what_the_right_key_reads_can_be_quarantine(inner):
    """Its caller may find that the text is no record; it stays encrypted."""
    store = EncryptedStore(inner, KEY)
    store.save("k", "marker")
    assert store.quarantine("k") == "k.corrupt-1"
    assert "marker" not in inner.load("k.corrupt-1")
    assert store.quarantine("k") is None


def test_damage_that_the_inner_store_finds_can_be_quarantine(tmp_path):
    """What is not even text is nobody's record, whatever the key."""
    store = encrypted_file(tmp_path / "sessions", KEY)
    store.save("k", "text")
    store.inner._file("k").write_bytes(b"\xff")
    with pytest.raises(StoreCorrupt, match="not UTF-8"):
        store.load("k")
    assert store.quarantine("k").endswith(".corrupt-1")


def test_keys_rotate(inner):
    """The first key writes and all of them read, so no session is lost on the way."""
    EncryptedStore(inner, "an old phrase").save("k", "text")
    both = EncryptedStore(inner, (KEY, "an old phrase"))
    assert both.load("k") == "text"
    both.save("k", "newer")
    assert EncryptedStore(inner, KEY).load("k") == "newer"


def test_a_generated_key_serves_as_text_and_is_new_each_time(inner, monkeypatch):
    """It passes through an environment variable, the default place for it."""
    key = EncryptedStore.generate_key()
    assert key != EncryptedStore.generate_key()
    assert len(urlsafe_b64decode(key)) == 32
    monkeypatch.setenv("HELLOJOHN_STORE_KEY", key)
    EncryptedStore(inner).save("k", "text")
    assert EncryptedStore(inner, urlsafe_b64decode(key)).load("k") == "text"


def test_a_pass_phrase_reads_what_another_process_wrote(inner):
    """The salt is in the record, and the two agree on one from then on."""
    EncryptedStore(inner, "correct horse").save("k", "text")
    again = EncryptedStore(inner, "correct horse")
    assert again.load("k") == "text"
    again.save("other", "text")
    salts = {inner.load(key).split(":")[2] for key in ("k", "other")}
    assert len(salts) == 1


def test_a_pass_phrase_costs_its_time_once(inner):
    """A load must not take a fifth of a second each."""
    store = EncryptedStore(inner, "correct horse")
    store.save("k", "text")
    began = time.thread_time()
    for _ in range(20):
        store.load("k")
    assert time.thread_time() - began < 0.2


def test_the_salts_of_two_writers_differ():
    """One table of guesses must not serve for everybody."""
    salts = set()
    for _ in range(2):
        inner = MemoryStore()
        EncryptedStore(inner, "correct horse").save("k", "text")
        salts.add(inner.load("k").split(":")[2])
    assert len(salts) == 2


@pytest.mark.parametrize("key", [None, "", b"", [], [KEY, ""], b"short", b"x" * 33, 5, [None], [[KEY]]])
def test_a_missing_or_unusable_key_is_a_configuration_error(monkeypatch, key):
    """It names the argument, the variable and what would do, and shows no key."""
    monkeypatch.delenv("HELLOJOHN_STORE_KEY", raising=False)
    with pytest.raises(
        ConfigurationError, match=r"argument key .* HELLOJOHN_STORE_KEY.*generate_key"
    ) as caught:
        EncryptedStore(MemoryStore(), key)
    assert "kkkk" not in repr(caught.traceback[-1].frame.f_locals)


def test_a_pass_phrase_that_is_no_utf_8_is_a_configuration_error(monkeypatch, inner):
    """It is said where the store is made, and does not show: a variable can hold any bytes."""
    monkeypatch.setitem(os.environb, b"HELLOJOHN_STORE_KEY", f"{STORE_KEY} ".encode() + b"\xff")
    for key in (None, f"{STORE_KEY}\udcff", [KEY, f"{STORE_KEY}\udcff"]):
        with pytest.raises(ConfigurationError, match="as UTF-8") as caught:
            EncryptedStore(inner, key)
        assert exposed_by(caught.value) == []


@pytest.mark.parametrize("inner", [MemoryStore, None, "/var/lib/app"])
def test_what_is_no_store_cannot_be_encrypted(inner):
    """It is said where the store is made, and not at the first sign-in."""
    with pytest.raises(ConfigurationError, match="inner must be a TokenStore"):
        EncryptedStore(inner, KEY)


def test_without_cryptography_the_install_line_is_given(monkeypatch):
    """The extra is missing: say which."""
    monkeypatch.setattr("hellojohn.stores.encrypted.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install .*hellojohn\[encrypted\]"):
        EncryptedStore(MemoryStore(), KEY)


@pytest.mark.parametrize("key", [STORE_KEY, (STORE_KEY * 2)[:32].encode(), [KEY, STORE_KEY]], ids=type)
@pytest.mark.parametrize("wrong", ["inner", "cryptography"])
def test_what_is_wrong_beside_the_key_does_not_show_the_key(monkeypatch, key, wrong):
    """An app that fails to start prints its locals to a log that many read."""
    if wrong == "cryptography":
        monkeypatch.setattr("hellojohn.stores.encrypted.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=wrong) as caught:
        EncryptedStore(None if wrong == "inner" else MemoryStore(), key)
    assert judged(caught.value)
    assert exposed_by(caught.value) == []


def test_a_text_that_could_not_be_loaded_again_is_not_saved(inner):
    """A lone surrogate does not encode; the text does not show."""
    with pytest.raises(StoreCorrupt, match="Nothing was saved") as caught:
        EncryptedStore(inner, KEY).save("k", "marker\udc80")
    assert not any("marker" in repr(entry.frame.f_locals) for entry in caught.traceback[1:])
    assert inner.load("k") is None


def test_no_key_shows(inner):
    """Neither in the store's representation nor in its parts."""
    store = EncryptedStore(inner, ["marker phrase", KEY])
    store.save("k", "text")
    shown = [repr(store), repr(vars(store)), *(repr(vars(key)) for key in store._keys)]
    assert not any("marker" in text or "kkkk" in text for text in shown)
    assert repr(store) == "EncryptedStore(MemoryStore(<1 kept>))"
    assert store.inner is inner


def test_the_expiry_reaches_the_inner_store(monkeypatch, inner):
    """A store that expires records does so with encrypted ones."""
    seen = []
    monkeypatch.setattr(inner, "save", lambda key, text, *, expires_in: seen.append(expires_in))
    EncryptedStore(inner, KEY).save("k", "text", expires_in=5.0)
    assert seen == [5.0]


def test_the_lease_of_the_inner_store_shows_through(inner):
    """The engine ends a refresh before it, and it does not look inside."""
    assert EncryptedStore(RedisStore(SimpleNamespace(execute_command=print), lease=7.0), KEY).lease == 7.0
    assert EncryptedStore(inner, KEY).lease is None


def test_a_forked_child_has_the_rules_of_the_inner_store(inner):
    """Encryption does not make a memory store shareable."""
    store = EncryptedStore(inner, KEY)
    store.save("k", "text")
    assert in_forked_child(lambda: str(store.lock("k", 1).__enter__())).startswith("StoreUnavailable: ")
    assert in_forked_child(lambda: store.load("k") or "") == "text"
