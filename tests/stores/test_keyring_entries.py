"""The entries of a KeyringStore: long records in pieces, and records that are killed half-way."""

import traceback

import pytest

from hellojohn._errors import StoreCorrupt, StoreUnavailable
from hellojohn.stores import KeyringStore
from hellojohn.stores._encoding import name_of
from hellojohn.testing._in_process_contract import InProcessStoreContract
from tests.stores.backends import COMPANY, MACOS, SECRET_SERVICE, WINDOWS, Killed, Vault, failing, vault

_TIGHT = {"largest": 1000}  # bytes of UTF-16: 500 characters of ASCII
_BACKENDS = {
    "Windows": lambda: vault(WINDOWS),
    "derived from Windows": lambda: vault(COMPANY, type(vault(WINDOWS))),
    "a company's, short entries": lambda: vault(COMPANY, **_TIGHT),
    "a company's, long entries": lambda: vault(COMPANY, deletes_first=True),
    "derived from the secret service": lambda: vault(COMPANY, type(vault()), largest=2000),
    "macOS": lambda: vault(MACOS),
    "secret service": lambda: vault(SECRET_SERVICE),
}
every_backend = pytest.mark.parametrize("make", _BACKENDS.values(), ids=_BACKENDS)


@every_backend
class TestOnBackend(InProcessStoreContract):
    """It keeps the contract on backends with long and short entries, atomic or not."""

    @pytest.fixture(autouse=True)
    def _backend(self, use, make) -> None:
        self.backend = use(make())

    def make_store(self) -> KeyringStore:
        """Return a store on this test's backend."""
        return KeyringStore("app")

    def corrupt(self, key: str) -> None:
        """Write an entry that another program could have written."""
        self.backend.entries[f"app/{name_of(key)}", name_of(key)] = "theirs"


# Pieces

_LONG = {"ascii": "x" * 5_000, "wide": "\U0001f511" * 2_000, "mixed": "é" * 3_000}


@pytest.mark.parametrize("module", [SECRET_SERVICE, MACOS])
def test_a_record_is_one_entry_where_entries_are_long(use, module):
    """A keychain may ask the user once per entry."""
    backend, store = use(vault(module)), KeyringStore("app")
    store.save("k", "x" * 65_536)
    backend.calls.clear()
    assert store.load("k") == "x" * 65_536
    assert backend.calls == ["get"]
    assert len(backend.entries) == 1


