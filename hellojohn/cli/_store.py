"""Which session a command works with: the options of the store, and the client that they open."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from hellojohn import FileStore, HelloJohn, HelloJohnError, KeyringStore, TokenStore, default_store
from hellojohn._errors import ConfigurationError, StoreUnavailable
from hellojohn.cli._plain import plain

APP = "hellojohn"


class Kind(StrEnum):
    """The stores that a command can open. Any other has a program to open it."""

    FILE = "file"
    KEYRING = "keyring"


class Api(StrEnum):
    """The two dialects of the service."""

    V1 = "v1"
    V2 = "v2"


def _folder(text: str) -> Path:
    """Return the folder that --path names. ``Path("")`` would be the current folder."""
    if not text:
        raise typer.BadParameter("it is empty. Name a folder, or leave the option out.")
    return Path(text)


StoreChoice = Annotated[
    Kind | None,
    typer.Option("--store", help="Where the session is: by default the keyring, or files where it has none."),
]
Folder = Annotated[
    Path | None,
    typer.Option(parser=_folder, metavar="FOLDER", help="The folder of a FileStore; it means --store file."),
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
    _check_options(kind, path, app)
    if kind is Kind.KEYRING:
        return KeyringStore(app)
    if path is not None:
        return FileStore(path)
    if kind is Kind.FILE:
        return FileStore(app=app)
    return default_store(app)


def store_or_reason(kind: Kind | None, path: Path | None, app: str) -> TokenStore:
    """Return the store that the options name, or one that raises why it cannot be opened.

    Raises:
        ConfigurationError: The options contradict each other.
    """
    _check_options(kind, path, app)
    try:
        return open_store(kind, path, app)
    except HelloJohnError as error:
        return _UnopenedStore(str(error))


@contextmanager
def client(kind: Kind | None, path: Path | None, app: str, account: str, api: Api) -> Generator[HelloJohn]:
    """Open a client on the store that the options name; turn its errors into messages."""
    with errors_shown(), client_on(open_store(kind, path, app), account, api) as hj:
        yield hj


def client_on(store: TokenStore, account: str, api: Api) -> HelloJohn:
    """Return a client on a store."""
    dialect: Literal["v1", "v2"] = "v2" if api is Api.V2 else "v1"
    return HelloJohn(store=store, account=account, api=dialect)


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


class _UnopenedStore:
    """Stands for a store that cannot be opened, so that the doctor can examine the rest."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def describe(self) -> Mapping[str, str]:
        return {"store": "it cannot be opened"}

    def _raise(self, *values: object, **options: object) -> NoReturn:  # noqa: ARG002 - any method's
        raise StoreUnavailable(self._reason)

    load = save = delete = lock = _raise


def _check_options(kind: Kind | None, path: Path | None, app: str) -> None:
    if kind is Kind.KEYRING and path is not None:
        raise ConfigurationError("--path names the folder of --store file: a keyring has none.")
    if path is not None and app != APP:
        raise ConfigurationError("--app names the default folder, and --path replaces it: give one of them.")
