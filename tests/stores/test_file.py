"""FileStore: where it keeps files, who can reach them, and how it replaces them."""

import errno
import os
import resource
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hellojohn._errors import ConfigurationError, StoreCorrupt, StoreLocked, StoreUnavailable
from hellojohn.stores import FileStore, KeyringStore, default_store
from hellojohn.testing import TokenStoreContract


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
        """Write bytes that are not UTF-8."""
        self.make_store()._file(key).write_bytes(b"\xff")


def _names(store: FileStore, pattern: str = "*") -> list[str]:
    return sorted(path.name for path in store.path.glob(pattern))


def _record(store: FileStore) -> Path:
    (file,) = store.path.glob("*.session")
    return file


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _act(store: FileStore, act: str) -> None:
    match act:
        case "save":
            store.save("k", "new")
        case "lock":
            with store.lock("k", 1):
                pass
        case _:
            getattr(store, act)("k")


# The folder


def test_the_default_folder_is_in_the_users_data_folder(home):
    """Each app has its own folder without naming a path."""
    store = FileStore(app="demo")
    assert store.path == home / ".local" / "share" / "demo" / "sessions"
    store.save("k", "text")
    assert FileStore(None, "demo").load("k") == "text"
    assert FileStore().load("k") is None


def test_its_representation_shows_the_folder():
    """It is absolute, as the store uses it."""
    assert repr(FileStore("/x")) == f"FileStore({str(Path('/x').absolute())!r})"


def test_a_relative_path_is_fixed_at_construction(monkeypatch, tmp_path):
    """A later ``chdir`` does not move the sessions."""
    monkeypatch.chdir(tmp_path)
    store = FileStore("here")
    monkeypatch.chdir("/")
    store.save("k", "text")
    assert (tmp_path / "here").is_dir()


@pytest.mark.parametrize("path", ["", b"x", 5])
def test_a_path_of_the_wrong_kind_is_refused(path):
    """An empty environment variable must not mean the current folder."""
    with pytest.raises(ConfigurationError, match="path of a folder"):
        FileStore(path)


@pytest.mark.parametrize("name", ["a\0b", "~\0b/c", "a\ud800b"], ids=ascii)
@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_that_the_system_cannot_take_is_refused(name, kind):
    """Otherwise each use fails with an error that is not the store's."""
    with pytest.raises(ConfigurationError, match=r"FileStore\(path=.*no path can contain.*Remove") as caught:
        FileStore(kind(name), allow_insecure=True)
    assert str(caught.value).isprintable()


def test_a_relative_path_needs_a_working_directory(monkeypatch, tmp_path):
    """It may have been deleted while the program runs; an absolute path works there."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigurationError, match=r"FileStore\(path='x'\).*working directory.*absolute path"):
        FileStore("x")
    assert FileStore(tmp_path / "x").path == tmp_path / "x"
    assert FileStore("~/x").path == tmp_path / "home" / "x"


def test_a_path_goes_without_an_app(tmp_path):
    """The app names the default folder, so it would mean nothing."""
    with pytest.raises(ConfigurationError, match=r"path replaces it\. Pass one"):
        FileStore(tmp_path, "my-app")


def test_a_tilde_is_the_users_home(home):
    """Otherwise there would be a folder named ``~`` wherever the program starts."""
    assert FileStore("~/app").path == home / "app"
    with pytest.raises(ConfigurationError, match="there is no such user"):
        FileStore("~nobody-of-this-name/app")


def test_nothing_is_created_by_looking(store):
    """Making a store, loading and deleting leave no trace on the disk."""
    assert store.load("k") is None
    store.delete("k")
    assert store.quarantine("k") is None
    assert not store.path.exists()
    assert [path.name for path in store.path.parent.iterdir()] == ["home"]


def test_similar_keys_have_different_files(store):
    """A case-insensitive file system does not merge two accounts."""
    keys = (
        "Ada",
        "ada",
        "ADA",
        "ádá",
        "a\u200da",
        "",
        "../../etc/passwd",
        "a/b\\c:d*e?",
        "x" * 5000,
        "\udcff",
    )
    for key in keys:
        store.save(key, f"of {key!r}")
    names = _names(store)
    assert len({name.lower() for name in names}) == len(names) == len(keys)
    assert all(len(name) < 120 and name.isascii() for name in names)


# Surroundings without a home or without modes

_IN_CONTAINER = """
import pwd, sys
def missing(uid): raise KeyError(uid)
pwd.getpwuid = missing
from hellojohn.stores import FileStore, KeyringStore, default_store
for make in (lambda: FileStore(app="a"), lambda: KeyringStore("a"), lambda: default_store("a")):
    try:
        print(make())
    except Exception as error:
        print(type(error).__name__, error)
