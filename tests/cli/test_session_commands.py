"""``hellojohn login``, ``status``, ``token`` and ``logout``, on the store that a program uses."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import Result

from hellojohn import Auth, FileStore, HelloJohn
from hellojohn.emulator import Emulator

EMAIL, PASSWORD = "ada@example.com", "Correct-Horse-Battery-9"
Run = Callable[..., Result]


@pytest.fixture(params=["v1", "v2"])
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """A service of each dialect that the environment names."""
    with Emulator(api=request.param) as emulator:
        emulator.add_user(EMAIL, PASSWORD)
        emulator.add_user("two@example.com", PASSWORD, mfa_code="123456")
        values = {
            "API_URL": emulator.url,
            "TENANT_ID": emulator.tenant_id,
            "PUBLISHABLE_KEY": emulator.publishable_key,
            "CLIENT_ID": emulator.client_id,
            "SECRET_KEY": emulator.secret_key,
        }
        for name, value in values.items():
            monkeypatch.setenv(f"HELLOJOHN_{name}", value or "")
        yield emulator


@pytest.fixture
def where(service: Emulator, tmp_path: Path) -> list[str]:
    """The options that name the store and the dialect."""
    return ["--path", str(tmp_path / "sessions"), "--api", service.api]


def test_login_status_token_logout(run: Run, where: list[str], tmp_path: Path, service: Emulator) -> None:
    """A session that the command signs in is the one of the program, from sign-in to sign-out."""
    done = run("login", "--email", EMAIL, "--remember-me", *where, input=f"{PASSWORD}\n")
    assert done.exit_code == 0, done.output
    assert "remember me" in done.output
    known = json.loads(run("status", "--json", *where).output)
    assert known["remember_me"] is True
    token = run("token", *where).output.strip()
    with HelloJohn(store=FileStore(tmp_path / "sessions"), api=service.api) as hj:  # type: ignore[arg-type]
        session = hj.auth.session()
        assert session is not None
        assert session.user.id == known["user_id"]
        assert hj.auth.access_token() == token
    assert "Signed out." in run("logout", *where).output
    assert run("status", *where).exit_code == 1


def test_password_is_not_shown(run: Run, where: list[str]) -> None:
    """Neither the password nor a token appears in the output of the command."""
    done = run("login", "--email", EMAIL, *where, input=f"{PASSWORD}\n")
    assert PASSWORD not in done.output
    assert "eyJ" not in done.output


def test_wrong_password_exits_with_1(run: Run, where: list[str]) -> None:
    """A refused sign-in is one line and exit code 1."""
    done = run("login", "--email", EMAIL, *where, input="wrong\n")
    assert done.exit_code == 1
    assert "Traceback" not in done.output


def test_second_factor(run: Run, where: list[str], service: Emulator) -> None:
    """The code is asked for again after Enter and after a wrong one, on the same challenge."""
    code = service.mfa_code("two@example.com")
    done = run("login", "--email", "two@example.com", *where, input=f"{PASSWORD}\n\n000000\n{code}\n")
    assert done.exit_code == 0, done.output
    assert run("status", *where).exit_code == 0


def test_wrong_code_three_times(run: Run, where: list[str]) -> None:
    """After three wrong codes the command gives up."""
    done = run("login", "--email", "two@example.com", *where, input=f"{PASSWORD}\n1\n2\n3\n")
    assert done.exit_code == 1


def test_token_without_a_session(run: Run, where: list[str]) -> None:
    """Without a session, the error names what to do."""
    done = run("token", *where)
    assert done.exit_code == 1
    assert "sign_in" in done.output


def test_logout_in_an_outage(run: Run, where: list[str], service: Emulator) -> None:
    """A sign-out that the service does not confirm says so."""
    run("login", "--email", EMAIL, *where, input=f"{PASSWORD}\n")
    service.stop()
    done = run("logout", *where)
    assert done.exit_code == 0
    assert "did not confirm" in done.output
    assert run("status", *where).exit_code == 1


def test_logout_for_scripts(run: Run, where: list[str]) -> None:
    """A script reads whether the service confirmed the sign-out."""
    run("login", "--email", EMAIL, *where, input=f"{PASSWORD}\n")
    assert json.loads(run("logout", "--json", *where).output) == {"confirmed": True}


def test_contradicting_options(run: Run, service: Emulator) -> None:
    """A folder and a keyring exclude each other, as do a password and a provider."""
    done = run("status", "--store", "keyring", "--path", "/tmp/x")
    assert done.exit_code == 1
    assert "keyring has none" in done.output
    for options in (["--password"], ["--email", EMAIL]):
        done = run("login", *options, "--provider", "google")
        assert done.exit_code == 1
        assert "--provider is for the sign-in with a browser" in done.output


@pytest.mark.parametrize("command", ["login", "status", "token", "logout", "doctor"])
def test_an_empty_path_is_refused(
    run: Run, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable of a script that is not set does not choose the current folder."""
    monkeypatch.chdir(tmp_path)
    done = run(command, "--path", "")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "'--path'" in done.stderr
    assert "empty" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_browser_sign_in(
    run: Run, where: list[str], service: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --password, the command signs in with a browser."""
    if service.api == "v2":
        service.configure(mended=True)
        return  # the published server redeems no code; the browser's part is tested on v1

    def browser(url: str) -> None:
        callback = service.authorize(url, EMAIL)
        threading.Thread(target=lambda: httpx.get(callback, trust_env=False), daemon=True).start()

    monkeypatch.setitem(Auth.sign_in_with_browser.__kwdefaults__, "open_browser", browser)
    done = run("login", "--provider", "google", *where)
    assert done.exit_code == 0, done.output


def test_emulator_is_not_loaded_for_a_session() -> None:
    """The commands for a session need neither Starlette nor uvicorn."""
    script = (
        "import sys; import hellojohn.cli._app; "
        "print(sorted({'starlette', 'uvicorn', 'hellojohn.emulator'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
