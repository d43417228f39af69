"""FileStore: private, atomic, and patient with everything a disk and a process can do."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hellojohn._errors import ConfigurationError, StoreCorrupt, StoreLocked, StoreUnavailable
from hellojohn.stores import FileStore, _file_lock
from hellojohn.testing import TokenStoreContract
from tests.stores.forking import in_forked_child


@pytest.fixture
def store(tmp_path) -> FileStore:
    """Return a store in a folder that does not exist yet."""
    return FileStore(tmp_path / "sessions")


class TestFileStore(TokenStoreContract):
    """It keeps the contract."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path) -> None:
        self.path = tmp_path / "sessions"

    def make_store(self) -> FileStore:
        """Return a store of this test's folder."""
        return FileStore(self.path)

    def corrupt(self, key: str) -> None:
        """Write what is not UTF-8."""
        self.make_store()._file(key).write_bytes(b"\xff")


def _names(store: FileStore, pattern: str = "*") -> list[str]:
    return sorted(path.name for path in store.path.glob(pattern))


def _record(store: FileStore) -> Path:
    (file,) = store.path.glob("*.session")
    return file


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Where things are


def test_the_default_folder_is_the_users_data_folder(monkeypatch, tmp_path):
    """An app gets a folder of its own without saying where."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert FileStore(app="demo").path.name == "sessions"
    assert "demo" in FileStore(app="demo").path.parts
    assert repr(FileStore("/x")) == f"FileStore({str(Path('/x').absolute())!r})"


def test_a_relative_path_means_the_folder_it_meant_at_construction(monkeypatch, tmp_path):
    """A later ``chdir`` must not move the sessions."""
    monkeypatch.chdir(tmp_path)
    store = FileStore("here")
    monkeypatch.chdir("/")
    store.save("k", "text")
    assert (tmp_path / "here").is_dir()


@pytest.mark.parametrize("path", ["", b"x", 5])
def test_a_path_that_is_none_is_a_configuration_error(path):
    """An empty environment variable must not mean the current folder."""
    with pytest.raises(ConfigurationError, match="path of a folder"):
        FileStore(path)


def test_a_tilde_is_the_users_home(monkeypatch, tmp_path):
    """A folder of that name would be another one in each folder the program starts in."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert FileStore("~/app").path == tmp_path / "app"
    with pytest.raises(ConfigurationError, match="no such user"):
        FileStore("~nobody-of-this-name/app")


@pytest.mark.parametrize("app", ["", ".", "..", "../other", "a/b", "a\\b", "a\0b", None, 5])
def test_an_app_that_is_no_name_is_a_configuration_error(app):
    """All who have none would share their sessions, and a path may lead anywhere."""
    with pytest.raises(ConfigurationError, match="app's name"):
        FileStore(app=app)


def test_a_holder_that_has_lost_its_lock_publishes_nothing_of_the_others(store, monkeypatch):
    """A cleaner removed the lock file: two write at once, and neither may show half a record."""
    store.save("k", "old")
    sync = os.fsync

    def overtaken(descriptor):
        sync(descriptor)
        for temporary in store.path.glob("*.tmp"):
            temporary.unlink()
            temporary.write_text("half a rec")

    monkeypatch.setattr(os, "fsync", overtaken)
    with store.lock("k", 1), pytest.raises(StoreLocked, match="was lost"):
        store.save("k", "mine")
    assert store.load("k") == "old"
    assert [file.read_text() for file in store.path.glob("*.tmp")] == ["half a rec"]


def test_nothing_is_created_by_looking(store):
    """Loading and deleting in a folder that does not exist leave no trace."""
    assert store.load("k") is None
    store.delete("k")
    assert not store.path.exists()


def test_keys_that_differ_in_case_only_have_files_that_differ_in_more(store):
    """A case-insensitive file system must not merge two accounts."""
    for key in ("Ada", "ada", "ADA", "ádá", "", "../../etc/passwd", "a/b\\c:d*e?", "x" * 5000, "\udcff"):
        store.save(key, f"of {key!r}")
    names = _names(store)
    assert len({name.lower() for name in names}) == len(names) == 9
    assert all(len(name) < 120 and name.isascii() for name in names)


# Private