print(FileStore(sys.argv[1]))
"""


@pytest.mark.parametrize(
    "variables",
    [{}, {"HOME": "/proc/1/fd"}, {"XDG_DATA_HOME": "relative"}],
    ids=["no home", "unusable home", "relative folder"],
)
def test_a_user_without_a_home_is_told_to_pass_a_path(tmp_path, variables):
    """In a container, the user may have no home folder and no entry in the password database."""
    environment = {name: value for name, value in os.environ.items() if name not in {"HOME", "XDG_DATA_HOME"}}
    done = subprocess.run(
        [sys.executable, "-c", _IN_CONTAINER, tmp_path / "given"],
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path), **variables},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    *refused, given = done.stdout.splitlines()
    assert len(refused) == 3
    assert all(line.startswith("ConfigurationError ") for line in refused)
    assert all("FileStore(path=...)" in line for line in refused)
    assert given == f"FileStore('{tmp_path / 'given'}')"
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_relative_default_folder_is_refused(monkeypatch):
    """Earlier versions of platformdirs return one for a user without a home."""
    monkeypatch.setattr("hellojohn.stores.file.user_data_path", lambda *names, **options: Path("~/.local"))
    with pytest.raises(ConfigurationError, match=r"no home folder.*FileStore\(path=...\)"):
        FileStore()


@pytest.fixture
def without_modes(monkeypatch):
    """Make new files and folders open to all users, as file systems without modes do."""
    mkdir, opened = os.mkdir, os.open

    def open_folder(path, mode=0o777, **options):
        mkdir(path, mode, **options)
        Path(path).chmod(0o777)

    def open_file(path, flags, *rest, **options):
        descriptor = opened(path, flags, *rest, **options)
        if flags & os.O_CREAT:
            os.fchmod(descriptor, 0o777)
        return descriptor

    monkeypatch.setattr(os, "mkdir", open_folder)
    monkeypatch.setattr(os, "open", open_file)


@pytest.mark.parametrize("there", [True, False], ids=["there", "new"])
def test_a_file_system_without_modes_is_refused(without_modes, tmp_path, there):
    """Otherwise the service is asked for a session that cannot be saved, and chmod does not help."""
    folder = tmp_path / "drive"
    if there:
        os.mkdir(folder)  # noqa: PTH102 - the patched one
    with pytest.raises(ConfigurationError, match=r"keeps no permissions.*FileStore\(path=.*allow_insecure"):
        FileStore(folder)
    for make in (FileStore, lambda: KeyringStore("a"), lambda: default_store("a")):
        with pytest.raises(ConfigurationError, match="FileStore\\(path="):
            make()
    assert {*tmp_path.rglob("*")} == {tmp_path / "home", *([folder] if there else [])}


def test_a_file_system_without_modes_can_be_accepted(without_modes, tmp_path):
    """The doctor goes on to advise against it."""
    store = FileStore(tmp_path / "drive", allow_insecure=True)
    with store.lock("k", 1) as value:
        value.save("text")
    assert store.load("k") == "text"
    assert store.quarantine("k")
    assert "Other users may read" in store.describe()["advice"]


def test_a_folder_of_another_user_can_be_accepted(tmp_path, monkeypatch):
    """A network drive may show its files as those of another user."""
    store = FileStore(tmp_path / "drive", allow_insecure=True)
    store.save("k", "text")
    monkeypatch.setattr(os, "geteuid", lambda: store.path.stat().st_uid + 1)
    assert store.load("k") == "text"


def test_a_folder_that_cannot_be_used_yet_is_reported_at_use():
    """A path that the app has chosen may become usable after the store was made."""
    with pytest.raises(StoreUnavailable, match=r"Cannot save to /proc/nowhere"):
        FileStore("/proc/nowhere").save("k", "text")


# Private


@pytest.mark.parametrize("mask", [0, 0o777], ids=oct)
def test_everything_is_private_whatever_the_umask(store, mask):
    """Other users cannot read a session, not even while it is written, and its owner can."""
    before = os.umask(mask)
    try:
        with store.lock("k", 1):
            store.save("k", "text")
    finally:
        os.umask(before)
    assert _mode(store.path) == 0o700
    assert {_mode(file) for file in store.path.iterdir()} == {0o600}


@pytest.mark.parametrize("mask", [0, 0o777], ids=oct)
def test_missing_parents_are_private_too(tmp_path, mask):
    """Users who can write to a parent could exchange the folder."""
    before = os.umask(mask)
    try:
        FileStore(tmp_path / "a" / "b").save("k", "text")
    finally:
        os.umask(before)
    assert _mode(tmp_path / "a") == 0o700


@pytest.mark.parametrize("act", ["load", "save", "delete", "lock", "quarantine"])
def test_a_folder_that_others_can_reach_is_refused(store, act):
    """The message has the command that closes it."""
    store.save("k", "text")
    store.path.chmod(0o755)
    with pytest.raises(StoreUnavailable, match=f"chmod 700 {store.path}"):
        _act(store, act)


@pytest.mark.parametrize("act", ["load", "save"])
def test_a_file_that_others_can_read_is_refused(store, act):
    """A session that others may have read is not used as if nothing had happened."""
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
    """The target of the link is not the store's file."""
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
def test_another_kind_of_file_is_refused_at_once(store, make):
    """A pipe in a record's place would block its reader for ever; the message says what to move away."""
    store.save("k", "text")
    file = _record(store)
    file.unlink()
    make(file)
    file.chmod(0o700)
    for act in ("load", "save"):
        with pytest.raises(StoreUnavailable, match=f"it is not a regular file. Move away {file}\\.$"):
            _act(store, act)


