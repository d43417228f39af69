"""Sessions in the system's keyring: for desktop apps and command-line tools of one user."""

import os
import threading
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import cast

from platformdirs import user_state_path

from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn.stores import _chunks
from hellojohn.stores._encoding import refuse_unfit
from hellojohn.stores._file_lock import file_lock
from hellojohn.stores._filenames import name_of
from hellojohn.stores._keyring_entries import Entries, secure_backend
from hellojohn.stores._private_files import explained, make_private_folder

_LONGEST_TURN = 5.0  # a keyring may be asking its user for a password
_INSECURE = "This keyring keeps its entries in plain text: install a secure one."


_threads = threading.Lock()


class KeyringStore:
    """Keeps each session in the keyring of the desktop: Keychain, Credential Manager, GNOME Keyring, KWallet.

    A keyring may ask the user to unlock it, and blocks meanwhile; the SDK calls it on threads of its own. It
    has no locks, so those are files in the user's state folder. On Windows, where an entry takes 1,280
    characters, a longer record is spread over several.

    Args:
        service: What the entries are filed under, such as the app's name.
        allow_insecure: Accept a keyring that keeps its entries in plain text.

    Raises:
        ConfigurationError: ``service`` is no text or empty, or the keyring package is not installed.
    """

    def __init__(self, service: str, *, allow_insecure: bool = False) -> None:
        """Check the arguments; the keyring is opened at the first use."""
        if find_spec("keyring") is None:
            msg = 'KeyringStore needs the keyring package: pip install "hellojohn[keyring]"'
            raise ConfigurationError(msg)
        if not (isinstance(cast("object", service), str) and service):
            msg = "KeyringStore(service) takes a name to file the entries under, such as the app's."
            raise ConfigurationError(msg)
        self._service = service
        self._allow_insecure = allow_insecure
        self._opened: Entries | None = None

    @property
    def backend(self) -> str:
        """The name of the keyring's backend.

        Raises:
            StoreUnavailable: No fit one is there. The message says what to install.
        """
        return self._entries().backend

    def __repr__(self) -> str:
        """Show the service."""
        return f"KeyringStore({getattr(self, '_service', None)!r})"

    def load(self, key: str) -> str | None:
        """Return the text last saved under ``key``, or ``None``.

        Raises:
            StoreCorrupt: The entry is none of ours, or a piece of it is missing.
            StoreLocked: The keyring is locked, and nobody unlocked it.
            StoreUnavailable: No fit keyring is there, or it failed.
        """
        return _chunks.read(self._entries(), name_of(key))

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Put ``text`` under ``key``. ``expires_in`` is ignored.

        Raises:
            StoreCorrupt: ``text`` is larger than 1 MiB, or no proper Unicode. Nothing was saved.
            StoreLocked: The keyring is locked, and nobody unlocked it.
            StoreUnavailable: No fit keyring is there, or it failed. What was there before is untouched.
        """
        del expires_in
        secret = Secret(text)
        del text
        refuse_unfit(secret)
        _chunks.write(self._entries(), name_of(key), secret)

    def delete(self, key: str) -> None:
        """Remove what is under ``key``.

        Raises:
            StoreLocked: The keyring is locked, and nobody unlocked it.
            StoreUnavailable: No fit keyring is there, or it failed.
        """
        _chunks.erase(self._entries(), name_of(key))

    @contextmanager
    def lock(self, key: str, timeout: float) -> Generator[None]:
        """Lock ``key`` against the user's other threads and processes, waiting up to ``timeout`` seconds.

        Raises:
            StoreLocked: Somebody else held it for the whole wait.
            StoreUnavailable: The user's state folder refuses, or others can reach it.
        """
        folder = _lock_folder()
        file = folder / f"{name_of(f'{self._service}/{key}')}.lock"
        with explained("lock", file):
            make_private_folder(folder)
        with file_lock(file, timeout):
            yield

    def quarantine(self, key: str) -> str | None:
        """Move what is under ``key`` to the next free entry ``*.corrupt-N``, and return its name.

        Raises:
            StoreLocked: The keyring is locked, and nobody unlocked it.
            StoreUnavailable: No fit keyring is there, or it failed.
        """
        entries, name = self._entries(), name_of(key)
        found = _chunks.raw(entries, name)
        if found is None:
            return None
        places = (f"{name}.corrupt-{number}" for number in count(1))
        place = next(place for place in places if entries.get(place) is None)
        _chunks.write(entries, place, found)
        _chunks.erase(entries, name)
        return f"{self._service}/{place} in the keyring"

    def describe(self) -> Mapping[str, str]:
        """Return facts for ``doctor``: the entries' service, and which keyring keeps them.

        Raises:
            StoreUnavailable: No fit keyring is there. The message says what to install.
        """
        entries = self._entries()
        facts = {
            "where": f"the system keyring, service {self._service!r}",
            "backend": entries.backend,
            "lock": f"a file in {_lock_folder()}; the system frees it when its holder dies",
        }
        if entries.secure:
            return facts | {"encrypted": "by the keyring"}
        return facts | {"encrypted": "no", "advice": _INSECURE}

    def _entries(self) -> Entries:
        if self._opened is None:
            backend = secure_backend(allow_insecure=self._allow_insecure)
            self._opened = Entries(backend, self._service, _turn)
        return self._opened


@contextmanager
def _turn() -> Generator[None]:
    """Let no other thread or process of the user's at the keyring meanwhile, unless it takes too long."""
    folder = _lock_folder()
    with ExitStack() as stack:
        threads = _threads
        if threads.acquire(timeout=_LONGEST_TURN):  # its waiters are woken, those of a file have to look
            stack.callback(threads.release)
        with suppress(OSError):
            make_private_folder(folder)
            stack.enter_context(file_lock(folder / "keyring.lock", _LONGEST_TURN))
        yield


def _lock_folder() -> Path:
    return user_state_path("hellojohn", appauthor=False) / "locks"


def _forget_the_parents_threads() -> None:
    global _threads  # noqa: PLW0603 - whoever holds it there is not here
    _threads = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parents_threads)
