"""``hellojohn login``, ``status``, ``token`` and ``logout``: the session of a program, from a terminal."""

import json
from datetime import datetime
from typing import Annotated, Any

import typer

from hellojohn import HelloJohn, InvalidCredentials, MfaRequired, Session
from hellojohn._errors import MfaChallenge, ValidationFailed
from hellojohn.cli._plain import plain
from hellojohn.cli._store import (
    APP,
    AccountName,
    Api,
    ApiChoice,
    AppName,
    AsJson,
    Folder,
    StoreChoice,
    client,
    fail,
)
from hellojohn.cli._streams import ask, ask_secret

_TRIES = 3

WithPassword = Annotated[
    bool, typer.Option("--password", help="Ask for email and password, not for a browser.")
]
Provider = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A provider such as google, for the sign-in with a browser."),
]
Email = Annotated[str | None, typer.Option(metavar="ADDRESS", help="The email address, with --password.")]
RememberMe = Annotated[
    bool | None, typer.Option("--remember-me/--no-remember-me", help="How long to stay signed in.")
]
Everywhere = Annotated[bool, typer.Option("--everywhere", help="End all sessions of the user.")]


def login(
    *,
    password: WithPassword = False,
    provider: Provider = None,
    email: Email = None,
    remember_me: RememberMe = None,
    store: StoreChoice = None,
    path: Folder = None,
    app: AppName = APP,
    account: AccountName = "default",
    api: ApiChoice = Api.V1,
    as_json: AsJson = False,
) -> None:
    """Sign in, with a browser or with --password, and keep the session where the program looks for it."""
    with client(store, path, app, account, api) as hj:
        if password or email is not None:
            if provider is not None:
                fail("--provider is for the sign-in with a browser: leave out --password and --email.")
            session = _with_password(hj, email or ask("Email"), remember_me)
        else:
            session = hj.auth.sign_in_with_browser(
                provider, remember_me=remember_me, prompt=lambda line: typer.echo(line, err=True)
            )
        _show(session, as_json=as_json)


def status(
    *,
    store: StoreChoice = None,
    path: Folder = None,
    app: AppName = APP,
    account: AccountName = "default",
    api: ApiChoice = Api.V1,
    as_json: AsJson = False,
) -> None:
    """Show the session without asking the service. Exits with 1 when no user is signed in."""
    with client(store, path, app, account, api) as hj:
        session = hj.auth.session()
        if session is None:
            fail("No user is signed in: run hellojohn login.")
        _show(session, as_json=as_json)


def token(
    *,
    store: StoreChoice = None,
    path: Folder = None,
    app: AppName = APP,
    account: AccountName = "default",
    api: ApiChoice = Api.V1,
) -> None:
    """Print a valid access token, for curl and scripts. It refreshes when due."""
    with client(store, path, app, account, api) as hj:
        typer.echo(hj.auth.access_token())


def logout(
    *,
    everywhere: Everywhere = False,
    store: StoreChoice = None,
    path: Folder = None,
    app: AppName = APP,
    account: AccountName = "default",
    api: ApiChoice = Api.V1,
    as_json: AsJson = False,
) -> None:
    """End the session, here and at the service."""
    with client(store, path, app, account, api) as hj:
        confirmed = hj.auth.sign_out(everywhere=everywhere)
        words = "Signed out." if confirmed else "Signed out here. The service did not confirm it."
        typer.echo(json.dumps({"confirmed": confirmed}) if as_json else words)


def _with_password(hj: HelloJohn, email: str, remember_me: bool | None) -> Session:  # noqa: FBT001 - an option
    try:
        return hj.auth.sign_in(email, ask_secret("Password"), remember_me=remember_me)
    except MfaRequired as required:
        challenge = required.challenge
    return _with_code(hj, challenge)


def _with_code(hj: HelloJohn, challenge: MfaChallenge) -> Session:
    """Ask for the code again while the challenge can be answered."""
    for left in reversed(range(_TRIES)):
        try:
            return hj.auth.verify_mfa(challenge, ask("Code", default="", show_default=False))
        except (InvalidCredentials, ValidationFailed) as error:
            if not left:
                raise
            typer.echo(plain(str(error)), err=True)
    raise AssertionError


def _show(session: Session, *, as_json: bool) -> None:
    facts: dict[str, Any] = {
        "user": session.user.email,
        "user_id": session.user.id,
        "session": session.id,
        "tenant": session.tenant_id,
        "signed_in": session.created_at,
        "ends": session.expires_at,
        "remember_me": session.remember_me,
    }
    if as_json:
        typer.echo(json.dumps(facts, default=lambda moment: moment.isoformat()))
        return
    for name, fact in facts.items():
        if fact not in (None, ""):
            typer.echo(f"{name.replace('_', ' '):12} {_words(fact)}")


def _words(fact: object) -> str:
    return f"{fact:%Y-%m-%d %H:%M:%S} UTC" if isinstance(fact, datetime) else plain(str(fact))