@pytest.mark.parametrize(("act", "kind"), [("delete", "session"), ("lock", "lock")])
def test_a_folder_in_place_of_a_file_is_named(store, act, kind):
    """The system's own refusal says what to move away, too."""
    store.save("k", "text")
    file = store._file("k").with_suffix(f".{kind}")
    file.unlink(missing_ok=True)
    file.mkdir()
    with pytest.raises(StoreUnavailable, match=f"Move away {file}\\.$"):
        _act(store, act)


def test_a_folder_of_another_user_is_refused(store, monkeypatch):
    """Its owner can change the files while they are in use."""
    store.save("k", "text")
    monkeypatch.setattr(os, "geteuid", lambda: store.path.stat().st_uid + 1)
    with pytest.raises(StoreUnavailable, match=r"belongs to another user.*chown"):
        store.load("k")


# Atomic


def test_a_failed_write_leaves_the_old_record_only(store):
    """A full disk costs the update, never the session, and leaves no temporary file."""
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
def test_a_refusal_of_the_disk_names_the_path_and_the_fix(store, monkeypatch, number, fix):
    """The reader of the message can act on it."""
    store.save("k", "old")

    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(StoreUnavailable, match=fix) as caught:
            store.save("k", "new")
    assert str(store.path) in str(caught.value)
    assert store.load("k") == "old"


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    """Neither the folder nor its parent can be a file."""
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        for act in ("load", "save", "lock"):
            with pytest.raises(StoreUnavailable, match="Move away the file"):
                _act(FileStore(path), act)


@pytest.fixture
def refuse_folder_sync(monkeypatch):
    """Return a function that makes the file system refuse to sync folders with an error."""
    real = os.fsync

    def refuse(number: int) -> None:
        def fsync(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(number, os.strerror(number))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)

    return refuse


@pytest.mark.parametrize(
    "number", [errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP], ids=errno.errorcode.get
)
def test_a_file_system_that_cannot_sync_folders_will_do(store, refuse_folder_sync, number):
    """Network file systems say so in several ways, and have nothing to sync."""
    refuse_folder_sync(number)
    store.save("k", "text")
    assert store.load("k") == "text"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.get)
def test_a_failure_to_sync_the_folder_is_reported(store, refuse_folder_sync, number):
    """The rename may not last, so the caller must not believe that it does."""
    store.save("k", "text")
    refuse_folder_sync(number)
    with pytest.raises(StoreUnavailable, match=os.strerror(number)):
        store.save("k", "newer")


def test_a_parent_need_not_be_readable(tmp_path, monkeypatch):
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


def test_windows_protects_files_itself(store, monkeypatch):
    """Its access lists keep others out, and its modes and folder syncs mean nothing."""
    store.save("k", "text")
    store.path.chmod(0o755)
    _record(store).chmod(0o644)
    monkeypatch.setattr(sys, "platform", "win32")
    store = FileStore(store.path)
    store.save("k", "newer")
    assert store.load("k") == "newer"


def _in_use(winerror: int | None) -> PermissionError:
    error = PermissionError(errno.EACCES, "in use")
    error.winerror = winerror
    return error