def test_everything_is_private_whatever_the_umask(store):
    """Nobody else may read a session, not even while it is written."""
    before = os.umask(0)
    try:
        with store.lock("k", 1):
            store.save("k", "text")
    finally:
        os.umask(before)
    assert _mode(store.path) == 0o700
    assert {_mode(file) for file in store.path.iterdir()} == {0o600}


def test_missing_parents_are_private_too(tmp_path):
    """A parent that others can write would let them swap the folder."""
    before = os.umask(0)
    try:
        FileStore(tmp_path / "a" / "b").save("k", "text")
    finally:
        os.umask(before)
    assert _mode(tmp_path / "a") == 0o700


@pytest.mark.parametrize("act", ["load", "save", "delete", "lock", "quarantine"])
def test_a_folder_that_others_can_reach_is_refused_with_the_chmod(store, act):
    """Tokens in a shared folder are tokens given away."""
    store.save("k", "text")
    store.path.chmod(0o755)
    with pytest.raises(StoreUnavailable, match=f"chmod 700 {store.path}"):
        _act(store, act)


@pytest.mark.parametrize("act", ["load", "save"])
def test_a_file_that_others_can_read_is_refused_with_the_chmod(store, act):
    """A session that others have seen is not used as if nothing had happened."""
    store.save("k", "text")
    _record(store).chmod(0o640)
    with pytest.raises(StoreUnavailable, match=r"chmod 600 \S+\.session"):
        _act(store, act)


@pytest.mark.parametrize("act", ["load", "save", "lock"])
def test_a_linked_folder_is_refused(tmp_path, act):
    """A link can be turned to another folder at any time."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(StoreUnavailable, match="symbolic link"):
        _act(FileStore(tmp_path / "link"), act)


@pytest.mark.parametrize("act", ["load", "save"])
def test_a_linked_record_is_refused(store, tmp_path, act):
    """Reading or replacing through a link would touch a file that is not the store's."""
    store.save("k", "text")
    target = _record(store).rename(tmp_path / "elsewhere")
    (store.path / store._file("k").name).symlink_to(target)
    with pytest.raises(StoreUnavailable, match="symbolic link"):
        _act(store, act)
    assert target.read_text() == "text"


def test_a_linked_lock_is_refused(store, tmp_path):
    """Locking through a link would create a file elsewhere."""
    store.save("k", "text")
    store._file("k").with_suffix(".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailable, match="symbolic link"), store.lock("k", 1):
        pytest.fail("locked")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused_and_blocks_nobody(store, make):
    """A pipe in a record's place would block its reader for ever."""
    store.save("k", "text")
    file = _record(store)
    file.unlink()
    make(file)
    file.chmod(0o700)
    for act in ("load", "save"):
        with pytest.raises(StoreUnavailable, match=r"regular file|directory"):
            _act(store, act)


def test_what_another_user_owns_is_refused(store, monkeypatch):
    """Another user can change what they own while it is in use."""
    store.save("k", "text")
    monkeypatch.setattr(os, "geteuid", lambda: store.path.stat().st_uid + 1)
    with pytest.raises(StoreUnavailable, match=r"belongs to another user.*chown"):
        store.load("k")


# Atomic


def test_a_write_that_fails_leaves_the_old_record_and_no_rubbish(store):
    """A full disk costs the update, never the session."""
    store.save("k", "old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(StoreUnavailable, match=r"Cannot save to \S+: File too large") as caught:
            store.save("k", "marker-secret" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.load("k") == "old"
    assert _names(store, "*.tmp") == []
    assert not any("marker-secret" in repr(entry.frame.f_locals) for entry in caught.traceback[1:])


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EROFS, "file system that can be written"),
        (errno.EACCES, "chmod 700"),
        (errno.EIO, "Check the disk"),
    ],
)
def test_every_refusal_of_the_disk_names_the_path_and_the_fix(store, monkeypatch, number, fix):
    """The one who reads the message can act on it."""
    store.save("k", "old")

    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(StoreUnavailable, match=fix) as caught:
            store.save("k", "new")
    assert str(store.path) in str(caught.value)
    assert store.load("k") == "old"


def test_a_file_in_the_folders_place_is_named(tmp_path):
    """Neither the folder nor its parent can be a file."""
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        for act in ("load", "save", "lock"):
            with pytest.raises(StoreUnavailable, match="Move away the file"):
                _act(FileStore(path), act)


