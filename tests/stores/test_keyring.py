"""KeyringStore: on a real GNOME Keyring, its backends and its locks."""

import contextlib
import functools
import gc
import itertools
import os
import pwd
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import keyring.errors
import pytest
import secretstorage
from keyring.backends import SecretService, chainer, fail, null

from hellojohn._errors import ConfigurationError, StoreCorrupt, StoreLocked, StoreUnavailable
from hellojohn.stores import FileStore, KeyringStore, _turns, default_store
from hellojohn.stores._encoding import name_of
from hellojohn.stores._turns import Turns
from hellojohn.testing import TokenStoreContract
from tests.stores.backends import PLAIN, failing, vault
from tests.stores.forking import in_forked_child
from tests.stores.recipes import with_keyring


class TestGnomeKeyring(TokenStoreContract):
    """It keeps the contract on a real keyring, with real processes."""

    @pytest.fixture(autouse=True)
    def _session(self, gnome_keyring, monkeypatch, use, request, home) -> None:
        for name, value in gnome_keyring.items():
            monkeypatch.setenv(name, value)
        self.backend = use(SecretService.Keyring())
        self.app, self.home = request.node.name, str(home)

    def make_store(self) -> KeyringStore:
        """Return a store of this test's entries."""
        return KeyringStore(self.app)

    def recipe(self):
        """Let the keyring library choose in the children."""
        return functools.partial(with_keyring, self.app, self.home)

    def corrupt(self, key: str) -> None:
        """Write an entry that another program could have written."""
        self.backend.set_password(f"{self.app}/{name_of(key)}", name_of(key), "theirs")

    def test_its_backend_has_a_name(self) -> None:
        """A diagnosis says which keyring it is."""
        assert self.make_store().backend == "keyring.backends.SecretService.Keyring"
        assert repr(self.make_store()) == f"KeyringStore({self.app!r})"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_real_keyring_that_is_locked_says_so(own_gnome_keyring, monkeypatch, use):
    """It wants to ask the user, without a screen."""
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


# Backends


@pytest.mark.parametrize("allow_insecure", [False, True])
@pytest.mark.parametrize("useless", [fail.Keyring, null.Keyring])
def test_a_keyring_that_keeps_nothing_is_refused(use, useless, allow_insecure):
    """A session saved there is lost at once."""
    use(useless())
    with pytest.raises(StoreUnavailable, match=r"install and start a secret service|keyring of this system"):
        KeyringStore("app", allow_insecure=allow_insecure).load("k")


@pytest.mark.parametrize("backend", [vault(PLAIN), vault(priority=0.5)], ids=["plain", "low priority"])
def test_a_keyring_without_secrets_must_be_asked_for(use, backend):
    """Plain text belongs in no keyring; the opt-out is explicit."""
    use(backend)
    with pytest.raises(StoreUnavailable, match=r"FileStore.*allow_insecure"):
        KeyringStore("app").save("k", "text")
    assert backend.entries == {}
    store = KeyringStore("app", allow_insecure=True)
    store.save("k", "text")
    assert store.load("k") == "text"


def test_of_several_keyrings_the_secure_one_is_used(use, monkeypatch):
    """Reading and writing go to the same one, and the library's choice stays as it is."""
    chain = use(chainer.ChainerBackend())
    plain, secure = vault(PLAIN), vault()
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [null.Keyring(), plain, secure])
    KeyringStore("app").save("k", "text")
    assert (len(plain.entries), len(secure.entries)) == (0, 1)
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [null.Keyring(), plain])
    with pytest.raises(StoreUnavailable, match=r"found: keyrings\.alt\.file"):
        KeyringStore("app").load("k")
    assert keyring.get_keyring() is chain


def test_a_broken_choice_of_backend_is_reported(use, monkeypatch):
    """The keyring library raises the error of importing the chosen module."""
    use(None)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "no.such.Backend")
    with pytest.raises(StoreUnavailable, match="ModuleNotFoundError"):
        KeyringStore("app").load("k")


def _acts(store: KeyringStore) -> list:
    return [
        lambda: store.load("k"),
        lambda: store.save("k", "marker"),
        lambda: store.delete("k"),
        lambda: store.quarantine("k"),
    ]


@pytest.mark.parametrize(
    "error", [keyring.errors.KeyringLocked, type("PromptDismissedException", (Exception,), {})]
)
def test_a_locked_keyring_says_so(use, error):
    """The user dismissed the prompt, and has to unlock the keyring."""
    use(failing(error("marker")))
    for act in _acts(KeyringStore("app")):
        with pytest.raises(StoreLocked, match="Unlock it"):
            act()


def test_a_keyring_that_was_never_created_is_not_locked(use):
    """It holds no session; a machine without a screen, where it cannot be created, may use files."""
    error = keyring.errors.InitError("marker")
    error.__cause__ = secretstorage.exceptions.PromptDismissedException("dismissed")
    use(failing(error))
    with pytest.raises(StoreUnavailable, match="InitError"):
        KeyringStore("app").load("k")
    assert isinstance(default_store("app"), FileStore)


@pytest.mark.parametrize(
    "error", [keyring.errors.PasswordSetError, keyring.errors.InitError, RuntimeError, OSError]
)
def test_the_message_of_a_backend_does_not_show(use, error):
    """It may hold the text that was to be saved."""
    use(failing(error("marker")))
    for act in _acts(KeyringStore("app")):
        with pytest.raises(StoreUnavailable, match=error.__name__) as caught:
            act()
        assert "marker" not in str(caught.value)
        assert caught.value.__context__ is None
        assert not any("marker" in repr(entry.frame.f_locals) for entry in caught.traceback[1:])


