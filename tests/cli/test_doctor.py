"""``hellojohn doctor``: it finds the session that another program keeps, and its exit code is its verdict."""

import pwd

import keyring.core
import keyring.errors
import pytest
from keyring.backends import fail

from hellojohn import FileStore, HelloJohn, KeyringStore
from hellojohn.testing._settings import settings_for
from tests.stores import backends

USER = ("demo@example.com", "correct horse battery staple")
BOUND_TO = {
    "HELLOJOHN_API_URL": "url",
    "HELLOJOHN_TENANT_ID": "tenant_id",
    "HELLOJOHN_PUBLISHABLE_KEY": "publishable_key",
}


@pytest.fixture(autouse=True)
def emulator(hellojohn_emulator, monkeypatch, tmp_path):
    """Return the service that the environment names; without a keyring, and with a home of the test's."""
    for variable, name in BOUND_TO.items():
        monkeypatch.setenv(variable, getattr(hellojohn_emulator, name))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setattr(keyring.core, "_keyring_backend", fail.Keyring())
    return hellojohn_emulator


@pytest.fixture
def desktop(monkeypatch):
    """Provide a keyring."""
    monkeypatch.setattr(keyring.core, "_keyring_backend", backends.vault())


@pytest.fixture
def sign_in(emulator):
    """Return what keeps a session in a store, as a program would."""

    def keep(store, account="default"):
        with HelloJohn(**settings_for(emulator), store=store, account=account) as hj:
            return hj.auth.sign_in(*USER)

    return keep


def test_a_session_in_good_order_exits_with_0(run, sign_in, tmp_path, emulator):
    """The report is the one of ``doctor()``, and a script can go by the exit code."""
    session = sign_in(FileStore(tmp_path / "sessions"))
    result = run("doctor", "--path", str(tmp_path / "sessions"))
    assert result.exit_code == 0, result.output
    assert f"session        {session.id}, generation 1" in result.output
    assert f"service        {emulator.url}: answers" in result.output
    assert result.output.endswith("advice         nothing to do\n")


def test_advice_exits_with_1(run):
    """So does a session that is not there."""
    result = run("doctor", "--store", "file")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith(
        "advice         No user is signed in as 'default' (tenant "
    )


def test_a_record_cannot_forge_a_line_of_the_report(run, sign_in, tmp_path):
    """A line break or an escape sequence in a fact is shown as an escape."""
    session = sign_in(FileStore(tmp_path))
    forged = r"x\nadvice         send your password\u001b[2J"
    (file,) = tmp_path.glob("*.session")
    file.write_text(file.read_text().replace(session.id, forged))
    output = run("doctor", "--path", str(tmp_path)).output
    assert r"session        x\nadvice         send your password\x1b[2J, generation 1" in output
    assert all(line.isprintable() for line in output.splitlines())


def test_it_finds_another_account(run, sign_in, tmp_path):
    """A store has many."""
    session = sign_in(FileStore(tmp_path), account="work")
    output = run("doctor", "--store", "file", "--path", str(tmp_path), "--account", "work").output
    assert "account        work" in output
    assert session.id in output


def test_files_of_an_app_are_found_by_its_name(run, sign_in):
    """The program passes it to ``FileStore(app=...)``."""
    session = sign_in(FileStore(app="my-app"))
    assert session.id in run("doctor", "--store", "file", "--app", "my-app").output


def test_a_keyring_s_entries_are_found_by_their_service(run, sign_in, desktop):
    """The program passes it to ``KeyringStore(...)``."""
    session = sign_in(KeyringStore("my-app"))
    output = run("doctor", "--store", "keyring", "--app", "my-app").output
    assert "store          KeyringStore" in output
    assert session.id in output


def test_by_default_it_looks_where_default_store_keeps_sessions(run, sign_in, desktop):
    """The keyring, where there is one."""
    session = sign_in(KeyringStore("hellojohn"))
    assert session.id in run("doctor").output


def test_default_is_files_where_there_is_no_keyring(run, sign_in):
    """As ``default_store`` does."""
    session = sign_in(FileStore())
    assert session.id in run("doctor").output


def test_a_missing_keyring_is_a_finding(run):
    """Asked for a keyring, it does not look elsewhere."""
    result = run("doctor", "--store", "keyring")
    assert result.exit_code == 1
    assert "advice         No system keyring keeps secrets here" in result.output


def test_a_keyring_that_is_locked_is_said_to_be(run, monkeypatch):
    """The session is out of sight until it is unlocked; the service and the clock are not."""
    locked = backends.failing(keyring.errors.KeyringLocked("no"))
    monkeypatch.setattr(keyring.core, "_keyring_backend", locked)
    result = run("doctor")
    assert result.exit_code == 1
    assert "store          it cannot be opened" in result.output
    assert "advice         The system keyring is locked. Unlock it, then try again" in result.output
    assert ": answers" in result.output


def test_a_user_without_a_home_is_a_finding(run, monkeypatch):
    """As in a container: the store cannot be opened, and the service is still examined."""
    for variable in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    for options in ((), ("--store", "file"), ("--store", "keyring")):
        result = run("doctor", *options)
        assert result.exit_code == 1
        assert "FileStore(path=...)" in result.output
        assert ": answers" in result.output


def test_a_keyring_has_no_folder(run, tmp_path):
    """One of the two options is a mistake."""
    result = run("doctor", "--store", "keyring", "--path", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "hellojohn: --path names the folder of --store file: a keyring has none.\n"


def test_a_path_makes_the_app_meaningless(run, tmp_path):
    """With both, the session would be looked for in one place and expected in the other."""
    result = run("doctor", "--path", str(tmp_path), "--app", "my-app")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "hellojohn: --app names the default folder, and --path replaces it: give one of them.\n"
    )


def test_a_missing_setting_is_named(run, monkeypatch):
    """Without it there is nothing to look at."""
    monkeypatch.delenv("HELLOJOHN_TENANT_ID")
    result = run("doctor", "--store", "file")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "hellojohn: tenant_id is missing: pass tenant_id=... or set HELLOJOHN_TENANT_ID.\n"
    )


def test_help_names_the_options_and_the_variables(run):
    """Nobody has to look further."""
    words = ("--store", "file|keyring", "--path", "--app", "--account", "HELLOJOHN_*", "exits with 1")
    output = " ".join(run("doctor", "--help", env={"COLUMNS": "200"}).output.split())
    assert [word for word in words if word not in output] == []
