"""Sign-in, second factor and sign-out of a browser, once for blocking and for awaiting frameworks.

Each is a generator that yields the result of a call of the client. ``drive`` sends the result back;
``drive_async`` awaits it first.
"""

import json
import logging
from collections.abc import Callable, Generator
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar, cast

from hellojohn import (
    AsyncHelloJohn,
    ChallengeExpired,
    HelloJohn,
    HelloJohnError,
    MfaChallenge,
    MfaRequired,
    Session,
)
from hellojohn._secret import Secret
from hellojohn._waiting import run_async
from hellojohn.integrations._browser_rules import Landing, Rules, Visit, account_of, new_cookie
from hellojohn.stores import TokenStore
from hellojohn.stores._capabilities import loaded, saver
from hellojohn.verify._flight import on_worker

T = TypeVar("T")
Steps = Generator[Any, Any, T]
AnyClient = HelloJohn | AsyncHelloJohn

_CHALLENGE_LIFE = 600.0
_log = logging.getLogger("hellojohn.integrations")


class BrowserSteps:
    """Sign-in, second factor and sign-out on one site.

    Attributes:
        now: The client's clock.
    """

    def __init__(self, client: AnyClient, rules: Rules) -> None:
        """Use the client's store for its sessions and for challenges."""
        parts: Any = client._parts  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        self._client = client
        self._rules = rules
        self._challenges = Challenges(parts._store, parts.settings.place)  # noqa: SLF001
        self._blocks = isinstance(client, HelloJohn)
        self.now: Callable[[], float] = parts.settings.clock

    def client_for(self, visit: Visit) -> AnyClient:
        """Return the client that is bound to the browser's session.

        Raises:
            CrossSiteRequest: Another site has sent the request.
        """
        cookie = self._rules.cookie_of(visit)
        if cookie is None:
            # Visitors get an account each: no two of them may share one. There is nothing to forge either, so
            # that other sites may call the parts of an app that are not for browsers' sessions.
            return self._bound(new_cookie())
        self._rules.check_sender(visit)
        return self._bound(cookie)

    def sign_in(
        self, visit: Visit, email: str, password: Secret, *, remember_me: bool | None
    ) -> Steps[Landing]:
        """Sign in under a new cookie."""
        self._rules.check_sender(visit)
        cookie = new_cookie()
        to_set = self._rules.cookie_for(visit, cookie, None)  # before anything is sent: it may refuse
        auth: Any = self._bound(cookie).auth
        try:
            session: Session = yield auth.sign_in(
                email, password.reveal(), remember_me=remember_me, device=visit.device
            )
        except MfaRequired as due:
            challenge = due.challenge
        else:
            yield from self._end(visit)
            return Landing(self._rules.page_after(visit), self._rules.cookie_for(visit, cookie, session))
        yield self._call(partial(self._challenges.save, account_of(cookie), challenge))
        yield from self._end(visit)
        return Landing(self._rules.mfa_page(visit), to_set)

    def verify_mfa(self, visit: Visit, code: Secret) -> Steps[Landing]:
        """Answer the challenge that waits under the browser's cookie. The session gets a new cookie."""
        self._rules.check_sender(visit)
        old = self._rules.cookie_of(visit)
        challenge = None
        if old is not None:
            challenge = yield self._call(partial(self._challenges.load, account_of(old)))
        if challenge is None:
            return Landing(self._rules.sign_in_again(visit))
        cookie = new_cookie()
        auth: Any = self._bound(cookie).auth
        try:
            session: Session = yield auth.verify_mfa(challenge, code.reveal(), device=visit.device)
        except ChallengeExpired:
            return Landing(self._rules.sign_in_again(visit))
        yield from self._end(visit)
        return Landing(self._rules.page_after(visit), self._rules.cookie_for(visit, cookie, session))

    def sign_out(self, visit: Visit, *, everywhere: bool) -> Steps[Landing]:
        """End the browser's session, or all sessions of its user, here and at the service."""
        self._rules.check_sender(visit)  # browsers send a form of another site without the cookie
        client: Any = self.client_for(visit)
        yield client.auth.sign_out(everywhere=everywhere)
        return Landing(self._rules.sign_in_url, self._rules.no_cookie(visit))

    def _end(self, visit: Visit) -> Steps[None]:
        """End the session or challenge under the old cookie, which no request can reach any more."""
        old = self._rules.cookie_of(visit)
        if old is None:
            return
        auth: Any = self._bound(old).auth
        try:
            yield self._call(partial(self._challenges.delete, account_of(old)))
            yield auth.sign_out()
        except (
            HelloJohnError
        ) as error:  # the new session is there already, and the user has to get its cookie
            _log.warning("The old session of a browser was not ended: %s", error)

    def _bound(self, cookie: str) -> AnyClient:
        return self._client.for_account(account_of(cookie))

    def _call(self, call: Callable[[], object]) -> object:
        return call() if self._blocks else run_async(on_worker(call))


class Challenges:
    """The second factors that browsers have yet to answer, in the client's store."""

    def __init__(self, store: TokenStore, place: str) -> None:
        """Keep them beside the sessions of this service and tenant."""
        self._store = store
        self._save = saver(store)
        self._place = place

    def save(self, account: str, challenge: MfaChallenge) -> None:
        """Keep an account's challenge."""
        self._save(self._key(account), Secret(json.dumps(asdict(challenge), default=_plain)), _CHALLENGE_LIFE)

    def load(self, account: str) -> MfaChallenge | None:
        """Return an account's challenge, if there is one."""
        text = loaded(self._store, self._key(account))
        return None if text is None else _challenge_from(text)

    def delete(self, account: str) -> None:
        """Forget an account's challenge."""
        self._store.delete(self._key(account))

    def _key(self, account: str) -> str:
        return f"{account}{self._place}#challenge"


def _plain(value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return cast("datetime", value).isoformat()


def _challenge_from(text: Secret) -> MfaChallenge:
    members: dict[str, Any] = json.loads(text.reveal())
    duration, expires_at = members["duration"], members["expires_at"]
    return MfaChallenge(
        id=members["id"],
        factors=tuple(members["factors"]),
        duration=None if duration is None else timedelta(seconds=duration),
        remember_me=members["remember_me"],
        preferred_factor=members["preferred_factor"],
        expires_at=None if expires_at is None else datetime.fromisoformat(expires_at),
    )


def drive(steps: Steps[T]) -> T:
    """Carry out the steps with a client that blocks."""
    value: object = None
    while True:
        try:
            value = steps.send(value)
        except StopIteration as stop:
            return cast("T", stop.value)


async def drive_async(steps: Steps[T]) -> T:
    """Carry out the steps with a client that is awaited."""
    resume: Callable[[], Any] = partial(steps.send, None)
    while True:
        try:
            pending = resume()
        except StopIteration as stop:
            return cast("T", stop.value)
        try:
            resume = partial(steps.send, await pending)
        except HelloJohnError as error:
            resume = partial(steps.throw, error)
