"""KeyringStore: on a real GNOME Keyring, and on backends with the limits and habits of the other systems'."""

import contextlib
import functools
import gc
import threading
import time
import traceback

import keyring.core
import keyring.errors
import pytest
import secretstorage
from keyring.backends import SecretService, chainer, fail, null

from hellojohn._errors import ConfigurationError, StoreCorrupt, StoreLocked, StoreUnavailable
from hellojohn.stores import FileStore, KeyringStore, default_store
from hellojohn.stores import keyring as keyring_store
from hellojohn.stores._filenames import name_of
from hellojohn.testing import TokenStoreContract
from hellojohn.testing._in_process_contract import InProcessStoreContract
from tests.stores import backends


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    """Keep the locks in a folder of the test's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def use(monkeypatch):
    """Return what makes a backend the one that the keyring library has chosen."""

    def chosen(backend):
        monkeypatch.setattr(keyring.core, "_keyring_backend", backend)
        return backend

    return chosen


class TestGnomeKeyring(TokenStoreContract):
    """It keeps the contract on a real keyring, with real processes."""

    @pytest.fixture(autouse=True)
    def _session(self, gnome_keyring, monkeypatch, use, request) -> None:
        for name, value in gnome_keyring.items():
            monkeypatch.setenv(name, value)
        self.backend = use(SecretService.Keyring())
        self.service = request.node.nodeid

    def make_store(self) -> KeyringStore:
        """Return a store of this test's entries."""
        return KeyringStore(self.service)

    def recipe(self):
        """Let the keyring library choose in the children."""
        return functools.partial(KeyringStore, self.service)

    def corrupt(self, key: str) -> None:
        """Write an entry that another program could have written."""
        self.backend.set_password(f"{self.service}/{name_of(key)}", name_of(key), "theirs")

    def test_its_backend_has_a_name(self) -> None:
        """A diagnosis says which keyring it is."""
        assert self.make_store().backend == "keyring.backends.SecretService.Keyring"
        assert repr(self.make_store()) == f"KeyringStore({self.service!r})"


class _OnBackend(InProcessStoreContract):
    kind: type[backends.Vault]

    @pytest.fixture(autouse=True)
    def _backend(self, use) -> None:
        self.backend = use(self.kind())

    def make_store(self) -> KeyringStore:
        """Return a store on this test's backend."""
        return KeyringStore("app")

    def corrupt(self, key: str) -> None:
        """Write an entry that another program could have written."""
        self.backend.entries[f"app/{name_of(key)}", name_of(key)] = "theirs"


class TestWindows(_OnBackend):
    """It keeps the contract where an entry takes 1,280 characters."""

    kind = backends.WinVault


class TestMacOS(_OnBackend):
    """It keeps the contract where an entry is gone for a moment when it is replaced."""

    kind = backends.Keychain


class TestSecretService(_OnBackend):
    """It keeps the contract where entries are long and replaced in one step."""

    kind = backends.SecretService


# Entries

_LONG = {"ascii": "x" * 5_000, "wide": "\U0001f511" * 2_000, "mixed": "é" * 3_000}
_KINDS = [backends.WinVault, backends.Keychain, backends.SecretService]


@pytest.mark.parametrize("kind", [backends.SecretService, backends.Keychain])
def test_a_record_is_one_entry_and_one_read_where_entries_are_long(use, kind):
    """A keychain may ask the user once an entry: once is enough."""
    backend, store = use(kind()), KeyringStore("app")
    store.save("k", "x" * 65_536)
    backend.calls.clear()
    assert store.load("k") == "x" * 65_536
    assert backend.calls == ["get"]
    assert len(backend.entries) == 1


