"""The commands, as Typer reads them. The work of each command is in another module."""

from typing import Annotated

import typer

from hellojohn import __version__
from hellojohn.cli._doctor import doctor
from hellojohn.cli._emulator import demo, emulator
from hellojohn.cli._server import config, sessions, verify
from hellojohn.cli._session import login, logout, status, token


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it
    if wanted:
        typer.echo(f"hellojohn {__version__}")
        raise typer.Exit


VersionFlag = Annotated[
    bool,
    typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
]

app = typer.Typer(
    name="hellojohn",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its traceback is longer than the error, and may show locals
)


@app.callback()
def hellojohn(*, version: VersionFlag = False) -> None:
    """Sign in to HelloJohn, stay signed in, and know when the session is over: tools for a terminal."""


for _command in (login, status, token, logout, verify, doctor, emulator, demo):
    app.command()(_command)
app.add_typer(sessions)
app.add_typer(config)
