"""``hellojohn sessions``, ``config`` and ``verify``: the server's side of a session."""

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from hellojohn import HelloJohn, SessionInfo, SessionPolicy
from hellojohn.cli._store import Api, ApiChoice, AsJson, errors_shown, fail

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


@sessions.command("list")
def list_sessions(
    *, user: UserId = None, status: Status = None, api: ApiChoice = Api.V1, as_json: AsJson = False
) -> None:
    """List sessions. It needs HELLOJOHN_SECRET_KEY."""
    with errors_shown(), _client(api) as hj:
        found = hj.sessions.list(user_id=user, status=status)
        if as_json:
            for info in found:
                typer.echo(json.dumps(asdict(info), default=str))
            return
        table = Table("session", "user", "status", "device", "last active")
        for info in found:
            table.add_row(*_row(info))
        Console().print(table)


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
    with errors_shown(), _client(api) as hj:
        policy = None if preset is None else _PRESETS[preset]
        typer.echo(str(hj.admin.config.update(policy, **changes)))


def verify(*, remote: Remote = False, api: ApiChoice = Api.V1, as_json: AsJson = False) -> None:
    """Verify the access token on standard input, and show its claims. Exits with 1 if it is not valid."""
    text = sys.stdin.read().strip()
    with errors_shown(), _client(api) as hj:
        claims = hj.verify_token_remote(text).claims if remote else hj.verify_token(text)
        if claims is None:
            fail("The service does not accept the token.")
        if as_json:
            typer.echo(json.dumps(dict(claims.raw), default=str))
            return
        table = Table("claim", "value")
        for name, value in sorted(claims.raw.items()):
            table.add_row(name, str(value))
        Console().print(table)


def _client(api: Api) -> HelloJohn:
    dialect: Literal["v1", "v2"] = "v2" if api is Api.V2 else "v1"
    return HelloJohn(api=dialect)


def _row(info: SessionInfo) -> tuple[str, ...]:
    when = "" if info.last_active_at is None else f"{info.last_active_at:%Y-%m-%d %H:%M}"
    return info.id, info.user_id or "", info.status or "", info.user_agent or "", when


def _number(text: str) -> int | None:
    if text == "none":
        return None
    if not text.isdecimal():
        fail("--max-sessions-per-user is a whole number, or none.")
    return int(text)
