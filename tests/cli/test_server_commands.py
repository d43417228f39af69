"""``hellojohn sessions``, ``config`` and ``verify``."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from typer.testing import Result

from hellojohn import Device, HelloJohn
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator

Run = Callable[..., Result]
Terminal = Callable[..., str]


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """A service that the environment names, with its secret key."""
    with Emulator() as emulator:
        values = {"API_URL": emulator.url, "TENANT_ID": emulator.tenant_id, "SECRET_KEY": emulator.secret_key}
        for name, value in values.items():
            monkeypatch.setenv(f"HELLOJOHN_{name}", value)
        yield emulator


def listed(table: str) -> set[str]:
    """Return the ids of sessions in a table."""
    return {word for word in table.split() if word.startswith("ses_")}


def test_sessions_are_listed_and_ended(run: Run, service: Emulator) -> None:
    """An operator lists sessions, ends one, and ends all of a user."""
    for _ in range(3):
        service.token(DEMO_EMAIL)
    lines = [json.loads(line) for line in run("sessions", "list", "--json").output.splitlines()]
    assert len(lines) == 3
    assert run("sessions", "revoke", lines[0]["id"]).output == "Revoked.\n"
    table = run("sessions", "list", "--status", "active").output
    assert lines[0]["id"][:8] not in table.replace(lines[1]["id"][:8], "").replace(lines[2]["id"][:8], "")
    assert run("sessions", "revoke", "--all-of", lines[0]["user_id"]).exit_code == 0
    assert run("sessions", "list", "--status", "active", "--json").output == ""


@pytest.mark.parametrize("columns", ["", "10", "80"])
def test_ids_are_listed_whole(run: Run, service: Emulator, columns: str) -> None:
    """Output that goes to no terminal has each session on one line, with the whole id."""
    for _ in range(2):
        service.token(DEMO_EMAIL)
    output = run("sessions", "list", env={"COLUMNS": columns, "FORCE_COLOR": "1", "TERM": "dumb"}).output
    assert listed(output) == {session.id for session in service.sessions()}
    assert len(output.splitlines()) == 6


@pytest.mark.parametrize("columns", [10, 80, 120])
def test_ids_are_whole_in_a_terminal(terminal: Terminal, service: Emulator, columns: int) -> None:
    """An id can be copied from a terminal of any width."""
    for _ in range(2):
        service.token(DEMO_EMAIL)
    output = terminal(columns, "sessions", "list")
    assert listed(output) == {session.id for session in service.sessions()}


def test_long_cells_are_folded_in_a_terminal(terminal: Terminal, service: Emulator) -> None:
    """A name or value that is wider than the terminal goes on in the next line."""
    output = terminal(80, "verify", input=service.token(DEMO_EMAIL, claims={"Q" * 150: "Z" * 150}))
    assert (output.count("Q"), output.count("Z")) == (150, 150)
    assert max(len(line) for line in output.splitlines()) <= 80


def test_revoke_needs_one_target(run: Run) -> None:
    """Neither a session nor a user, or both, is a mistake."""
    assert run("sessions", "revoke").exit_code == 1
    assert run("sessions", "revoke", "ses_1", "--all-of", "usr_1").exit_code == 1


def test_policy_is_read_and_changed(run: Run) -> None:
    """A policy is printed as JSON, changed by name, and replaced by a preset."""
    assert json.loads(run("config", "get").output)["session_duration"] == "30d"
    done = run("config", "set", "--idle-timeout", "7d", "--max-sessions-per-user", "5")
    assert json.loads(done.output)["max_sessions_per_user"] == 5
    done = run("config", "set", "--idle-timeout", "none", "--max-sessions-per-user", "none")
    assert json.loads(done.output)["idle_timeout"] is None
    assert json.loads(run("config", "set", "--preset", "compliance").output)["session_duration"] == "8h"


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            ["--preset", "strict"],
            ["--session-duration", "soon"],
            [],
            ["--preset", "standard", "--idle-timeout", "1h"],
        ),
        *(["--max-sessions-per-user", number] for number in ("many", "\uff12", "-1", "0", "9" * 5_000)),
    ],
    ids=lambda arguments: " ".join(arguments)[:30],
)
def test_malformed_policies(run: Run, arguments: list[str]) -> None:
    """A value that is not a setting is one line and exit code 1."""
    done = run("config", "set", *arguments)
    assert done.exit_code == 1
    assert "hellojohn: " in done.output
    assert "Traceback" not in done.output
    assert json.loads(run("config", "get").output)["session_duration"] == "30d"


def test_policy_that_defeats_itself(run: Run) -> None:
    """The policy is set, and the warning is one line without the address of a source file."""
    done = run("config", "set", "--idle-timeout", "30m")
    assert json.loads(done.stdout)["idle_timeout"] == "30m"
    (line,) = done.stderr.splitlines()
    assert line.startswith("hellojohn: access_token_ttl is not shorter than idle_timeout.")


HOSTILE = ["[/red]", "[bold]x", "\x1b[2J\x1b]0;x\x07", "a\r\nb", "\u202egpj", "\ud800"]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_claims_cannot_control_the_terminal(run: Run, service: Emulator, text: str) -> None:
    """Markup in a claim is shown as text, and escape sequences in it are shown as escapes."""
    token = service.token(DEMO_EMAIL, claims={"note": text, text: 1, "list": [text]})
    done = run("verify", input=token)
    assert done.exit_code == 0
    assert text.encode("unicode_escape").decode() in done.output
    assert all(line.isprintable() for line in done.output.splitlines())
    assert json.loads(run("verify", "--json", input=token).output)["note"] == text


@pytest.mark.parametrize("text", HOSTILE[:2])
def test_user_agents_are_shown_as_text(run: Run, service: Emulator, text: str) -> None:
    """A user cannot break the operator's list by the name of a browser."""
    settings = {"api_url": service.url, "tenant_id": service.tenant_id}
    with HelloJohn(**settings, publishable_key=service.publishable_key) as hj:
        hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, device=Device(user_agent=text))
    done = run("sessions", "list")
    assert done.exit_code == 0
    assert text in done.output


def test_listed_times_are_iso_8601(run: Run, service: Emulator) -> None:
    """Scripts read the times as the API writes them."""
    service.token(DEMO_EMAIL)
    (info,) = map(json.loads, run("sessions", "list", "--json").output.splitlines())
    assert datetime.fromisoformat(info["created_at"]).tzinfo is not None
    assert "T" in info["created_at"]


def test_claims_are_shown_as_json_values(run: Run, service: Emulator) -> None:
    """A list or a truth value in the table looks as it does in the token."""
    shown = run("verify", input=service.token(DEMO_EMAIL, roles=["admin"])).output
    assert '["admin"]' in shown
    assert "false" in shown


def test_token_on_standard_input_is_verified(run: Run, service: Emulator) -> None:
    """A valid token shows its claims, as a table or as JSON; a bad one exits with 1."""
    token = service.token(DEMO_EMAIL)
    claims = json.loads(run("verify", "--json", input=token).output)
    assert claims["email"] == DEMO_EMAIL
    assert "session_id" in run("verify", input=f"{token}\n").output
    assert run("verify", "--remote", input=token).exit_code == 0
    for text in ("junk", "", f"{token}x"):
        done = run("verify", input=text)
        assert done.exit_code == 1
        assert "Traceback" not in done.output
    service.revoke(claims["session_id"])
    assert run("verify", "--remote", input=token).exit_code == 1
