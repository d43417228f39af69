"""Files and folders that only their owner can reach: opened, checked, replaced. Knows no store and no lock.

On Windows, the access lists of the user's profile protect them, so owner and mode are checked on POSIX only.
"""

import errno
import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from hellojohn._errors import StoreError, StoreLocked, StoreUnavailable
from hellojohn._secret import Secret

P = ParamSpec("P")
T = TypeVar("T")

_OPEN = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
_FOLDER, _FILE = 0o700, 0o600
_OTHERS = 0o077
_PATIENCE = 50
_PROBE = ".hellojohn-"
_SHARING_ERRORS = {5, 32}  # Windows: a virus scanner or a reader has the file open for a moment
# The answers of file systems that cannot sync folders, such as network file systems.
_CANNOT_SYNC = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP}
_FIXES = {
    errno.ENOSPC: "Free some space",
    errno.EDQUOT: "Free some space",
    errno.EROFS: "Give the store a path on a file system that can be written",
    errno.EACCES: "Give this user the folder (chown, chmod 700), or give the store another path",
    errno.EPERM: "Give this user the folder (chown, chmod 700), or give the store another path",
    errno.ENOTDIR: "Move away the file that is in the folder's place, or give the store another path",
    errno.EEXIST: "Move away the file that is in the folder's place, or give the store another path",
    errno.ELOOP: "Replace the symbolic link by its target, or give the store the real path",
    errno.EISDIR: "Move away {}",
}
# The errors for a path of the wrong kind, by the kind that was expected, or for a link.
_WRONG_KIND = {
    stat.S_IFLNK: (errno.ELOOP, "it is a symbolic link"),
    stat.S_IFDIR: (errno.ENOTDIR, "it is not a folder"),
    stat.S_IFREG: (errno.EISDIR, "it is not a regular file"),
}