@pytest.mark.parametrize("text", ["short", "x" * 1_199, *_LONG.values()], ids=["short", "limit", *_LONG])
def test_a_record_takes_as_few_entries_as_fit_on_windows(use, text):
    """And leaves none behind when it is replaced by a shorter one, or deleted."""
    backend, store = use(backends.WinVault()), KeyringStore("app")
    store.save("k", "y" * 20_000)
    store.save("k", text)
    assert store.load("k") == text
    units = len(text.encode("utf-16-le")) / 2
    assert len(backend.entries) <= max(1, 2 + units // (1_200 if text.isascii() else 600))
    store.delete("k")
    assert backend.entries == {}


def test_accounts_do_not_share_a_windows_service(use):
    """Writing two entries of one service at once, the backend loses one of them."""
    backend, store = use(backends.WinVault()), KeyringStore("app")
    for key in ("a", "b"):
        store.save(key, "text")
    services = [service for service, _ in backend.entries]
    assert len(set(services)) == 2


def _killed_at_every_step(backend: backends.Vault, action) -> None:
    """Yield after killing ``action`` at its first backend call, at its second, and so on until it is done."""
    step = 0
    while True:
        backend.die_at = step
        try:
            action()
        except backends.Killed:
            backend.die_at = -1
            yield
            step += 1
        else:
            backend.die_at = -1
            return


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize(
    ("old", "new"), [("o" * 5_000, "n" * 9_000), ("o" * 9_000, "new"), ("old", "n" * 5_000)]
)
def test_a_save_that_is_killed_at_any_step_leaves_a_whole_record(use, kind, old, new):
    """The old one or the new one, and once it is new it stays new."""
    backend, store = use(kind()), KeyringStore("app")
    store.save("k", old)
    seen = [store.load("k") for _ in _killed_at_every_step(backend, lambda: store.save("k", new))]
    assert len(seen) > 0
    assert set(seen) <= {old, new}
    assert store.load("k") == new


@pytest.mark.parametrize("kind", _KINDS)
def test_what_a_killed_save_left_is_cleaned_up_by_the_next(use, kind):
    """Pieces of tokens do not stay in the keyring."""
    backend, store = use(kind()), KeyringStore("app")
    store.save("k", "o" * 3_000)
    clean = len(backend.entries)
    for _ in _killed_at_every_step(backend, lambda: store.save("k", "n" * 9_000)):
        store.save("k", "o" * 3_000)
        assert len(backend.entries) == clean
        assert store.load("k") == "o" * 3_000


@pytest.mark.parametrize("kind", _KINDS)
def test_a_delete_that_is_killed_at_any_step_is_finished_by_the_next(use, kind):
    """A session that is being signed out does not come back in pieces."""
    backend, store = use(kind()), KeyringStore("app")
    store.save("k", "o" * 5_000)
    gone = False
    for _ in _killed_at_every_step(backend, lambda: store.delete("k")):
        text = store.load("k")
        assert text in ({None} if gone else {"o" * 5_000, None})
        gone = text is None
    assert backend.entries == {}


# Corrupt


@pytest.mark.parametrize("damage", ["missing", "changed", "head", "many"])
def test_a_damaged_record_is_corrupt_and_kept_aside_with_its_pieces(use, damage):
    """Nothing of it is lost, and nothing of it is in the way."""
    backend, store = use(backends.WinVault()), KeyringStore("app")
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


def test_texts_quarantine_never_overwrite_each_other(use):
    """Each takes the next free name."""
    backend, store = use(backends.SecretService()), KeyringStore("app")
    for text in ("first", "second"):
        store.save("k", text)
        store.quarantine("k")
    assert sorted(text.strip("=") for text in backend.entries.values()) == ["first", "second"]


# Backends


@pytest.mark.parametrize("allow_insecure", [False, True])
@pytest.mark.parametrize("useless", [fail.Keyring, null.Keyring])
def test_a_keyring_that_keeps_nothing_is_refused(use, useless, allow_insecure):
    """A session saved there is lost at once."""
    use(useless())
    with pytest.raises(StoreUnavailable, match=r"install and start a secret service|keyring of this system"):
        KeyringStore("app", allow_insecure=allow_insecure).load("k")


def _doubtful():
    backend = backends.Vault()
    backend.priority = 0.5
    return backend


@pytest.mark.parametrize("make", [backends.PlaintextKeyring, _doubtful])
def test_a_keyring_that_keeps_no_secret_is_refused_unless_asked_for(use, make):
    """Plain text belongs in no keyring; the opt-out is explicit."""
    backend = use(make())
    with pytest.raises(StoreUnavailable, match=r"FileStore.*allow_insecure"):
        KeyringStore("app").save("k", "text")
    assert backend.entries == {}
    store = KeyringStore("app", allow_insecure=True)
    store.save("k", "text")
    assert store.load("k") == "text"


def test_of_several_keyrings_the_secure_one_is_used(use, monkeypatch):
    """Reading and writing go to the same one, whatever stands before it."""
    chain = use(chainer.ChainerBackend())
    plain, secure = backends.PlaintextKeyring(), backends.SecretService()
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [null.Keyring(), plain, secure])
    KeyringStore("app").save("k", "text")
    assert (len(plain.entries), len(secure.entries)) == (0, 1)
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [null.Keyring(), plain])
    with pytest.raises(StoreUnavailable, match=r"found: keyrings\.alt\.file"):
        KeyringStore("app").load("k")
    assert keyring.get_keyring() is chain


def test_a_broken_choice_of_backend_is_reported(use, monkeypatch):
    """The keyring library raises whatever the import of the chosen module raises."""
    use(None)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "no.such.Backend")
    with pytest.raises(StoreUnavailable, match="ModuleNotFoundError"):
        KeyringStore("app").load("k")


@pytest.mark.parametrize(
    "error", [keyring.errors.KeyringLocked, type("PromptDismissedException", (Exception,), {})]
)
def test_a_locked_keyring_says_so(use, error):
    """The user dismissed the prompt: unlocking helps, nothing else does."""
    use(backends.Failing(error("marker")))
    for act in _acts(KeyringStore("app")):
        with pytest.raises(StoreLocked, match="Unlock it"):
            act()


def test_a_secret_service_is_asked_one_thing_at_a_time(use):
    """GNOME Keyring, read while it writes, may lock itself: threads take turns, and processes by a file."""
    inside, met = [], []

    class Watched(backends.SecretService):
        __module__ = "keyring.backends.SecretService"

        def _count(self, call):
            inside.append(call)
            time.sleep(0)
            met.append(len(inside))
            inside.remove(call)

    use(Watched())

    def work() -> None:
        store = KeyringStore("app")
        for number in range(50):
            store.save("key", str(number))
            store.load("key")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(met) == {1}


