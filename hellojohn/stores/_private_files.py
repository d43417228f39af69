"""Files and folders that nobody else can reach: opened, checked and replaced. Knows no store and no lock.

On Windows the profile's access lists keep others out, so owner and mode are checked on POSIX only.
"""

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from hellojohn._errors import StoreError, StoreLocked, StoreUnavailable
from hellojohn._secret import Secret

_OPEN = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
T = TypeVar("T")

_PATIENCE = 50
_SHARING_ERRORS = {5, 32}  # Windows: a virus scanner or a reader has the file open for a moment
# What file systems answer that cannot sync folders, such as those of a network.
_NO_NOTION = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP}
_FIXES = {
    errno.ENOSPC: "Free some space",
    errno.EDQUOT: "Free some space",
    errno.EROFS: "Give the store a path on a file system that can be written",
    errno.EACCES: "Give this user the folder (chown, chmod 700), or give the store another path",
    errno.EPERM: "Give this user the folder (chown, chmod 700), or give the store another path",
    errno.ENOTDIR: "Move away the file that is in the folder's place, or give the store another path",
    errno.EEXIST: "Move away the file that is in the folder's place, or give the store another path",
    errno.ELOOP: "Replace the symbolic link by what it points to, or give the store the real path",
    errno.EISDIR: "Move away the folder that is in the file's place",
}


@contextmanager
def explained(action: str, path: Path) -> Generator[None]:
    """Turn an ``OSError`` into ``StoreUnavailable``, with the path and the fix."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        fix = _FIXES.get(error.errno or 0, "Check the disk and the folder, or give the store another path")
        msg = f"Cannot {action} {path}: {error.strerror or error}. {fix}."
        raise StoreUnavailable(msg) from error


def make_private_folder(folder: Path) -> None:
    """Create ``folder`` and its missing parents for this user alone; check it when it exists."""
    missing = [parent for parent in (folder, *folder.parents) if not os.path.lexists(parent)]
    for parent in reversed(missing):
        with contextlib.suppress(FileExistsError):
            parent.mkdir(mode=0o700)
        with contextlib.suppress(PermissionError):  # a parent may allow entering and not reading
            sync_folder(parent.parent)
    check_private_folder(folder)


def check_private_folder(folder: Path) -> None:
    """Refuse a folder that is a link, or that others can reach."""
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, "it is a symbolic link")
    if not stat.S_ISDIR(status.st_mode):
        raise OSError(errno.ENOTDIR, "it is no folder")
    _check_private(status, folder, "700")


def open_private(path: Path, flags: int) -> int:
    """Open a regular file of this user's, without following a link; create it 0600 with ``os.O_CREAT``."""
    descriptor = os.open(path, flags | _OPEN, 0o600)
    try:
        status = os.fstat(descriptor)
        _check_regular(status)
        _check_private(status, path, "600")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def write_new(path: Path, text: Secret) -> None:
    """Write a file that must not exist yet, down to the disk.

    Raises:
        StoreLocked: Another file is there by now: somebody else has the lock as well.
    """
    with os.fdopen(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
        file.write(text.reveal().encode())
        file.flush()
        os.fsync(file.fileno())
        if not os.path.samestat(path.lstat(), os.fstat(file.fileno())):
            msg = f"The lock of {path} was lost: its file was removed, or the file system keeps no locks."
            raise StoreLocked(msg)


def patiently(action: Callable[[], T]) -> T:
    """Open, rename or remove a file, waiting while somebody on Windows has it open for a moment."""
    for _ in range(_PATIENCE):
        try:
            return action()
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _SHARING_ERRORS:
                raise
        time.sleep(0.01)
    return action()


def sync_folder(folder: Path) -> None:
    """Make creations, renames and removals in ``folder`` last through a power cut."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_NOTION:
            raise
    finally:
        os.close(descriptor)


def permissions(folder: Path) -> str:
    """Say in words who can reach ``folder`` and the files in it. It refuses nothing and changes nothing."""
    if sys.platform == "win32":
        return "the access lists of the user's profile"
    try:
        modes = {_mode(file) for file in folder.iterdir()}
        return f"folder {_mode(folder)}, files {', '.join(sorted(filter(None, modes))) or 'none yet'}"
    except FileNotFoundError:
        return "not created yet"
    except OSError as error:
        return f"unknown ({error.strerror})"


def _mode(path: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return f"{stat.S_IMODE(path.lstat().st_mode):04o}"
    return ""


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EISDIR, "it is no regular file")


def _check_private(status: os.stat_result, path: Path, mode: str) -> None:
    if sys.platform == "win32":
        return
    if status.st_uid != os.geteuid():
        msg = f"{path} belongs to another user. Take it over with chown, or give the store another path."
        raise StoreUnavailable(msg)
    if stat.S_IMODE(status.st_mode) & 0o077:
        msg = f"Others can reach {path}. Run: chmod {mode} {path}"
        raise StoreUnavailable(msg)