class PrivateFolder:
    """A folder for private files.

    Attributes:
        path: The folder.
        allow_insecure: Whether files and folders that other users can reach are accepted.
    """

    def __init__(self, path: Path, *, allow_insecure: bool = False) -> None:
        """Note the folder; nothing is read or written yet."""
        self.path = path
        self.allow_insecure = allow_insecure

    def make(self) -> None:
        """Create the folder and its missing parents for this user alone; check that files can be written."""
        try:
            self.check(for_writing=True)
        except FileNotFoundError:
            self._create()
            self.check(for_writing=True)

    def check(self, *, for_writing: bool = False) -> None:
        """Refuse a folder that is a link, or that others can reach.

        Args:
            for_writing: Also refuse a folder where its owner lacks a right. Replacing a file takes all three:
                the folder is read to sync it.

        Raises:
            FileNotFoundError: The folder does not exist.
            OSError: It is a link, or not a folder.
            StoreUnavailable: Others can reach it, or its owner lacks a right.
        """
        self._check(self.path.lstat(), self.path, stat.S_IFDIR, for_writing=for_writing)

    def exists(self, *, for_writing: bool = False) -> bool:
        """Return whether the folder is there; check it if it is."""
        try:
            self.check(for_writing=for_writing)
        except FileNotFoundError:
            return False
        return True

    def check_file(self, file: Path) -> None:
        """Refuse a file that is a link, not a regular file, or that others can reach.

        Raises:
            FileNotFoundError: The file does not exist.
            OSError: It is a link, or not a regular file.
            StoreUnavailable: Others can reach it.
        """
        self._check(file.lstat(), file, stat.S_IFREG)

    def open(self, file: Path, flags: int) -> int:
        """Open a regular file of this user, without following a link; create it 0600 with ``os.O_CREAT``."""
        descriptor = patiently(os.open, file, flags | _OPEN, _FILE)
        try:
            status = os.fstat(descriptor)
            self._check(status, file, stat.S_IFREG)
            if flags & os.O_CREAT and sys.platform != "win32" and status.st_mode & _FILE != _FILE:
                os.fchmod(descriptor, _FILE)  # the umask took a right from the owner
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def write_new(self, file: Path, text: Secret) -> None:
        """Write a file that must not exist yet, and sync it to the disk.

        Raises:
            StoreLocked: Another file has taken its place: another holder has the lock as well.
        """
        with os.fdopen(self.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as opened:
            opened.write(text.reveal().encode())
            opened.flush()
            os.fsync(opened.fileno())
            if not os.path.samestat(file.lstat(), os.fstat(opened.fileno())):
                msg = f"The lock of {file} was lost: its file was removed, or the file system keeps no locks."
                raise StoreLocked(msg)

    def try_out(self) -> None:
        """Create a folder where the next file goes, and remove it.

        Raises:
            OSError: Nothing can be created there.
            StoreUnavailable: Others can reach the folder, or its owner lacks a right.
        """
        if self.exists(for_writing=True):
            with synced(self.path):
                _probe(self.path)
        else:
            _probe(_existing(self.path))

    def permissions(self) -> str:
        """Say in words who can reach the folder and its files. It refuses nothing and changes nothing."""
        if sys.platform == "win32":
            return "the access lists of the user's profile"
        try:
            modes = {_mode(file) for file in self.path.iterdir()}
            return f"folder {_mode(self.path)}, files {', '.join(sorted(filter(None, modes))) or 'none yet'}"
        except FileNotFoundError:
            return "not created yet"
        except OSError as error:
            return f"unknown ({error.strerror})"

    def _create(self) -> None:
        missing = [parent for parent in (self.path, *self.path.parents) if not os.path.lexists(parent)]
        for parent in reversed(missing):
            with suppress(FileExistsError):
                parent.mkdir(mode=_FOLDER)
                # Only where the umask took a right from the owner: a file system without modes may refuse it.
                if parent.lstat().st_mode & _FOLDER != _FOLDER:
                    parent.chmod(_FOLDER)
            with suppress(PermissionError), synced(parent.parent):
                pass  # it was created already: a parent may allow entering and not reading

    def _check(self, status: os.stat_result, path: Path, kind: int, *, for_writing: bool = False) -> None:
        if stat.S_IFMT(status.st_mode) != kind:
            raise OSError(*_WRONG_KIND[stat.S_IFLNK if stat.S_ISLNK(status.st_mode) else kind])
        if sys.platform == "win32" or self.allow_insecure:
            return
        if status.st_uid != os.geteuid():
            msg = f"{path} belongs to another user. Take it over with chown, or give the store another path."
            raise StoreUnavailable(msg)
        if status.st_mode & _OTHERS:
            mode = _FOLDER if kind == stat.S_IFDIR else _FILE
            msg = f"Others can reach {path}. Run: chmod {mode:o} {path}"
            raise StoreUnavailable(msg)
        if for_writing and status.st_mode & _FOLDER != _FOLDER:
            msg = f"The owner of {path} may not read, write and enter it. Run: chmod {_FOLDER:o} {path}"
            raise StoreUnavailable(msg)


def keeps_modes(folder: Path) -> bool:
    """Return whether ``folder``, or the folder it will be created in, keeps the modes and owners of files.

    Drives of other systems (exFAT, SMB, Windows drives in WSL) often do not: everything there is open to all
    users or belongs to one of them, and chmod does nothing.

    Raises:
        OSError: Nothing can be created there.
    """
    if sys.platform == "win32":
        return True
    existing = _existing(folder)
    if existing == folder and not folder.stat().st_mode & _OTHERS:
        return True
    status = _probe(existing)
    return status.st_uid == os.geteuid() and not status.st_mode & _OTHERS


@contextmanager
def explained(action: str, path: Path) -> Generator[None]:
    """Turn an ``OSError`` into ``StoreUnavailable``, with the path and the fix."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        fix = _FIXES.get(error.errno or 0, "Check the disk and the folder, or give the store another path")
        in_the_way = error.filename or path  # such as a temporary file
        msg = f"Cannot {action} {path}: {error.strerror or error}. {fix.format(in_the_way)}."
        raise StoreUnavailable(msg) from error


def patiently(action: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Open, rename or remove a file; wait while another program on Windows has it open for a moment."""
    for _ in range(_PATIENCE):
        try:
            return action(*arguments, **options)
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _SHARING_ERRORS:
                raise
        time.sleep(0.01)
    return action(*arguments, **options)


@contextmanager
def synced(folder: Path) -> Generator[None]:
    """Make creations, renames and removals in ``folder`` survive a power cut.

    The folder is opened first, so that one that cannot be opened is left unchanged.
    """
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise
    finally:
        os.close(descriptor)


def _probe(folder: Path) -> os.stat_result:
    """Create a folder in ``folder``, remove it, and return its status."""
    probe = Path(tempfile.mkdtemp(prefix=_PROBE, dir=folder))
    try:
        return probe.lstat()
    finally:
        probe.rmdir()


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _mode(path: Path) -> str:
    with suppress(FileNotFoundError):
        return f"{stat.S_IMODE(path.lstat().st_mode):04o}"
    return ""
