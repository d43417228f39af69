"""Which session a command works with: the options of the store, and the client that they open."""

from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from hellojohn import FileStore, HelloJohn, HelloJohnError, KeyringStore, default_store
from hellojohn._errors import ConfigurationError
from hellojohn.cli._plain import plain


class Kind(StrEnum):
    """The stores that a command can open. Any other has a program to open it."""

    FILE = "file"
    KEYRING = "keyring"


class Api(StrEnum):
    """The two dialects of the service."""

    V1 = "v1"
    V2 = "v2"


StoreChoice = Annotated[
    Kind | None,
    typer.Option("--store", help="Where the session is: by default the keyring, or files where it has none."),
]
Folder = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="The folder of a FileStore; it means --store file.")
]
AppName = Annotated[
    str, typer.Option("--app", metavar="NAME", help="The app's name, as the program gives it to its store.")
]
AccountName = Annotated[str, typer.Option(metavar="NAME", help="Which session in the store.")]
ApiChoice = Annotated[Api, typer.Option(help="v1 is the cloud API, v2 the open-source server.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def open_store(kind: Kind | None, path: Path | None, app: str) -> FileStore | KeyringStore:
    """Return the store that the options name.

    Raises:
        ConfigurationError: The options contradict each other, or the store cannot be used.
    """
    if kind is Kind.KEYRING and path is not None:
        raise ConfigurationError("--path names the folder of --store file: a keyring has none.")
    if kind is Kind.KEYRING:
        return KeyringStore(app)
    if path is not None:
        return FileStore(path)
    if kind is Kind.FILE:
        return FileStore(app=app)
    return default_store(app)


@contextmanager
def client(kind: Kind | None, path: Path | None, app: str, account: str, api: Api) -> Generator[HelloJohn]:
    """Open a client on the store that the options name; turn its errors into messages."""
    dialect: Literal["v1", "v2"] = "v2" if api is Api.V2 else "v1"
    with errors_shown(), HelloJohn(store=open_store(kind, path, app), account=account, api=dialect) as hj:
        yield hj


@contextmanager
def errors_shown() -> Generator[None]:
    """Print an error of the SDK as one line and exit with 1."""
    try:
        yield
    except HelloJohnError as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """Print a message to standard error and exit with 1."""
    lines = "\n".join(plain(line) for line in message.split("\n"))
    typer.echo(f"hellojohn: {lines}", err=True)
    raise typer.Exit(1)