def test_an_entry_that_cannot_be_deleted_is_reported(use):
    """Signing out must not leave a session behind unseen."""
    backend = use(failing(keyring.errors.PasswordDeleteError("no"), "delete"))
    store = KeyringStore("app")
    backend.entries[f"app/{name_of('k')}", name_of("k")] = "=text"
    with pytest.raises(StoreUnavailable, match="does not delete"):
        store.delete("k")


# Turns


@pytest.mark.parametrize("base", [False, True], ids=["backend", "derived backend"])
def test_a_secret_service_is_asked_one_thing_at_a_time(use, base):
    """GNOME Keyring, read while it writes, may lock itself: threads and processes take turns."""
    inside, met = [], []

    def count(self, call):
        inside.append(call)
        time.sleep(0)
        met.append(len(inside))
        inside.remove(call)

    backend = vault(_count=count)
    use(vault("company.keyring", type(backend)) if base else backend)

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


def test_a_secret_service_has_a_pause_after_each_call(use):
    """GNOME Keyring aborts if a connection comes while it cleans up behind the one before."""
    moments = []
    use(vault(_count=lambda self, call: moments.append(time.monotonic())))
    store = KeyringStore("app")
    for _ in range(5):
        store.load("k")
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert min(gaps) >= _turns._PAUSE


def test_a_turn_that_takes_too_long_is_skipped(use, monkeypatch):
    """Another process shows its user a prompt: asking as well is better than failing."""
    use(vault())
    monkeypatch.setattr(_turns, "LONGEST", 0.01)
    store = KeyringStore("app")
    store.save("key", "text")
    with Turns(KeyringStore("other")._locks).take():
        assert store.load("key") == "text"


def test_a_child_takes_its_turn_although_its_parent_had_it(use, monkeypatch):
    """The thread that had the turn does not exist in the child."""
    use(vault())
    monkeypatch.setattr(_turns, "LONGEST", 60.0)
    store = KeyringStore("app")
    store.save("key", "text")
    with _turns._thread_queue.current(), _turns._thread_turn.current():
        assert in_forked_child(lambda: store.load("key") or "nothing") == "text"


_BUSY = """
import sys, time
from tests.stores.recipes import with_keyring
from hellojohn.stores._turns import Turns
turns = Turns(with_keyring("app", sys.argv[1])._locks)
with turns.take():
    print("busy", flush=True)
while True:
    with turns.take():
        time.sleep(0.05)
"""


def test_a_busy_process_does_not_keep_others_from_their_turn(home):
    """It takes its next turn at once, and the others look for theirs now and then."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _BUSY, home]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as busy:
        assert busy.stdout.readline() == b"busy\n"
        turns, waits = Turns(KeyringStore("app")._locks), []
        for _ in range(10):
            began = time.monotonic()
            with turns.take():
                waits.append(time.monotonic() - began)
        busy.kill()
    assert max(waits) < _turns.LONGEST


def test_a_busy_thread_does_not_keep_others_from_their_turn():
    """It takes its next turn at once, and the others have to wake up first."""
    turns, taken, done = Turns(KeyringStore("app")._locks), [], threading.Event()

    def be_busy() -> None:
        while not done.is_set():
            with turns.take():
                taken.append("busy")
                time.sleep(0.002)

    busy = threading.Thread(target=be_busy)
    busy.start()
    try:
        for _ in range(20):
            with turns.take():
                taken.append("other")
    finally:
        done.set()
        busy.join()
    between = "".join(kind[0] for kind in taken).split("o")[1:-1]
    assert max(map(len, between)) <= 2


# Locks and arguments


def test_each_app_and_account_has_a_private_lock(use, home):
    """Two apps, and two accounts of one, do not wait for each other."""
    use(vault())
    with (
        KeyringStore("app").lock("k", 1),
        KeyringStore("app").lock("other", 0),
        KeyringStore("b").lock("k", 0),
    ):
        files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


_LOCK = """
import sys
from tests.stores.recipes import with_keyring
from hellojohn import StoreLocked
try:
    with with_keyring("app", sys.argv[1]).lock("k", 0):
        print("locked")
except StoreLocked:
    print("held")
"""


@pytest.mark.parametrize("variable", ["HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "TMPDIR"])
def test_processes_share_locks_whatever_their_variables(use, home, tmp_path, variable):
    """They share the keyring: two of them would refresh one session at once."""
    use(vault())
    with KeyringStore("app").lock("k", 1):
        done = subprocess.run(
            [sys.executable, "-c", _LOCK, home],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                variable: str(tmp_path / "elsewhere"),
            },
            stdout=subprocess.PIPE,
            check=True,
        )
    assert done.stdout == b"held\n"


def test_a_file_in_place_of_the_locks_is_reported(use, home):
    """Going on without a lock would let two processes use one refresh token."""
    use(vault())
    store = KeyringStore("app")
    (home / ".local").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="Move away the file"), store.lock("k", 1):
        pytest.fail("locked")


def test_a_user_without_a_usable_home_cannot_lock(monkeypatch):
    """The error says so when the store is made, and names the store to use."""
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: SimpleNamespace(pw_dir="/proc/1/fd"))
    with pytest.raises(ConfigurationError, match=r"cannot keep private files there.*FileStore\(path=...\)"):
        KeyringStore("app")


def test_without_the_keyring_package_it_says_what_to_install(monkeypatch):
    """The message has the command."""
    monkeypatch.setattr("hellojohn.stores.keyring.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install .*hellojohn\[keyring\]"):
        KeyringStore("app")


def test_a_text_that_could_not_be_loaded_is_not_saved(use):
    """A lone surrogate does not encode."""
    use(vault())
    with pytest.raises(StoreCorrupt, match="Nothing was saved"):
        KeyringStore("app").save("k", "\udc80")
