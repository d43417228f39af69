"""Sessions in private files, one a key: survives the process, shared by every process of one user."""

import os
import secrets
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path, PurePath

from platformdirs import user_data_path

from hellojohn._errors import ConfigurationError, StoreLocked
from hellojohn._secret import Secret
from hellojohn.stores._encoding import LARGEST, decoded, refuse_unfit
from hellojohn.stores._file_lock import file_lock
from hellojohn.stores._filenames import name_of
from hellojohn.stores._lock_registry import HeldLocks
from hellojohn.stores._private_files import (
    check_private_folder,
    explained,
    make_private_folder,
    open_private,
    patiently,
    permissions,
    sync_folder,
    write_new,
)

_OLD = 3600.0


class FileStore:
    """Keeps each session in a file that only this user can read.

    A record is replaced in one step and is on the disk before ``save`` returns. A process that is killed
    leaves the old record or the new one, and blocks nobody. Links, and files or folders that others can
    reach, are refused. Hosts may share a folder whose file system locks across hosts.

    Args:
        path: The folder; ``~`` is the user's home. It is created when first needed, mode 0700. Default:
            ``sessions`` in the user's data folder for ``app``.
        app: Names the default folder.

    Raises:
        ConfigurationError: ``path`` is no path of a folder, or ``app`` no name.
    """

    def __init__(self, path: str | PurePath | None = None, app: str = "hellojohn") -> None:
        """Note the folder; nothing is read or written yet."""
        self._folder = _default_folder(app) if path is None else _checked_folder(path)
        self._held = HeldLocks()

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder

    def __repr__(self) -> str:
        """Show the folder."""
        return f"FileStore({str(getattr(self, '_folder', None))!r})"

    def load(self, key: str) -> str | None:
        """Return the text last saved under ``key``, or ``None``.

        Raises:
            StoreCorrupt: The file is no text of ours: not UTF-8, or larger than 1 MiB.
            StoreUnavailable: It cannot be read, or others can reach it.
        """
        file = self._file(key)
        with explained("read", file), suppress(FileNotFoundError):
            check_private_folder(self._folder)
            with os.fdopen(patiently(lambda: open_private(file, os.O_RDONLY)), "rb") as opened:
                return decoded(opened.read(LARGEST + 1), str(file))
        return None

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Put ``text`` under ``key``, on the disk when this returns. ``expires_in`` is ignored.

        Raises:
            StoreCorrupt: ``text`` could not be loaded again: it is larger than 1 MiB, or no proper Unicode.
            StoreLocked: It was called inside a lock that is lost. Nothing was written.
            StoreUnavailable: The folder or the disk refuses. What was there before is untouched.
        """
        del expires_in
        secret = Secret(text)
        del text
        refuse_unfit(secret)
        file = self._file(key)
        with explained("save to", file):
            make_private_folder(self._folder)
            locked = self._held.holds(key)
            with suppress(FileNotFoundError):
                os.close(patiently(lambda: open_private(file, os.O_RDONLY)))
            self._put(file, secret, locked=locked)

    def delete(self, key: str) -> None:
        """Remove what is under ``key``.

        Raises:
            StoreUnavailable: The folder or the disk refuses.
        """
        file = self._file(key)
        with explained("delete", file):
            if not self._exists():
                return
            self._sweep(key)
            patiently(lambda: file.unlink(missing_ok=True))
            sync_folder(self._folder)

    @contextmanager
    def lock(self, key: str, timeout: float) -> Generator[None]:
        """Lock ``key`` against every other thread and process, waiting up to ``timeout`` seconds.

        The lock is a file beside the record's, released by the operating system when its holder dies.

        Raises:
            StoreLocked: Somebody else held it for the whole wait.
            StoreUnavailable: The folder refuses, or others can reach it.
        """
        file = self._file(key).with_suffix(".lock")
        with explained("lock", file):
            make_private_folder(self._folder)
        with file_lock(file, timeout), self._held.noted(key):
            yield

    def quarantine(self, key: str) -> str | None:
        """Rename the file of ``key`` to the next free ``*.corrupt-N`` and return its new path.

        Raises:
            StoreUnavailable: The folder or the disk refuses.
        """
        file = self._file(key)
        with explained("rename", file):
            if not (self._exists() and os.path.lexists(file)):
                return None
            names = (file.with_name(f"{file.name}.corrupt-{n}") for n in count(1))
            aside = next(name for name in names if not os.path.lexists(name))
            patiently(lambda: file.rename(aside))
            sync_folder(self._folder)
        return str(aside)

    def describe(self) -> Mapping[str, str]:
        """Return facts for ``doctor``: where the files are, and how they are protected."""
        return {
            "where": str(self._folder),
            "permissions": permissions(self._folder),
            "lock": "a file beside each session's; the system frees it when its holder dies",
            "encrypted": "no",
        }

    def _file(self, key: str) -> Path:
        return self._folder / f"{name_of(key)}.session"

    def _exists(self) -> bool:
        try:
            check_private_folder(self._folder)
        except FileNotFoundError:
            return False
        return True

    def _put(self, file: Path, secret: Secret, *, locked: bool) -> None:
        # Under the lock nobody else writes: one name will do, and what a killed holder left is found by it.
        temporary = _temporary(file, "locked" if locked else f"free-{secrets.token_hex(8)}")
        try:
            if locked:
                patiently(lambda: temporary.unlink(missing_ok=True))
            write_new(temporary, secret)
            patiently(lambda: temporary.replace(file))
        except StoreLocked:  # the file is another's
            raise
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(self._folder)

    def _sweep(self, key: str) -> None:
        """Remove what killed writers left. It reads the whole folder: too slow for each save."""
        if not self._held.holds(key):
            return
        file = self._file(key)
        for left in self._folder.glob(_temporary(file, "*").name):
            with suppress(OSError):
                if left == _temporary(file, "locked") or left.stat().st_mtime < time.time() - _OLD:
                    left.unlink()


def _temporary(file: Path, kind: str) -> Path:
    return file.with_name(f"{file.name}.{kind}.tmp")


def _default_folder(app: object) -> Path:
    if isinstance(app, str) and app.isprintable() and app not in ("", ".", "..") and not {*"/\\"} & {*app}:
        return user_data_path(app, appauthor=False) / "sessions"
    msg = f"FileStore(app=...) takes the app's name, a text without slashes, not {app!r}."
    raise ConfigurationError(msg)


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        msg = f"FileStore(path={str(path)!r}): there is no such user, or none with a home folder."
    raise ConfigurationError(msg)


def _checked_folder(path: object) -> Path:
    if isinstance(path, str | PurePath) and str(path):
        return _at_home(Path(path)).absolute()
    msg = "FileStore(path=...) takes the path of a folder: a text that is not empty, or a pathlib.Path."
    raise ConfigurationError(msg)
