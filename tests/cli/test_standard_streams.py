"""Standard input and output: prompts, pipes, encodings, and streams that are closed or full."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from typer.testing import Result

from hellojohn import FileStore, HelloJohn
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.testing._settings import settings_for

Run = Callable[..., Result]
Shell = Callable[..., "CompletedProcess[str]"]
PASS_PHRASE = "a long pass phrase"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the lines are for a POSIX shell")


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Emulator]:
    """A service that the environment names, with a user whose address not every encoding has."""
    monkeypatch.chdir(tmp_path)
    with Emulator() as emulator:
        emulator.add_user("\u0142ukasz@example.com", PASS_PHRASE)
        emulator.add_user("grace@example.com", PASS_PHRASE, mfa_code="123456")
        for name in ("API_URL", "TENANT_ID", "PUBLISHABLE_KEY", "SECRET_KEY"):
            value = emulator.url if name == "API_URL" else getattr(emulator, name.lower())
            monkeypatch.setenv(f"HELLOJOHN_{name}", value)
        yield emulator


@pytest.fixture
def session(service: Emulator) -> None:
    """Keep a session of the user with the rare letter in the folder ``kept``."""
    with HelloJohn(**settings_for(service), store=FileStore("kept")) as hj:
        hj.auth.sign_in("\u0142ukasz@example.com", PASS_PHRASE)


def test_prompts_are_not_output(shell: Shell) -> None:
    """A script that reads the JSON of a sign-in gets nothing else on standard output."""
    lines = rf"{DEMO_EMAIL}\n{DEMO_PASSWORD}\n"
    done = shell(f"printf '{lines}' | hellojohn login --password --json --path kept")
    assert done.stdout.startswith("{")
    assert json.loads(done.stdout)["user"] == DEMO_EMAIL
    assert done.stderr == "Email: "


def test_the_prompt_for_a_code_is_not_output(shell: Shell) -> None:
    """The code of a second factor is asked for on standard error."""
    lines = rf"{PASS_PHRASE}\n123456\n"
    done = shell(f"printf '{lines}' | hellojohn login --email grace@example.com --json --path kept")
    assert done.stdout.startswith("{")
    assert done.stderr == "Code: "


def test_lines_may_end_as_on_windows(shell: Shell) -> None:
    """A carriage return before the line feed belongs to no address, password or code."""
    lines = rf"grace@example.com\r\n{PASS_PHRASE}\r\n123456\r\n"
    done = shell(f"printf '{lines}' | hellojohn login --password --path kept")
    assert done.returncode == 0, done.stderr


def test_a_password_may_end_with_a_carriage_return(shell: Shell, service: Emulator) -> None:
    """One line ending is removed, and not a character more."""
    service.add_user("ada@example.com", f"{PASS_PHRASE}\r")
    done = shell(rf"printf '{PASS_PHRASE}\r\r\n' | hellojohn login --email ada@example.com --path kept")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("options", ["login --password", "login --email ada@example.com", "verify"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8:surrogateescape"])
def test_input_in_another_encoding(shell: Shell, options: str, encoding: str) -> None:
    """Input that is not UTF-8 is refused by a line that says so, also where Python would let it pass."""
    done = shell(rf"printf '\377\n' | hellojohn {options}", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("hellojohn: Standard input is not UTF-8.\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("input_", ["<&-", "</dev/null"])
@pytest.mark.parametrize("command", ["login --email ada@example.com", "verify"])
def test_input_that_is_closed(shell: Shell, command: str, input_: str) -> None:
    """If standard input is closed or empty, the message says what is missing."""
    done = shell(f"hellojohn {command} {input_}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("hellojohn: Standard input is empty: pipe ")
    assert done.stderr.count("\n") == 1


def test_a_prompt_without_input(shell: Shell) -> None:
    """A prompt that gets no answer ends the command."""
    done = shell("hellojohn login --password <&-")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Aborted" in done.stderr


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_output_that_is_closed(shell: Shell, closed: str) -> None:
    """A command without a place for its output does the rest of its work."""
    assert shell(f"hellojohn status --path kept {closed}").returncode == 0
    assert shell(f"hellojohn logout --path kept {closed}").returncode == 0
    assert shell("hellojohn status --path kept").returncode == 1


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("encoding", ["cp1252", "cp1252:strict"])
def test_output_in_another_encoding(shell: Shell, encoding: str) -> None:
    """A character that the encoding of the output lacks is shown as an escape."""
    done = shell("hellojohn status --path kept", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u0142ukasz@example.com" in done.stdout


@pytest.mark.usefixtures("session")
def test_a_table_in_another_encoding(shell: Shell) -> None:
    """A table can be printed in ASCII."""
    done = shell("hellojohn sessions list", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device is one of Linux")
@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("command", ["status --path kept", "sessions list", "emulator --port 0", "--help"])
def test_output_that_is_full(shell: Shell, command: str) -> None:
    """A disk that is full is one line and exit code 1."""
    done = shell(f"hellojohn {command} >/dev/full")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "hellojohn: [Errno 28] No space left on device\n"