@pytest.mark.parametrize("text", ["short", "x" * 1_199, *_LONG.values()], ids=["short", "limit", *_LONG])
def test_a_record_takes_as_few_entries_as_fit_on_windows(use, text):
    """It leaves none behind when a shorter one replaces it, or when it is deleted."""
    backend, store = use(vault(WINDOWS)), KeyringStore("app")
    store.save("k", "y" * 20_000)
    store.save("k", text)
    assert store.load("k") == text
    units = len(text.encode("utf-16-le")) / 2
    assert len(backend.entries) <= max(1, 2 + units // (1_200 if text.isascii() else 600))
    store.delete("k")
    assert backend.entries == {}


@pytest.mark.parametrize("largest", [2560, 2000, 1000, 700])
@pytest.mark.parametrize("text", _LONG.values(), ids=_LONG)
def test_a_backend_that_refuses_long_entries_gets_pieces(use, largest, text):
    """A company's own backend does not say how long its entries may be."""
    backend, store = use(vault(COMPANY, largest=largest)), KeyringStore("app")
    store.save("k", "old")
    store.save("k", text)
    assert (store.load("k"), KeyringStore("app").load("k")) == (text, text)
    KeyringStore("app").save("k", "short")
    assert KeyringStore("app").load("k") == "short"
    assert len(backend.entries) == 1
    store.save("k", text)
    KeyringStore("app").delete("k")
    assert backend.entries == {}


@pytest.mark.parametrize("text", ["short", "x" * 5_000], ids=["short", "long"])
def test_a_backend_that_refuses_all_entries_is_reported(use, text):
    """Shorter pieces are not tried without end, and the old record stays."""
    backend, store = use(failing(RuntimeError("no"), "set")), KeyringStore("app")
    with pytest.raises(StoreUnavailable, match="RuntimeError"):
        store.save("k", text)
    type(backend).__module__ = COMPANY
    store, backend.failing = KeyringStore("app"), None
    store.save("k", "old")
    backend.failing = "set"
    with pytest.raises(StoreUnavailable, match="RuntimeError"):
        store.save("k", text)
    assert store.load("k") == "old"


def test_accounts_do_not_share_a_windows_service(use):
    """Writing two entries of one service at once, the backend loses one of them."""
    backend, store = use(vault(WINDOWS)), KeyringStore("app")
    for key in ("a", "b"):
        store.save(key, "text")
    services = [service for service, _ in backend.entries]
    assert len(set(services)) == 2


# Killed


def _killed_at_every_step(backend: Vault, action):
    """Yield after killing ``action`` at its first backend call, at its second, and so on until it is done."""
    step = 0
    while True:
        backend.die_at = step
        try:
            action()
        except Killed:
            backend.die_at = -1
            yield
            step += 1
        else:
            backend.die_at = -1
            return


@every_backend
@pytest.mark.parametrize(
    ("old", "new"), [("o" * 5_000, "n" * 9_000), ("o" * 9_000, "new"), ("old", "n" * 5_000)]
)
def test_a_save_killed_at_any_step_leaves_a_whole_record(use, make, old, new):
    """It is the old record or the new one, and once it is the new one it stays."""
    backend, store = use(make()), KeyringStore("app")
    store.save("k", old)
    seen = [store.load("k") for _ in _killed_at_every_step(backend, lambda: store.save("k", new))]
    assert len(seen) > 0
    assert set(seen) <= {old, new}
    assert store.load("k") == new


@every_backend
def test_the_next_save_cleans_up_after_a_killed_one(use, make):
    """Pieces of tokens do not stay in the keyring."""
    backend, store = use(make()), KeyringStore("app")
    store.save("k", "o" * 3_000)
    clean = len(backend.entries)
    for _ in _killed_at_every_step(backend, lambda: store.save("k", "n" * 9_000)):
        store.save("k", "o" * 3_000)
        assert len(backend.entries) == clean
        assert store.load("k") == "o" * 3_000


@every_backend
def test_the_next_delete_finishes_a_killed_one(use, make):
    """A session that is being signed out does not come back in pieces."""
    backend, store = use(make()), KeyringStore("app")
    store.save("k", "o" * 5_000)
    gone = False
    for _ in _killed_at_every_step(backend, lambda: store.delete("k")):
        text = store.load("k")
        assert text in ({None} if gone else {"o" * 5_000, None})
        gone = text is None
    assert backend.entries == {}


# Corrupt data


@pytest.mark.parametrize("damage", ["missing", "changed", "head", "many"])
def test_a_damaged_record_is_quarantined_with_its_pieces(use, damage):
    """All of it is kept, and none of it is in the way."""
    backend, store = use(vault(WINDOWS)), KeyringStore("app")
    store.save("k", "first " + "x" * 3_000 + " last")
    head = next(name for _, name in backend.entries if name == name_of("k"))
    middle = f"{head}.a1"
    match damage:
        case "missing":
            del backend.entries[f"app/{middle}", middle]
        case "changed":
            backend.entries[f"app/{middle}", middle] = "theirs"
        case "head":
            backend.entries[f"app/{head}", head] = "theirs"
        case "many":
            backend.entries[f"app/{head}", head] = "#a:9999:" + "0" * 32
    with pytest.raises(StoreCorrupt, match=head) as caught:
        store.load("k")
    assert not any("first" in repr(entry.frame.f_locals) for entry in caught.traceback[1:])
    assert store.quarantine("k") == f"app/{head}.corrupt-1 in the keyring"
    assert store.load("k") is None
    kept = "".join(text for (_, name), text in backend.entries.items() if "corrupt-1" in name)
    assert ("theirs" if damage == "head" else "first") in kept


def test_quarantined_entries_are_all_kept(use):
    """Each goes to the next free name."""
    backend, store = use(vault()), KeyringStore("app")
    for text in ("first", "second"):
        store.save("k", text)
        store.quarantine("k")
    assert sorted(text.strip("=") for text in backend.entries.values()) == ["first", "second"]


@pytest.mark.parametrize("module", [WINDOWS, COMPANY])
@pytest.mark.parametrize("step", range(12))
def test_a_failure_between_two_pieces_shows_none_of_them(use, step, module):
    """Each step of a save or a load has a part of the text at hand."""
    backend, store = use(vault(module, largest=2560)), KeyringStore("app")
    texts = ("marker" * 500, "marker" * 900, "marker")
    for text in texts[: 1 + step % 3]:
        store.save("k", text)
    for act in (
        lambda: store.load("k"),
        lambda: store.save("k", "marker" * 600),
        lambda: store.quarantine("k"),
    ):
        backend.die_at, backend.error = step, RuntimeError("marker")
        try:
            act()
        except StoreUnavailable as error:
            frames = traceback.walk_tb(error.__traceback__)
            ours = [frame for frame, _ in frames if "hellojohn" in frame.f_globals["__name__"]]
            assert not any("marker" in repr(frame.f_locals) for frame in ours)
            assert ours
        backend.die_at = -1
