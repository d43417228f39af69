"""Sessions in the system's keyring: for desktop apps and command-line tools of one user."""

import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import NoReturn

from platformdirs import user_state_path

from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn.stores import _chunks
from hellojohn.stores._checks import check_app, uncopyable
from hellojohn.stores._encoding import name_of, refuse_unfit
from hellojohn.stores._file_lock import file_lock
from hellojohn.stores._keyring_entries import Entries, secure_backend
from hellojohn.stores._private_files import PrivateFolder, explained, keeps_modes
from hellojohn.stores._turns import Turns

_INSECURE = "This keyring keeps its entries in plain text: install a secure one."


class KeyringStore:
    """Keeps each session in the keyring of the desktop: Keychain, Credential Manager, GNOME Keyring, KWallet.

    A keyring may ask the user to unlock it, and blocks until then; the SDK calls it on worker threads. It has
    no locks, so those are files in the user's home folder. Where an entry is short, as on Windows with 1,280
    characters, a longer record is spread over several entries.

    Args:
        app: The app's name, which the entries are filed under.
        allow_insecure: Accept a keyring that keeps its entries in plain text.

    Raises:
        ConfigurationError: ``app`` is not a name, the keyring package is not installed, or this user has no
            home folder for the locks.
    """

    def __init__(self, app: str, *, allow_insecure: bool = False) -> None:
        """Check the arguments; the keyring is opened at the first use."""
        if find_spec("keyring") is None:
            msg = 'KeyringStore needs the keyring package: pip install "hellojohn[keyring]"'
            raise ConfigurationError(msg)
        self._app = check_app(app, "KeyringStore(app)")
        self._allow_insecure = allow_insecure
        self._locks = _lock_folder(allow_insecure=allow_insecure)
        self._opened: Entries | None = None

    @property
    def backend(self) -> str:
        """The name of the keyring's backend.

        Raises:
            StoreUnavailable: No suitable keyring is there. The message says what to install.
        """
        return self._entries().backend

    def __repr__(self) -> str:
        """Show the app's name."""
        return f"KeyringStore({getattr(self, '_app', None)!r})"

    def __reduce__(self) -> NoReturn:
        """Refuse to pickle and to copy."""
        raise uncopyable(self, "its keyring is open in this process; make another one with the same app")

    def load(self, key: str) -> str | None:
        """Return the text last saved under ``key``, or ``None``.

        Raises:
            StoreCorrupt: The entry was not saved by this store, or a piece of it is missing.
            StoreLocked: The keyring is locked, and the user did not unlock it.
            StoreUnavailable: No suitable keyring is there, or it failed.
        """
        return _chunks.read(self._entries(), name_of(key))

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Put ``text`` under ``key``. ``expires_in`` is ignored.

        Raises:
            StoreCorrupt: ``text`` is larger than 1 MiB, or not valid Unicode. Nothing was saved.
            StoreLocked: The keyring is locked, and the user did not unlock it.
            StoreUnavailable: No suitable keyring is there, or it failed. The text that was there before is
                untouched.
        """
        del expires_in
        secret = Secret(text)
        del text  # before anything can raise: a traceback shows the locals
        refuse_unfit(secret)
        _chunks.write(self._entries(), name_of(key), secret)

    def delete(self, key: str) -> None:
        """Remove the text under ``key``.

        Raises:
            StoreLocked: The keyring is locked, and the user did not unlock it.
            StoreUnavailable: No suitable keyring is there, or it failed.
        """
        _chunks.erase(self._entries(), name_of(key))

    @contextmanager
    def lock(self, key: str, timeout: float) -> Generator[None]:
        """Lock ``key`` against the user's other threads and processes, waiting up to ``timeout`` seconds.

        Raises:
            StoreLocked: Another holder had it for the whole wait.
            StoreUnavailable: The folder of the locks refuses, or others can reach it.
        """
        file = self._locks.path / f"{name_of(f'{self._app}/{key}')}.lock"
        with explained("lock", file):
            self._locks.make()
        with file_lock(self._locks, file, timeout):
            yield

    def quarantine(self, key: str) -> str | None:
        """Move the data under ``key`` to the next free entry ``*.corrupt-N``, and return its name.

        Raises:
            StoreLocked: The keyring is locked, and the user did not unlock it.
            StoreUnavailable: No suitable keyring is there, or it failed.
        """
        entries, name = self._entries(), name_of(key)
        found = _chunks.raw(entries, name)
        if found is None:
            return None
        places = (f"{name}.corrupt-{number}" for number in count(1))
        place = next(place for place in places if entries.get(place) is None)
        _chunks.write(entries, place, found)
        _chunks.erase(entries, name)
        return f"{self._app}/{place} in the keyring"

    def describe(self) -> Mapping[str, str]:
        """Return facts for ``doctor``: the app's name, and which keyring keeps the entries.

        Raises:
            StoreUnavailable: No suitable keyring is there. The message says what to install.
        """
        entries = self._entries()
        facts = {
            "where": f"the system keyring, app {self._app!r}",
            "backend": entries.backend,
            "lock": f"a file in {self._locks.path}; the system frees it when its holder dies",
        }
        if entries.secure:
            return facts | {"encrypted": "by the keyring"}
        return facts | {"encrypted": "no", "advice": _INSECURE}

    def _entries(self) -> Entries:
        if self._opened is None:
            backend = secure_backend(allow_insecure=self._allow_insecure)
            self._opened = Entries(backend, self._app, Turns(self._locks).take)
        return self._opened


def _lock_folder(*, allow_insecure: bool) -> PrivateFolder:
    """Return the folder of the locks, the same one for every process of the user.

    Two processes of one user share a keyring, although one of them may run with another HOME or other XDG
    variables. So the folder depends on no variable.

    Raises:
        ConfigurationError: The user has no home folder, or it cannot be used.
    """
    folder = _state_folder() / "locks"
    try:
        usable = allow_insecure or keeps_modes(folder)
    except OSError:
        usable = False
    if usable:
        return PrivateFolder(folder, allow_insecure=allow_insecure)
    msg = (
        f"KeyringStore keeps its locks in {folder}, and this user cannot keep private files there. Use"
        " FileStore(path=...) instead."
    )
    raise ConfigurationError(msg)


def _state_folder() -> Path:
    if sys.platform == "win32":  # its folders come from the system, not from variables
        return user_state_path("hellojohn", appauthor=False)
    import pwd  # noqa: PLC0415 - not on Windows

    try:
        home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        msg = (
            f"KeyringStore keeps its locks in the user's home folder, and user {os.geteuid()} is not in the"
            " password database. Use FileStore(path=...) instead."
        )
        raise ConfigurationError(msg) from None
    parent = "Library/Application Support" if sys.platform == "darwin" else ".local/state"
    return home / parent / "hellojohn"
