"""``hellojohn doctor``: the report of ``HelloJohn.doctor`` on a session that another program keeps."""

import typer

from hellojohn.cli._store import (
    APP,
    AccountName,
    Api,
    ApiChoice,
    AppName,
    Folder,
    StoreChoice,
    client_on,
    errors_shown,
    store_or_reason,
)


def doctor(
    *,
    store: StoreChoice = None,
    path: Folder = None,
    app: AppName = APP,
    account: AccountName = "default",
    api: ApiChoice = Api.V1,
) -> None:
    """Examine a stored session, its store, the service and the clock: facts and advice, and no secret.

    It changes nothing, takes its settings from the HELLOJOHN_* variables, and exits with 1 if it has advice.
    """
    with errors_shown(), client_on(store_or_reason(store, path, app), account, api) as hj:
        found = hj.doctor()
    typer.echo(str(found))
    raise typer.Exit(1 if found.advice else 0)
