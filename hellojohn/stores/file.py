"""Sessions in private files, one per key: they survive the process, and a user's processes share them."""

import os
import secrets
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path, PurePath
from typing import NoReturn

from platformdirs import user_data_path

from hellojohn._errors import ConfigurationError, StoreError, StoreLocked
from hellojohn._secret import Secret
from hellojohn.stores._checks import check_app, uncopyable
from hellojohn.stores._encoding import LARGEST, decoded, name_of, refuse_unfit
from hellojohn.stores._file_lock import LockFile, file_lock
from hellojohn.stores._lock_registry import HeldLocks
from hellojohn.stores._private_files import PrivateFolder, explained, keeps_modes, patiently, synced
from hellojohn.stores._protocol import LockedValue

_APP = "hellojohn"
_OLD = 3600.0
_INSECURE = "Other users may read the sessions: give FileStore a path that only this user can reach."


class FileStore:
    """Keeps each session in a file that only this user can read.

    A record is replaced in one step and is on the disk before ``save`` returns. A killed process leaves the
    old record or the new one, and does not block the others. Links, and files or folders that others can
    reach, are refused. Nothing is written to a folder where the user may not read, write and enter. Hosts may
    share a folder if its file system locks across hosts.

    Args:
        path: The folder; ``~`` is the user's home. It is created when it is first needed, with mode 0700.
            Default: ``sessions`` in the user's data folder for ``app``.
        app: The app's name, for the default folder. It goes without ``path``.
        allow_insecure: Accept a folder and files that other users can reach, such as on a file system that
            keeps no modes.

    Raises:
        ConfigurationError: ``path`` is not the path of a folder, or is relative in a deleted working
            directory; ``app`` is not a name or goes with a ``path``; this user has no default folder; or the
            file system keeps no modes.
    """

    def __init__(
        self, path: str | PurePath | None = None, app: str = _APP, *, allow_insecure: bool = False
    ) -> None:
        """Check the folder; it is not created yet."""
        folder = _default_folder(app) if path is None else _given_folder(path, app)
        if not (allow_insecure or _keeps_modes(folder, is_default=path is None)):
            msg = (
                f"The file system of {folder} keeps no permissions, so other users could read the sessions."
                " Choose another folder with FileStore(path=...), or pass allow_insecure=True to accept it."
            )
            raise ConfigurationError(msg)
        self._folder = PrivateFolder(folder, allow_insecure=allow_insecure)
        self._held = HeldLocks[LockFile]()

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder.path

    def __repr__(self) -> str:
        """Show the folder."""
        folder = getattr(self, "_folder", None)
        return f"FileStore({str(folder and folder.path)!r})"

    def __reduce__(self) -> NoReturn:
        """Refuse to pickle and to copy."""
        raise uncopyable(self, "it notes the locks of its threads; make another one with the same path")

    def load(self, key: str) -> str | None:
        """Return the text last saved under ``key``, or ``None``.

        Raises:
            StoreCorrupt: The file is not UTF-8, or larger than 1 MiB.
            StoreUnavailable: The file cannot be read, or others can reach it.
        """
        file = self._file(key)
        with explained("read", file):
            return _read(self._folder, file) if self._folder.exists() else None

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Put ``text`` under ``key``; it is on the disk when this returns. ``expires_in`` is ignored.

        Raises:
            StoreCorrupt: ``text`` is larger than 1 MiB, or not valid Unicode. Nothing was written.
            StoreLocked: This thread had the lock of ``key`` and lost it. Nothing was written.
            StoreUnavailable: The folder or the disk refuses. The text that was there before is untouched,
                unless the disk fails in the last step: then the new text is there, and may not be durable.
        """
        del expires_in
        secret = Secret(text)
        del text  # before anything can raise: a traceback shows the locals
        refuse_unfit(secret)
        _write(self._folder, self._file(key), secret, self._held.find(key))

    def delete(self, key: str) -> None:
        """Remove the text under ``key``.

        Raises:
            StoreLocked: This thread had the lock of ``key`` and lost it. Nothing was removed.
            StoreUnavailable: The folder or the disk refuses.
        """
        file, lock = self._file(key), self._held.find(key)
        with explained("delete", file):
            if not self._folder.exists(for_writing=True):
                return
            if lock is not None:
                lock.refuse_lost()
                self._sweep(file)
            with synced(self.path):
                patiently(file.unlink, missing_ok=True)

    @contextmanager
    def lock(self, key: str, timeout: float) -> Generator[LockedValue]:
        """Lock ``key`` against every other thread and process, waiting up to ``timeout`` seconds.

        The lock is a file beside the record. The operating system releases it when its holder dies.

        Raises:
            StoreLocked: Another holder had it for the whole wait.
            StoreUnavailable: The folder refuses, or others can reach it.
        """
        file = self._file(key)
        with explained("lock", file):
            self._folder.make()
        with file_lock(self._folder, file.with_suffix(".lock"), timeout) as lock, self._held.noted(key, lock):
            yield _LockedFile(self._folder, file, lock)

    def quarantine(self, key: str) -> str | None:
        """Rename the file of ``key`` to the next free ``*.corrupt-N`` and return its new path.

        Raises:
            StoreUnavailable: The folder or the disk refuses.
        """
        file = self._file(key)
        with explained("rename", file):
            if not (self._folder.exists(for_writing=True) and os.path.lexists(file)):
                return None
            names = (file.with_name(f"{file.name}.corrupt-{number}") for number in count(1))
            place = next(name for name in names if not os.path.lexists(name))
            with synced(self.path):
                patiently(os.rename, file, place)
        return str(place)

    def describe(self) -> Mapping[str, str]:
        """Return facts for ``doctor``: where the files are, who can reach them, and what prevents a save."""
        facts = {
            "where": str(self.path),
            "permissions": self._folder.permissions(),
            "lock": "a file beside each session; the system frees it when its holder dies",
            "encrypted": "no",
        }
        advice = [_INSECURE] if self._folder.allow_insecure else []
        try:
            with explained("save to", self.path):
                self._folder.try_out()
        except StoreError as error:
            advice.append(str(error))
        return facts | ({"advice": " ".join(advice)} if advice else {})

    def _file(self, key: str) -> Path:
        return self._folder.path / f"{name_of(key)}.session"

    def _sweep(self, file: Path) -> None:
        """Remove the temporary files of killed writers. It reads the whole folder: too slow for each save."""
        for left in self.path.glob(_temporary(file, "*").name):
            with suppress(OSError):
                if left == _temporary(file, "locked") or left.stat().st_mtime < time.time() - _OLD:
                    left.unlink()


class _LockedFile:
    """The text in one file while its lock is held."""

    def __init__(self, folder: PrivateFolder, file: Path, lock: LockFile) -> None:
        self._folder = folder
        self._file = file
        self._lock = lock

    def load(self) -> str | None:
        """Return the text, or ``None``."""
        with explained("read", self._file):
            return _read(self._folder, self._file)

    def save(self, text: str, *, expires_in: float | None = None, release: bool = False) -> None:
        """Save the text while the lock is held, and release the lock if ``release`` says so."""
        del expires_in
        secret = Secret(text)
        del text  # before anything can raise: a traceback shows the locals
        refuse_unfit(secret)
        _write(self._folder, self._file, secret, self._lock)
        if release:
            self._lock.release()


def _read(folder: PrivateFolder, file: Path) -> str | None:
    try:
        descriptor = folder.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as opened:
        return decoded(opened.read(LARGEST + 1), str(file))


def _write(folder: PrivateFolder, file: Path, secret: Secret, lock: LockFile | None) -> None:
    with explained("save to", file):
        if lock is None:
            folder.make()
            temporary = _temporary(file, f"free-{secrets.token_hex(8)}")
        else:
            # One name will do for all holders, who write one at a time. So the file that a killed holder left
            # is found by its name.
            lock.refuse_lost()
            temporary = _temporary(file, "locked")
            patiently(temporary.unlink, missing_ok=True)
        with suppress(FileNotFoundError):  # refuse to replace a link or another user's file
            folder.check_file(file)
        with synced(folder.path):
            try:
                folder.write_new(temporary, secret)
                patiently(os.replace, temporary, file)
            except StoreLocked:  # the temporary file belongs to another holder
                raise
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise


def _temporary(file: Path, kind: str) -> Path:
    return file.with_name(f"{file.name}.{kind}.tmp")


def _default_folder(app: object) -> Path:
    name = check_app(app, "FileStore(app=...)")
    with suppress(RuntimeError):  # platformdirs raises it for a user without a home
        folder = user_data_path(name, appauthor=False) / "sessions"
        if folder.is_absolute():  # some versions return a relative path instead
            return folder
    msg = "This user has no home folder: choose a folder with FileStore(path=...), or set HOME."
    raise ConfigurationError(msg)


def _given_folder(path: object, app: str) -> Path:
    if app != _APP:
        msg = "FileStore(path=..., app=...): app names the default folder, and path replaces it. Pass one."
        raise ConfigurationError(msg)
    if isinstance(path, str | PurePath) and str(path):
        return _absolute(Path(path))
    msg = "FileStore(path=...) takes the path of a folder: a text that is not empty, or a pathlib.Path."
    raise ConfigurationError(msg)


def _absolute(path: Path) -> Path:
    try:
        with suppress(OSError):
            os.lstat(path)  # raises ValueError for what the system cannot take, such as a null character
        return path.expanduser().absolute()
    except ValueError:
        problem = "no path can contain one of its characters. Remove it"
    except RuntimeError:
        problem = "there is no such user, or the user has no home folder"
    except OSError:
        problem = "the working directory does not exist any more. Pass an absolute path"
    raise ConfigurationError(f"FileStore(path={str(path)!r}): {problem}.")


def _keeps_modes(folder: Path, *, is_default: bool) -> bool:
    try:
        return keeps_modes(folder)
    except OSError as error:
        problem = error.strerror
    # A folder that the app has chosen may become usable later. The default folder of a user without a home,
    # as in many containers, will not.
    if is_default:
        msg = (
            f"The default folder {folder} cannot be used: {problem}. Choose another one with"
            " FileStore(path=...)."
        )
        raise ConfigurationError(msg)
    return True