def test_a_folder_that_cannot_be_written_is_named():
    """A read-only place is reported at the first save, with what to do."""
    with pytest.raises(StoreUnavailable, match=r"Cannot save to /proc/nowhere"):
        FileStore("/proc/nowhere").save("k", "text")


@pytest.mark.parametrize(
    "number", [errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP], ids=errno.errorcode.get
)
def test_a_file_system_that_cannot_sync_folders_is_accepted(store, monkeypatch, number):
    """Network file systems say so in several ways, and have nothing to sync."""
    real = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, "no")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    store.save("k", "text")
    assert store.load("k") == "text"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.get)
def test_a_disk_that_cannot_sync_the_folder_is_reported(store, monkeypatch, number):
    """The rename may not last: the caller must not believe that it does."""
    real = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    store.save("k", "text")
    monkeypatch.setattr(os, "fsync", refuse_folders)
    with pytest.raises(StoreUnavailable, match=os.strerror(number)):
        store.save("k", "newer")


def test_a_parent_that_cannot_be_read_is_no_obstacle(tmp_path, monkeypatch):
    """A folder may allow creating and entering without listing."""
    real = os.open

    def refuse_the_parent(path, flags, *rest, **named):
        if path == tmp_path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", refuse_the_parent)
    store = FileStore(tmp_path / "sessions")
    store.save("k", "text")
    assert store.load("k") == "text"


def test_on_windows_owners_modes_and_folder_syncs_are_left_to_the_system(store, monkeypatch):
    """Its access lists keep others out, and its modes and folders mean nothing."""
    store.save("k", "text")
    store.path.chmod(0o755)
    _record(store).chmod(0o644)
    monkeypatch.setattr(sys, "platform", "win32")
    store.save("k", "newer")
    assert store.load("k") == "newer"


def test_a_windows_reader_delays_a_rename_and_does_not_fail_it(store, monkeypatch):
    """A virus scanner has every new file open for a moment."""
    real, refusals = Path.replace, iter([True, True, False])

    def replace(self: Path, target: Path) -> Path:
        if next(refusals):
            error = PermissionError(errno.EACCES, "in use")
            error.winerror = 32
            raise error
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    store.save("k", "text")
    assert store.load("k") == "text"


@pytest.mark.parametrize(("winerror", "tries"), [(32, 51), (None, 1)])
def test_a_file_that_stays_open_is_given_up_at_last(store, monkeypatch, winerror, tries):
    """And a refusal that no waiting heals is reported at once."""
    tried = []

    def refuse(self: Path, target: Path) -> Path:
        tried.append(target)
        error = PermissionError(errno.EACCES, "in use")
        error.winerror = winerror
        raise error

    monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.setattr("hellojohn.stores._private_files.time.sleep", lambda seconds: None)
    with pytest.raises(StoreUnavailable, match="in use"):
        store.save("k", "text")
    assert len(tried) == tries


@pytest.mark.parametrize("text", ["\udc80", "x" * (1024 * 1024 + 1)], ids=["surrogate", "1 MiB and 1"])
def test_a_text_that_could_not_be_loaded_again_is_not_saved(store, text):
    """Saving it would lose the record that is there."""
    store.save("k", "old")
    with pytest.raises(StoreCorrupt, match="Nothing was saved") as caught:
        store.save("k", text)
    assert caught.value.__context__ is None
    assert store.load("k") == "old"


# Corrupt


@pytest.mark.parametrize("data", [b"marker\xff", b"marker" * 200_000], ids=["not UTF-8", "too large"])
def test_what_is_no_text_of_ours_is_reported_and_renamed_on_demand(store, data):
    """Corrupt data is neither lost nor in the way for ever."""
    store.save("k", "text")
    file = _record(store)
    file.write_bytes(data)
    with pytest.raises(StoreCorrupt, match=str(file)) as caught:
        store.load("k")
    assert caught.value.__context__ is None
    assert not any("marker" in repr(entry.frame.f_locals) for entry in caught.traceback[1:])
    assert store.quarantine("k") == f"{file}.corrupt-1"
    assert Path(f"{file}.corrupt-1").read_bytes() == data
    assert _mode(Path(f"{file}.corrupt-1")) == 0o600
    assert store.load("k") is None


