"""The commands and their options, as Typer reads them. What a command does is in a module of its own."""

from enum import StrEnum
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from hellojohn import ConfigurationError, __version__
from hellojohn.cli._demo import play
from hellojohn.cli._doctor import doctor
from hellojohn.cli._serve import request_log, serve
from hellojohn.emulator import Emulator
from hellojohn.emulator.v1.policy import Policy

_DEFAULTS = Policy()
_TENANT = "Tenant settings"
_DURATION = "DURATION"


class Api(StrEnum):
    """The two faces of the service."""

    V1 = "v1"
    V2 = "v2"


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it
    if wanted:
        typer.echo(f"hellojohn {__version__}")
        raise typer.Exit


VersionFlag = Annotated[
    bool,
    typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
]
Port = Annotated[
    int, typer.Option(min=0, max=65535, metavar="PORT", help="Where to listen; 0 picks a free port.")
]
Host = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Where to listen; any but a loopback lets others in.")
]
ApiChoice = Annotated[Api, typer.Option(help="The API to speak; v2 is still to come.")]
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

app = typer.Typer(
    name="hellojohn",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its traceback is longer than the error, and may show locals
)


@app.callback()
def hellojohn(*, version: VersionFlag = False) -> None:
    """Sign in to HelloJohn, stay signed in, and know when it is over: tools for this machine."""


@app.command()
def emulator(
    *,
    port: Port = 3000,
    host: Host = "127.0.0.1",
    api: ApiChoice = Api.V1,
    user: Users = None,
    session_duration: SessionDuration = _DEFAULTS.session_duration,
    access_token_ttl: AccessTokenTtl = _DEFAULTS.access_token_ttl,
    idle_timeout: IdleTimeout = _DEFAULTS.idle_timeout,
    max_sessions_per_user: MaxSessions = _DEFAULTS.max_sessions_per_user,
) -> None:
    """Run the service on this machine, for development, until Ctrl-C.

    It prints a user to sign in with, the settings for a client, and a line for each request. A duration is
    like 90s, 15m, 24h or 30d.
    """
    if api is Api.V2:
        _fail("--api v2 is not there yet: this version's emulator speaks v1. Leave the option out.")
    console = Console()
    try:
        service = Emulator(host=host, port=port, log=request_log(console))
        for text in user or ():
            service.add_user_from(text)
        service.configure(
            session_duration=session_duration,
            access_token_ttl=access_token_ttl,
            idle_timeout=idle_timeout,
            max_sessions_per_user=max_sessions_per_user,
        )
        serve(service, host=host, console=console)
    except ConfigurationError as error:
        _fail(str(error))


@app.command()
def demo(*, fast: FastFlag = False) -> None:
    """Live through a month with one session, in seconds, against an emulator: every claim is checked."""
    console = Console(highlight=False)
    if not play(console, pause=0.0 if fast or not console.is_terminal else 0.4):
        raise typer.Exit(1)


app.command()(doctor)


def _fail(message: str) -> NoReturn:
    typer.echo(f"hellojohn: {message}", err=True)
    raise typer.Exit(1)
