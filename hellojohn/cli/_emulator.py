"""``hellojohn emulator`` and ``hellojohn demo``: the service on this machine. Only they load the emulator."""

from typing import Annotated, Any

import typer
from rich.console import Console

from hellojohn.cli._store import Api, ApiChoice, errors_shown

_TENANT = "Tenant settings"
_DURATION = "DURATION"

Port = Annotated[
    int, typer.Option(min=0, max=65535, metavar="PORT", help="Where to listen; 0 picks a free port.")
]
Host = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Where to listen; any but a loopback lets others in.")
]
Users = Annotated[
    list[str] | None,
    typer.Option(
        "--user",
        metavar="EMAIL:PASSWORD[:CODE]",
        help="Add a user, with the code of a second factor if there is one. May be repeated.",
    ),
]
SessionDuration = Annotated[
    str, typer.Option(metavar=_DURATION, help="The life of a whole session.", rich_help_panel=_TENANT)
]
AccessTokenTtl = Annotated[
    str, typer.Option(metavar=_DURATION, help="The life of an access token.", rich_help_panel=_TENANT)
]
IdleTimeout = Annotated[
    str | None,
    typer.Option(
        metavar=_DURATION,
        help="How long a session may go unused; no limit unless given.",
        rich_help_panel=_TENANT,
    ),
]
MaxSessions = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER",
        help="How many sessions a user may have; no limit unless given.",
        rich_help_panel=_TENANT,
    ),
]
FastFlag = Annotated[bool, typer.Option("--fast", help="Leave out the pauses for reading.")]


def emulator(
    *,
    port: Port = 3000,
    host: Host = "127.0.0.1",
    api: ApiChoice = Api.V1,
    user: Users = None,
    session_duration: SessionDuration = "30d",
    access_token_ttl: AccessTokenTtl = "1h",  # noqa: S107 - a duration
    idle_timeout: IdleTimeout = None,
    max_sessions_per_user: MaxSessions = None,
) -> None:
    """Run the service on this machine, for development, until Ctrl-C.

    It prints a user to sign in with, the settings for a client, and a line for each request. A duration is
    like 90s, 15m, 24h or 30d. With --api v2, idle timeout and the number of sessions have no effect.
    """
    from hellojohn.cli._serve import request_log, serve  # noqa: PLC0415 - loads a web server
    from hellojohn.emulator import Emulator  # noqa: PLC0415 - the same

    console = Console()
    settings: dict[str, Any] = {"session_duration": session_duration, "access_token_ttl": access_token_ttl}
    if api is Api.V1:
        settings |= {"idle_timeout": idle_timeout, "max_sessions_per_user": max_sessions_per_user}
    with errors_shown():
        service = Emulator(host=host, port=port, api=api.value, log=request_log(console))
        for text in user or ():
            service.add_user_from(text)
        service.configure(**settings)
        serve(service, host=host, console=console)


def demo(*, fast: FastFlag = False) -> None:
    """Live through a month with one session, in seconds, against an emulator: every claim is checked."""
    from hellojohn.cli._demo import play  # noqa: PLC0415 - loads a web server

    console = Console(highlight=False)
    if not play(console, pause=0.0 if fast or not console.is_terminal else 0.4):
        raise typer.Exit(1)
