"""``hellojohn doctor``: the report of ``HelloJohn.doctor`` on a session that another program keeps."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hellojohn import (
    ConfigurationError,
    Diagnosis,
    FileStore,
    HelloJohn,
    KeyringStore,
    StoreLocked,
    default_store,
)


class Kind(StrEnum):
    """The stores that a command can open; any other has a program to open it."""

    FILE = "file"
    KEYRING = "keyring"


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


def doctor(
    *,
    store: StoreChoice = None,
    path: Folder = None,
    app: AppName = "hellojohn",
    account: AccountName = "default",
) -> None:
    """Look at a stored session, its store, the service and the clock: facts and advice, and no secret.

    It changes nothing, takes its settings from the HELLOJOHN_* variables, and exits with 1 if it has advice.
    """
    try:
        found = _found(store, path, app, account)
    except (ConfigurationError, StoreLocked) as error:
        typer.echo(f"hellojohn: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(str(found))
    raise typer.Exit(1 if found.advice else 0)


def _found(kind: Kind | None, path: Path | None, app: str, account: str) -> Diagnosis:
    with HelloJohn(store=_opened(kind, path, app), account=account) as hj:
        return hj.doctor()


def _opened(kind: Kind | None, path: Path | None, app: str) -> FileStore | KeyringStore:
    if kind is Kind.KEYRING and path is not None:
        raise ConfigurationError("--path names the folder of --store file: a keyring has none.")
    if kind is Kind.KEYRING:
        return KeyringStore(app)
    if kind is Kind.FILE or path is not None:
        return FileStore(path, app=app)
    return default_store(app)