def test_records_quarantine_never_overwrite_each_other(store):
    """Each is kept under the next free number, and its place is returned."""
    places = []
    for text in ("first", "second"):
        store.save("k", text)
        places.append(store.quarantine("k"))
    assert [Path(place).read_text() for place in places] == ["first", "second"]


# Killed writers


def test_the_next_holder_of_the_lock_removes_what_a_killed_holder_left(store):
    """Half-written tokens do not stay on the disk."""
    store.save("k", "text")
    left = _left_by_a_holder(store)
    store.save("k", "without the lock")
    assert left.exists()
    with store.lock("k", 1):
        store.save("k", "with it")
    assert store.load("k") == "with it"
    assert _names(store, "*.tmp") == []


@pytest.mark.parametrize("make", [Path.symlink_to, Path.hardlink_to])
def test_a_link_in_a_killed_holder_s_place_is_not_written_through(store, tmp_path, make):
    """Its name can be foreseen: whoever could put a link there must not have a file overwritten by it."""
    store.save("k", "text")
    (tmp_path / "elsewhere").write_text("theirs")
    left = _left_by_a_holder(store)
    left.unlink()
    make(left, tmp_path / "elsewhere")
    with store.lock("k", 1):
        store.save("k", "newer")
    assert (tmp_path / "elsewhere").read_text() == "theirs"
    assert (store.load("k"), _record(store).is_symlink()) == ("newer", False)
    assert _mode(_record(store)) == 0o600


def test_a_folder_in_a_killed_holder_s_place_is_named(store):
    """Nothing is removed that is not a file."""
    store.save("k", "text")
    left = _left_by_a_holder(store)
    left.unlink()
    left.mkdir()
    with store.lock("k", 1), pytest.raises(StoreUnavailable, match=r"Cannot save to"):
        store.save("k", "newer")
    assert store.load("k") == "text"


def test_a_save_does_not_read_the_folder(store, monkeypatch):
    """A refresh must not take longer because others have signed in: there is a file for each account."""

    def refuse(*args, **named):
        pytest.fail("read the folder")

    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, refuse)
    with store.lock("k", 1):
        store.save("k", "text")
        assert store.load("k") == "text"


def test_signing_out_removes_them_too(store):
    """After a delete no token is left."""
    store.save("k", "text")
    _left_by_a_holder(store)
    with store.lock("k", 1):
        store.delete("k")
    assert _names(store, "*.session*") == []


def test_a_live_writer_without_the_lock_keeps_its_file_until_it_is_old(store):
    """A save without the lock may be under way at any moment; an hour later it is not."""
    store.save("k", "text")
    left = Path(f"{_record(store)}.free-0123456789abcdef.tmp")
    left.write_text("half")
    with store.lock("k", 1):
        store.delete("k")
        assert left.exists()
        long_ago = time.time() - 3700
        os.utime(left, (long_ago, long_ago))
        store.delete("k")
    assert not left.exists()


def test_another_keys_files_are_left_alone(store):
    """The lock of one key says nothing about the writers of another."""
    store.save("other", "text")
    left = _left_by_a_holder(store)
    with store.lock("k", 1):
        store.save("k", "text")
        store.delete("k")
    assert left.exists()


def _left_by_a_holder(store: FileStore) -> Path:
    left = Path(f"{_record(store)}.locked.tmp")
    left.write_text("half")
    return left


# Locks and processes

_HOLD = """
import sys
from hellojohn.stores import FileStore
with FileStore(sys.argv[1]).lock("k", 10):
    print("held", flush=True)
    sys.stdin.read()
"""


def _holder(store: FileStore) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", _HOLD, store.path], stdin=pipe, stdout=pipe)
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_lock_excludes_other_processes_until_their_holder_is_killed(store):
    """A killed holder blocks nobody, and leaves nothing to clean up."""
    with _holder(store) as process:
        with pytest.raises(StoreLocked, match=r"\.lock for 0\.02 s"), store.lock("k", 0.02):
            pytest.fail("locked twice")
        process.send_signal(signal.SIGKILL)
        process.wait()
        with store.lock("k", 0):
            pass


def test_the_lock_file_stays(store):
    """Unlinking it would let two holders in: one on the old file, one on the new."""
    with store.lock("k", 1):
        file = store._file("k").with_suffix(".lock")
        inode = file.stat().st_ino
    with store.lock("k", 1):
        assert file.stat().st_ino == inode