def test_a_windows_reader_delays_a_rename(store, monkeypatch):
    """A virus scanner has every new file open for a moment; that is not a failure."""
    real, refusals = os.replace, iter([True, True, False])

    def replace(source: Path, target: Path) -> None:
        if next(refusals):
            raise _in_use(32)
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    store.save("k", "text")
    assert store.load("k") == "text"


@pytest.mark.parametrize(("winerror", "tries"), [(32, 51), (None, 1)])
def test_a_rename_is_not_tried_for_ever(store, monkeypatch, winerror, tries):
    """A refusal that waiting does not heal is reported at once."""
    tried = []

    def refuse(source: Path, target: Path) -> None:
        tried.append(target)
        raise _in_use(winerror)

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr("hellojohn.stores._private_files.time.sleep", lambda seconds: None)
    with pytest.raises(StoreUnavailable, match="in use"):
        store.save("k", "text")
    assert len(tried) == tries


@pytest.mark.parametrize("text", ["\udc80", "x" * (1024 * 1024 + 1)], ids=["surrogate", "1 MiB and 1"])
def test_a_text_that_could_not_be_loaded_is_not_saved(store, text):
    """Saving it would lose the record that is there, with the lock and without."""
    store.save("k", "old")
    with store.lock("k", 1) as value:
        for save in (lambda: store.save("k", text), lambda: value.save(text)):
            with pytest.raises(StoreCorrupt, match="Nothing was saved") as caught:
                save()
            assert caught.value.__context__ is None
    assert store.load("k") == "old"


# Corrupt data


@pytest.mark.parametrize("data", [b"marker\xff", b"marker" * 200_000], ids=["not UTF-8", "too large"])
def test_corrupt_data_is_reported_and_quarantined(store, data):
    """The data is renamed on demand, and shows in no error."""
    store.save("k", "text")
    file = _record(store)
    file.write_bytes(data)
    with pytest.raises(StoreCorrupt, match=str(file)) as caught:
        store.load("k")
    assert caught.value.__context__ is None
    assert not caught.value.readable_elsewhere
    assert not any("marker" in repr(entry.frame.f_locals) for entry in caught.traceback[1:])
    assert store.quarantine("k") == f"{file}.corrupt-1"
    assert Path(f"{file}.corrupt-1").read_bytes() == data
    assert _mode(Path(f"{file}.corrupt-1")) == 0o600
    assert store.load("k") is None


def test_quarantined_files_are_all_kept(store):
    """Each is renamed to the next free number, and its path is returned."""
    places = []
    for text in ("first", "second"):
        store.save("k", text)
        places.append(store.quarantine("k"))
    assert [Path(place).read_text() for place in places] == ["first", "second"]


# Killed writers


def _left_by_a_holder(store: FileStore) -> Path:
    left = Path(f"{_record(store)}.locked.tmp")
    left.write_text("half")
    return left


def test_the_next_holder_removes_the_file_of_a_killed_one(store):
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
def test_a_link_in_place_of_a_temporary_file_is_removed(store, tmp_path, make):
    """The name is predictable: a link planted there must not have another file overwritten."""
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


def test_a_folder_in_place_of_a_temporary_file_is_named(store):
    """Only files are removed, and the folder to move away is not that of the session."""
    store.save("k", "text")
    left = _left_by_a_holder(store)
    left.unlink()
    left.mkdir()
    message = f"Cannot save to {_record(store)}: .*Move away {left}\\.$"
    with store.lock("k", 1), pytest.raises(StoreUnavailable, match=message):
        store.save("k", "newer")
    assert store.load("k") == "text"


def test_a_save_does_not_read_the_folder(store, monkeypatch):
    """A refresh does not take longer because others have signed in: each account has a file."""

    def refuse(*args, **named):
        pytest.fail("read the folder")

    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, refuse)
    with store.lock("k", 1):
        store.save("k", "text")
        assert store.load("k") == "text"


def test_a_delete_removes_temporary_files_too(store):
    """After a sign-out, no token is left."""
    store.save("k", "text")
    _left_by_a_holder(store)
    with store.lock("k", 1):
        store.delete("k")
    assert _names(store, "*.session*") == []


def test_a_live_writer_without_the_lock_keeps_its_file(store):
    """Such a save may be running; after an hour it is not."""
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


def test_the_files_of_other_keys_are_left_alone(store):
    """The lock of one key says nothing about the writers of another."""
    store.save("other", "text")
    left = _left_by_a_holder(store)
    with store.lock("k", 1):
        store.save("k", "text")
        store.delete("k")
    assert left.exists()


def test_a_holder_publishes_nothing_of_another_holder(store, monkeypatch):
    """The lock was lost unseen: two holders write at once, and neither may publish half a record."""
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
