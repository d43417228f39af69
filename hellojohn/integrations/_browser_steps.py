"""Sign-in, second factor and sign-out of a browser, once for blocking and for awaiting frameworks.

Each is a generator that yields the result of a call of the client. ``drive`` sends the result back;
``drive_async`` awaits it first.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, cast

from hellojohn import (
    AsyncHelloJohn,
    ChallengeExpired,
    HelloJohn,
    HelloJohnError,
    MfaChallenge,
    MfaRequired,
    OAuthRequest,
    Session,
    StoreError,
    ValidationFailed,
)
from hellojohn._clock import as_moment
from hellojohn._logs import logger_of
from hellojohn._secret import Secret
from hellojohn._waiting import Completion, Flow, WaitFor, run, run_async
from hellojohn.integrations._browser_pending import Pending
from hellojohn.integrations._browser_rules import Rules, account_of, derived_cookie, new_cookie
from hellojohn.integrations._browser_values import Landing, Visit
from hellojohn.verify._flight import on_worker

T = TypeVar("T")
Steps = Generator[Any, Any, T]
AnyClient = HelloJohn | AsyncHelloJohn

_LOOKS = 20
_PAUSE = 0.25
"""How often a second click looks for the answer to the first, and the seconds in between."""

_log = logger_of("hellojohn.integrations")


class BrowserSteps:
    """Sign-in, second factor and sign-out on one site.

    Attributes:
        now: The client's clock.
    """

    def __init__(self, client: AnyClient, rules: Rules) -> None:
        """Use the client's store for its sessions, and for what browsers have begun."""
        parts: Any = client._parts  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        self._client = client
        self._rules = rules
        self.now: Callable[[], float] = parts.settings.clock
        self._pending = Pending(parts._store, parts.settings.place, self.now)  # noqa: SLF001
        self._blocks = isinstance(client, HelloJohn)

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
        self._rules.cookie_for(visit, cookie, None)  # before anything is sent: it may refuse
        auth: Any = self._bound(cookie).auth
        outcome: Session | MfaChallenge
        try:
            outcome = yield auth.sign_in(
                email, password.reveal(), remember_me=remember_me, device=visit.device
            )
        except MfaRequired as due:
            outcome = due.challenge
        return (yield from self._land(visit, cookie, outcome))

    def sign_in_with_oauth(
        self, visit: Visit, provider: str | None, *, remember_me: bool | None, scopes: Sequence[str]
    ) -> Steps[Landing]:
        """Send the browser to a provider, under a new cookie."""
        self._rules.check_sender(visit)
        cookie = new_cookie()
        to_set = self._rules.cookie_for(visit, cookie, None)
        auth: Any = self._bound(cookie).auth
        request: OAuthRequest = yield auth.sign_in_with_oauth(
            provider, self._rules.callback_for(visit), remember_me=remember_me, scopes=scopes
        )
        following = self._rules.page_after(visit)
        yield self._call(partial(self._pending.save_oauth, account_of(cookie), request, following))
        yield from self._end(visit)
        return Landing(request.url, to_set)

    def complete_oauth(self, visit: Visit) -> Steps[Landing]:
        """Complete the sign-in that was begun under the browser's cookie. The session gets a new cookie."""
        old = self._rules.cookie_of(visit)
        begun = None
        if old is not None:
            begun = yield self._call(partial(self._pending.load_oauth, account_of(old)))
        if old is None or begun is None:
            return (yield from self._land_without_sign_in(visit))
        request, following = begun
        visit = replace(visit, next=following)
        cookie = new_cookie()
        auth: Any = self._bound(cookie).auth
        callback = f"{self._rules.origin_of(visit)}{visit.target}"
        outcome: Session | MfaChallenge
        try:
            outcome = yield auth.complete_oauth(request, callback, device=visit.device)
        except MfaRequired as due:
            outcome = due.challenge
        except (ChallengeExpired, ValidationFailed):
            return Landing(self._rules.sign_in_again(visit, "not_completed"))
        return (yield from self._land(visit, cookie, outcome))

    def _land(self, visit: Visit, cookie: str, outcome: Session | MfaChallenge) -> Steps[Landing]:
        """Lead a user on under a new cookie: to the page in ``next``, or to the second factor."""
        if isinstance(outcome, Session):
            yield from self._end(visit)
            return Landing(self._rules.page_after(visit), self._rules.cookie_for(visit, cookie, outcome))
        yield self._call(partial(self._pending.save_challenge, account_of(cookie), outcome))
        yield from self._end(visit)
        return Landing(self._rules.mfa_page(visit), self._rules.cookie_for(visit, cookie, None))

    def _land_without_sign_in(self, visit: Visit) -> Steps[Landing]:
        """Answer a callback that no sign-in waits for: a second one finds its user signed in."""
        client: Any = self.client_for(visit)
        session: Session | None = yield client.auth.session()
        if session is not None:
            return Landing(self._rules.home)
        return Landing(self._rules.sign_in_again(visit, "not_completed"))

    def verify_mfa(self, visit: Visit, code: Secret) -> Steps[Landing]:
        """Answer the challenge that waits under the browser's cookie. The session gets a new cookie."""
        self._rules.check_sender(visit)
        old = self._rules.cookie_of(visit)
        challenge = None
        if old is not None:
            challenge = yield self._call(partial(self._pending.load_challenge, account_of(old)))
        if old is None or challenge is None:
            return (yield from self._land_without_challenge(visit, old, code))
        seed = new_cookie()
        cookie = derived_cookie(old, seed, code.reveal())
        auth: Any = self._bound(cookie).auth
        try:
            session: Session = yield auth.verify_mfa(challenge, code.reveal(), device=visit.device)
        except ChallengeExpired:
            return (yield from self._land_with_the_first_click(visit, old, code, challenge))
        try:
            yield self._call(partial(self._pending.save_answered, account_of(old), seed))
        except StoreError as error:  # the user has to get the cookie of the new session
            _log.warning("A second click on the form of a second factor will not be recognised: %s", error)
        return Landing(self._rules.page_after(visit), self._rules.cookie_for(visit, cookie, session))

    def _land_without_challenge(self, visit: Visit, old: str | None, code: Secret) -> Steps[Landing]:
        """Answer a form that no challenge waits for: after a first click, it finds the user signed in."""
        if old is None:
            return Landing(self._rules.sign_in_again(visit, "expired"))
        own: Any = self._bound(old)  # the browser may have got the answer to the first click, too
        session: Session | None = yield own.auth.session()
        if session is not None:
            return Landing(self._rules.page_after(visit))
        seed = yield self._call(partial(self._pending.load_answered, account_of(old)))
        return (yield from self._land_with(visit, old, code, seed))

    def _land_with_the_first_click(
        self, visit: Visit, old: str, code: Secret, challenge: MfaChallenge
    ) -> Steps[Landing]:
        """Wait for the answer to a first click, which has used up the challenge and is under way."""
        in_time = challenge.expires_at is None or as_moment(self.now()) < challenge.expires_at
        for _ in range(_LOOKS if in_time else 0):
            seed = yield self._call(partial(self._pending.load_answered, account_of(old)))
            if seed is not None:
                return (yield from self._land_with(visit, old, code, seed))
            yield self._wait(_PAUSE)
        seed = yield self._call(partial(self._pending.give_up_challenge, account_of(old)))
        return (yield from self._land_with(visit, old, code, seed))

    def _land_with(self, visit: Visit, old: str, code: Secret, seed: str | None) -> Steps[Landing]:
        """Lead a second click to the session of the first. Another code ends that: it may be a guess."""
        if seed is None:
            return Landing(self._rules.sign_in_again(visit, "expired"))
        cookie = derived_cookie(old, seed, code.reveal())
        client: Any = self._bound(cookie)
        session: Session | None = yield client.auth.session()
        if session is None:
            yield self._call(partial(self._pending.delete, account_of(old)))
            return Landing(self._rules.sign_in_again(visit, "expired"))
        return Landing(self._rules.page_after(visit), self._rules.cookie_for(visit, cookie, session))

    def sign_out(self, visit: Visit, *, everywhere: bool) -> Steps[Landing]:
        """End the browser's session, or all sessions of its user, here and at the service.

        A sign-in that waits under the cookie ends too.
        """
        self._rules.check_sender(visit)  # browsers send a form of another site without the cookie
        client: Any = self.client_for(visit)
        yield client.auth.sign_out(everywhere=everywhere)
        cookie = self._rules.cookie_of(visit)
        if cookie is not None:
            yield self._call(partial(self._pending.delete, account_of(cookie)))
        return Landing(self._rules.sign_in_url, self._rules.no_cookie(visit))

    def _end(self, visit: Visit) -> Steps[None]:
        """End the session or challenge under the old cookie, which no request can reach any more."""
        old = self._rules.cookie_of(visit)
        if old is None:
            return
        auth: Any = self._bound(old).auth
        try:
            yield auth.sign_out()
            yield self._call(partial(self._pending.delete, account_of(old)))
        except HelloJohnError as error:  # the user has to get the cookie of the new session
            _log.warning("The old session of a browser was not ended: %s", error)

    def _bound(self, cookie: str) -> AnyClient:
        return self._client.for_account(account_of(cookie))

    def _call(self, call: Callable[[], object]) -> object:
        return call() if self._blocks else run_async(on_worker(call))

    def _wait(self, seconds: float) -> object:
        return run(_pause(seconds)) if self._blocks else run_async(_pause(seconds))


def _pause(seconds: float) -> Flow[None]:
    yield WaitFor(Completion(), seconds)


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