def test_a_turn_that_takes_too_long_is_waited_for_no_longer(use, monkeypatch):
    """Another process shows its user a prompt: to ask as well is better than to fail."""
    use(backends.SecretService())
    monkeypatch.setattr("hellojohn.stores.keyring._LONGEST_TURN", 0.01)
    store = KeyringStore("app")
    store.save("key", "text")
    with keyring_store._turn():
        assert store.load("key") == "text"


def test_a_child_takes_its_turn_although_a_thread_of_its_parents_had_it(use):
    """That thread is not in the child."""
    use(backends.SecretService())
    store = KeyringStore("app")
    store.save("key", "text")
    with keyring_store._turn():
        keyring_store._forget_the_parents_threads()
        assert not keyring_store._threads.locked()


def test_a_keyring_that_nobody_has_created_is_not_taken_for_locked(use):
    """It can hold no session: a machine without a screen, where it cannot be created, may use files."""
    error = keyring.errors.InitError("marker")
    error.__cause__ = secretstorage.exceptions.PromptDismissedException("dismissed")
    use(backends.Failing(error))
    with pytest.raises(StoreUnavailable, match="InitError"):
        KeyringStore("app").load("k")
    assert isinstance(default_store("app"), FileStore)


@pytest.mark.parametrize(
    "error", [keyring.errors.PasswordSetError, keyring.errors.InitError, RuntimeError, OSError]
)
def test_whatever_a_backend_raises_is_a_store_error_without_its_words(use, error):
    """Its message may hold what was to be stored."""
    use(backends.Failing(error("marker")))
    for act in _acts(KeyringStore("app")):
        with pytest.raises(StoreUnavailable, match=error.__name__) as caught:
            act()
        assert "marker" not in str(caught.value)
        assert caught.value.__context__ is None
        assert not any("marker" in repr(entry.frame.f_locals) for entry in caught.traceback[1:])


@pytest.mark.parametrize("step", range(12))
def test_a_failure_between_two_pieces_shows_none_of_them(use, step):
    """Each step of a save or a load has a part of the text at hand."""
    backend, store = use(backends.WinVault()), KeyringStore("app")
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


def _acts(store: KeyringStore) -> list:
    return [
        lambda: store.load("k"),
        lambda: store.save("k", "marker"),
        lambda: store.delete("k"),
        lambda: store.quarantine("k"),
    ]


def test_an_entry_that_cannot_be_deleted_is_reported(use):
    """Signing out must not leave a session behind unseen."""
    backend = use(backends.Failing(keyring.errors.PasswordDeleteError("no"), only="delete"))
    store = KeyringStore("app")
    backend.entries[f"app/{name_of('k')}", name_of("k")] = "=text"
    with pytest.raises(StoreUnavailable, match="does not delete"):
        store.delete("k")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_real_keyring_that_is_locked_says_so(own_gnome_keyring, monkeypatch, use):
    """It wants to ask the user, and there is no screen."""
    for name, value in own_gnome_keyring.items():
        monkeypatch.setenv(name, value)
    backend = use(SecretService.Keyring())
    store = KeyringStore("app")
    store.save("k", "text")
    with contextlib.closing(backend.get_preferred_collection().connection) as connection:
        secretstorage.get_default_collection(connection).lock()
    with pytest.raises(StoreLocked, match="Unlock it"):
        store.load("k")
    gc.collect()  # the keyring library leaves its connection open when it is refused


# Locks and arguments


def test_the_locks_are_private_files_for_each_service_and_account(use, state):
    """Two apps, and two accounts of one, do not wait for each other."""
    use(backends.SecretService())
    with (
        KeyringStore("app").lock("k", 1),
        KeyringStore("app").lock("other", 0),
        KeyringStore("b").lock("k", 0),
    ):
        files = [path for path in state.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_state_folder_that_cannot_be_used_is_reported(use, state):
    """Going on without a lock would let two processes spend one token."""
    use(backends.SecretService())
    state.write_text("in the way")
    with pytest.raises(StoreUnavailable, match="Move away the file"), KeyringStore("app").lock("k", 1):
        pytest.fail("locked")


def test_without_the_keyring_package_the_install_line_is_given(monkeypatch):
    """The extra is missing: say which."""
    monkeypatch.setattr("hellojohn.stores.keyring.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install .*hellojohn\[keyring\]"):
        KeyringStore("app")


@pytest.mark.parametrize("service", ["", None, 7])
def test_a_service_without_a_name_is_refused(service):
    """Every app without one would share its entries."""
    with pytest.raises(ConfigurationError, match="service"):
        KeyringStore(service)


def test_a_text_that_could_not_be_loaded_again_is_not_saved(use):
    """A lone surrogate does not encode."""
    use(backends.SecretService())
    with pytest.raises(StoreCorrupt, match="Nothing was saved"):
        KeyringStore("app").save("k", "\udc80")
