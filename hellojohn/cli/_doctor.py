"""``hellojohn doctor``: the report of ``HelloJohn.doctor`` on a session that another program keeps."""

from collections.abc import Mapping
from dataclasses import replace

import typer

from hellojohn import Diagnosis
from hellojohn.cli._plain import plain
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
    typer.echo(str(_plain_diagnosis(found)))
    raise typer.Exit(1 if found.advice else 0)


def _plain_diagnosis(found: Diagnosis) -> Diagnosis:
    return replace(
        found,
        account=plain(found.account),
        store=_plain_facts(found.store),
        session=_plain_facts(found.session),
        service=plain(found.service),
        advice=tuple(map(plain, found.advice)),
    )


def _plain_facts(facts: Mapping[str, str]) -> dict[str, str]:
    return {plain(name): plain(fact) for name, fact in facts.items()}
