"""``hellojohn sessions``, ``config`` and ``verify``: the server's side of a session."""

import json
import re
import warnings
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from hellojohn import HelloJohn, PolicyWarning, SessionInfo, SessionPolicy
from hellojohn._limits import LONGEST_TOKEN
from hellojohn.cli._plain import plain
from hellojohn.cli._store import Api, ApiChoice, AsJson, errors_shown, fail
from hellojohn.cli._streams import read_text

sessions = typer.Typer(name="sessions", no_args_is_help=True, help="List and end sessions.")
config = typer.Typer(name="config", no_args_is_help=True, help="Read and change the session policy.")

UserId = Annotated[str | None, typer.Option("--user", metavar="ID", help="Only the sessions of this user.")]
Status = Annotated[str | None, typer.Option(metavar="STATUS", help="active, expired or revoked.")]
SessionId = Annotated[str | None, typer.Argument(metavar="SESSION", help="The session to end.")]
AllOf = Annotated[str | None, typer.Option("--all-of", metavar="USER", help="End all sessions of this user.")]
Preset = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="standard, high-security or compliance: all settings at once."),
]
Duration = Annotated[str | None, typer.Option(metavar="DURATION", help="Such as 15m, 24h or 30d.")]
Limit = Annotated[
    str | None, typer.Option(metavar="DURATION|none", help="Such as 30m, or none for no limit.")
]
Number = Annotated[str | None, typer.Option(metavar="NUMBER|none", help="Such as 3, or none for no limit.")]
Remote = Annotated[bool, typer.Option("--remote", help="Ask the service, which sees a revocation at once.")]

_PRESETS = {
    "standard": SessionPolicy.STANDARD,
    "high-security": SessionPolicy.HIGH_SECURITY,
    "compliance": SessionPolicy.COMPLIANCE,
}
_NARROWEST = 80  # a terminal that is narrower wraps the lines of a table itself
_UNLIMITED = 1_000_000
_NUMBER = re.compile(r"[0-9]{1,9}")


@sessions.command("list")
def list_sessions(
    *, user: UserId = None, status: Status = None, api: ApiChoice = Api.V1, as_json: AsJson = False
) -> None:
    """List sessions. It needs HELLOJOHN_SECRET_KEY."""
    with errors_shown(), _client(api) as hj:
        found = hj.sessions.list(user_id=user, status=status)
        if as_json:
            for info in found:
                typer.echo(json.dumps(asdict(info), default=datetime.isoformat))
            return
        _print_table(("session", "user", "status", "device", "last active"), map(_row, found))


@sessions.command("revoke")
def revoke_session(*, session: SessionId = None, all_of: AllOf = None, api: ApiChoice = Api.V1) -> None:
    """End a session, or with --all-of all sessions of a user. It needs HELLOJOHN_SECRET_KEY."""
    if (session is None) == (all_of is None):
        fail("Name one session, or a user with --all-of.")
    with errors_shown(), _client(api) as hj:
        if session is not None:
            hj.sessions.revoke(session)
        elif all_of is not None:
            hj.sessions.revoke_all(all_of)
        typer.echo("Revoked.")


@config.command("get")
def get_config(*, api: ApiChoice = Api.V1) -> None:
    """Print the session policy as JSON. It needs HELLOJOHN_SECRET_KEY."""
    with errors_shown(), _client(api) as hj:
        typer.echo(str(hj.admin.config.get()))


@config.command("set")
def set_config(
    *,
    preset: Preset = None,
    session_duration: Duration = None,
    access_token_ttl: Duration = None,
    idle_timeout: Limit = None,
    max_sessions_per_user: Number = None,
    api: ApiChoice = Api.V1,
) -> None:
    """Change the settings that are named, and print all of them. It needs HELLOJOHN_SECRET_KEY."""
    if preset is not None and preset not in _PRESETS:
        fail(f"--preset is one of {', '.join(_PRESETS)}.")
    given: dict[str, Any] = {"session_duration": session_duration, "access_token_ttl": access_token_ttl}
    changes = {name: value for name, value in given.items() if value is not None}
    if idle_timeout is not None:
        changes["idle_timeout"] = None if idle_timeout == "none" else idle_timeout
    if max_sessions_per_user is not None:
        changes["max_sessions_per_user"] = _number(max_sessions_per_user)
    if (preset is None) == (not changes):
        fail("Name the settings to change, such as --idle-timeout 30m, or a --preset.")
    with errors_shown(), _warnings_shown(), _client(api) as hj:
        policy = None if preset is None else _PRESETS[preset]
        typer.echo(str(hj.admin.config.update(policy, **changes)))


def verify(*, remote: Remote = False, api: ApiChoice = Api.V1, as_json: AsJson = False) -> None:
    """Verify the access token on standard input, and show its claims. Exits with 1 if it is not valid."""
    text = read_text(2 * LONGEST_TOKEN).strip()
    if not text:
        fail("Standard input is empty: pipe an access token into the command.")
    with errors_shown(), _client(api) as hj:
        claims = hj.verify_token_remote(text).claims if remote else hj.verify_token(text)
        if claims is None:
            fail("The service does not accept the token.")
        if as_json:
            typer.echo(json.dumps(dict(claims.raw)))
            return
        rows = ((name, _claim(value)) for name, value in sorted(claims.raw.items()))
        _print_table(("claim", "value"), rows)


def _client(api: Api) -> HelloJohn:
    dialect: Literal["v1", "v2"] = "v2" if api is Api.V2 else "v1"
    return HelloJohn(api=dialect)


def _print_table(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table of text from outside. A terminal folds long cells, and nothing is cut."""
    console = Console()
    width = max(console.width, _NARROWEST) if console.file.isatty() else _UNLIMITED
    cells = [[Text(plain(cell)) for cell in row] for row in rows]
    table = Table(*(Column(name, overflow="fold") for name in names))
    # An id can only be copied from one line. Rich would cut a column that is not folded and has no room.
    table.columns[0].no_wrap = all(row[0].cell_len <= width // 2 for row in cells)
    for row in cells:
        table.add_row(*row)
    Console(width=width, height=console.height).print(table)


def _row(info: SessionInfo) -> tuple[str, ...]:
    when = "" if info.last_active_at is None else f"{info.last_active_at:%Y-%m-%d %H:%M}"
    return info.id, info.user_id or "", info.status or "", info.user_agent or "", when


def _claim(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@contextmanager
def _warnings_shown() -> Generator[None]:
    """Print a warning about the policy as one line, after the block has printed the policy."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PolicyWarning)
        yield
    for warning in caught:
        typer.echo(f"hellojohn: {warning.message}", err=True)


def _number(text: str) -> int | None:
    if text == "none":
        return None
    if not _NUMBER.fullmatch(text):
        fail("--max-sessions-per-user is a whole number, or none.")
    return int(text)