def test_a_lock_on_a_file_that_was_removed_meanwhile_does_not_count(store, monkeypatch):
    """Somebody tidied up between the opening and the locking: the lock would exclude nobody."""
    real, file = _file_lock.lock_descriptor, store._file("k").with_suffix(".lock")
    tidied = iter([True, False])

    def tidy_first(descriptor: int, *, blocking: bool) -> bool:
        if next(tidied):
            file.unlink()
        return real(descriptor, blocking=blocking)

    monkeypatch.setattr(_file_lock, "lock_descriptor", tidy_first)
    with store.lock("k", 1):
        assert file.exists()
    assert next(tidied, None) is None


def test_a_lock_file_that_was_replaced_meanwhile_does_not_count(store, monkeypatch):
    """Another process made a new one: the two would lock different files."""
    real, file = _file_lock.lock_descriptor, store._file("k").with_suffix(".lock")
    replaced = iter([True, False])

    def replace_first(descriptor: int, *, blocking: bool) -> bool:
        if next(replaced):
            file.unlink()
            file.touch(0o600)
        return real(descriptor, blocking=blocking)

    monkeypatch.setattr(_file_lock, "lock_descriptor", replace_first)
    with store.lock("k", 1):
        monkeypatch.undo()
        with pytest.raises(StoreLocked), store.lock("k", 0):
            pytest.fail("two holders")


def test_a_file_system_without_locks_is_reported(store, monkeypatch):
    """Going on without a lock would let two processes spend one token."""

    def refuse(descriptor: int, *, blocking: bool) -> bool:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(_file_lock, "lock_descriptor", refuse)
    with pytest.raises(StoreUnavailable, match="Function not implemented"), store.lock("k", 1):
        pytest.fail("locked")
    assert not _file_lock._opened


def test_a_child_forked_inside_a_lock_does_not_hold_it(store):
    """The parent alone may go on; the child must neither write nor release in its name."""

    def try_to_lock() -> str:
        with store.lock("k", 0.02):
            return "locked"

    with store.lock("k", 1):
        assert in_forked_child(try_to_lock).startswith("StoreLocked: ")
        assert in_forked_child(lambda: str(store.save("k", "the child's"))).startswith("StoreLocked: ")
        with pytest.raises(StoreLocked), store.lock("k", 0):
            pytest.fail("the child released the parent's lock")
    assert in_forked_child(try_to_lock) == "locked"


def test_a_child_does_not_wait_for_itself_when_the_parent_has_gone_on(store):
    """An inherited descriptor must not keep the lock alive after the parent has released it."""
    go, told = os.pipe()
    held, forked = threading.Event(), threading.Event()

    def lock_after_the_parent() -> str:
        os.read(go, 1)
        with store.lock("k", 0):
            return "locked"

    def hold() -> None:
        with store.lock("k", 1):
            held.set()
            forked.wait()
        os.write(told, b"x")

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    os.register_at_fork(after_in_parent=forked.set)
    assert in_forked_child(lock_after_the_parent) == "locked"
    holder.join()


def test_a_lock_may_be_left_on_another_thread(store):
    """A generator that held it may be collected anywhere; the thread that took it holds it no more."""
    holder = store.lock("k", 1)
    holder.__enter__()
    thread = threading.Thread(target=holder.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    assert not store._held.holds("k")
    with store.lock("k", 0):
        pass


def test_a_child_that_outlives_a_killed_parent_can_lock(store):
    """A worker must not be blocked by the descriptor it inherited from its master."""
    code = """
import os, signal, sys
from hellojohn.stores import FileStore
store = FileStore(sys.argv[1])
with store.lock("k", 1):
    parent = os.getpid()
    if os.fork() == 0:
        os.kill(parent, signal.SIGKILL)
        while os.getppid() == parent:
            pass
        with store.lock("k", 0):
            print("locked", flush=True)
        os._exit(0)
    signal.pause()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, store.path], stdout=subprocess.PIPE, timeout=20, check=False
    )
    assert done.stdout == b"locked\n"


def _act(store: FileStore, act: str) -> None:
    match act:
        case "save":
            store.save("k", "new")
        case "lock":
            with store.lock("k", 1):
                pass
        case _:
            getattr(store, act)("k")
