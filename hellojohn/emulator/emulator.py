"""The emulator as its users hold it: start and stop, the clock, users, sessions and failures.

It wires the rooms together and decides nothing itself.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Final, Self, Unpack

from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn.emulator import app
from hellojohn.emulator.clock import MovableClock
from hellojohn.emulator.faults import Drop, Fault, Faults, Hold, When
from hellojohn.emulator.policy import Settings
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.records import AccountState, Profile
from hellojohn.emulator.responses import Shape
from hellojohn.emulator.routes import Api
from hellojohn.emulator.rules import Rules
from hellojohn.emulator.server import BackgroundServer
from hellojohn.emulator.tokens import Issuer

DEMO_EMAIL: Final = "demo@example.com"
DEMO_PASSWORD: Final = "correct horse battery staple"  # noqa: S105  # it is printed for everybody to use
_TENANT_ID = "tnt_local"
_PUBLISHABLE_KEY = "pk_test_local"
_SECRET_KEY = "sk_test_local"  # noqa: S105  # it opens nothing but an emulator
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # where to call it, not where to listen


class Emulator:
    """The HelloJohn v1 service on this machine, in memory, for development and tests.

    It follows the documented session rules: rotation and reuse detection, the four settings, revocation. Rate
    limits are not enforced; ask for them with ``fail``. Use it in a ``with`` block, or ``start`` and ``stop``
    it.

    Attributes:
        tenant_id: The one tenant's id.
        publishable_key: The key for sign-in and sign-up.
        secret_key: The key for sessions and settings. It opens nothing but an emulator.
        clock: The emulator's time: call it for the seconds since the epoch, and pass it to a client as its
            ``clock``.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        answers: Shape = "nested",
        clock: Callable[[], float] = time.time,
        reuse_grace: str | timedelta | None = None,
    ) -> None:
        """Prepare; nothing listens before ``start``.

        Args:
            port: The port to listen on; 0 picks a free one, which is then kept across restarts.
            host: The address to listen on. Any but loopback lets others in, with keys that everybody knows.
            answers: Which of the two documented shapes sign-in and sign-up answer in.
            clock: The base clock, in seconds since the epoch.
            reuse_grace: For how long after its rotation a refresh token is taken once more, such as ``10s``;
                by default not at all, and presenting one revokes its session.
        """
        if answers not in ("nested", "flat"):
            msg = f"answers is 'nested' or 'flat', not {answers!r}."
            raise ConfigurationError(msg)
        self.tenant_id: str = _TENANT_ID
        self.publishable_key: str = _PUBLISHABLE_KEY
        self.secret_key: str = _SECRET_KEY
        self.clock: MovableClock = MovableClock(clock)
        self._host = host
        self._port = port
        self._server: BackgroundServer | None = None
        self._rules = Rules(clock=self.clock, reuse_grace=reuse_grace)
        self._issuer = Issuer(tenant_id=self.tenant_id)
        table = app.calls(self._api(answers))
        self._faults = Faults({call.name for call in table})
        self._app = app.build(table, faults=self._faults, clock=self.clock)
        self.add_user(DEMO_EMAIL, DEMO_PASSWORD, name="Demo")

    # Running

    def start(self) -> Self:
        """Listen; return once requests are answered. A port once used is used again.

        Raises:
            ConfigurationError: It runs already, or the address cannot be listened on.
        """
        if self._server is not None:
            msg = "The emulator runs already: stop it first."
            raise ConfigurationError(msg)
        server = self._listen()
        self._port = server.port
        self._issuer.url = self.url
        server.start()
        self._server = server
        return self

    def stop(self) -> None:
        """Stop listening and cut every connection, as an outage does. Users, sessions and time stay."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def restart(self) -> None:
        """Stop and start again, on the same port and with the same state."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def url(self) -> str:
        """The address of the API host, such as ``http://127.0.0.1:3000``, without ``/v1``.

        Raises:
            ConfigurationError: It has never been started, so that the port is not known yet.
        """
        if self._port == 0:
            msg = "The emulator has no address yet: start it first."
            raise ConfigurationError(msg)
        host = _ANY_ADDRESS.get(self._host, self._host)
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    def advance(self, by: str | timedelta) -> None:
        """Move the clock by text such as ``31d`` or by a ``timedelta``; only a negative one moves it back."""
        self.clock.advance(by)

    # The tenant

    def add_user(
        self, email: str, password: str, *, name: str | None = None, mfa_code: str | None = None
    ) -> str:
        """Add a user who can sign in, and return the user's id.

        Args:
            email: The address to sign in with.
            password: The password; any will do.
            name: The user's name.
            mfa_code: The code of the second factor that sign-in then asks for.

        Raises:
            ConfigurationError: The address is not one, or it is taken.
        """
        try:
            user = self._rules.add_user(
                email,
                Secret(password),
                profile=Profile(name),
                mfa_code=None if mfa_code is None else Secret(mfa_code),
            )
        except ApiProblem as refusal:
            raise ConfigurationError(refusal.message) from None
        return user.id

    def lock_user(self, email: str) -> None:
        """Lock an account: sign-in answers ``account_locked``; sessions go on."""
        self._set_state(email, AccountState.LOCKED)

    def disable_user(self, email: str) -> None:
        """Disable an account: sign-in and refresh answer ``account_disabled``."""
        self._set_state(email, AccountState.DISABLED)

    def enable_user(self, email: str) -> None:
        """Let a locked or disabled account in again."""
        self._set_state(email, AccountState.ACTIVE)

    def revoke(self, session_id: str) -> None:
        """Revoke a session. Its access tokens work on until they expire.

        Raises:
            ConfigurationError: There is no such session.
        """
        try:
            self._rules.revoke(session_id)
        except ApiProblem as refusal:
            raise ConfigurationError(refusal.message) from None

    def reject_access_tokens(self) -> None:
        """Make ``/resource`` answer 401 to every access token issued so far."""
        self._issuer.reject_all()

    def configure(self, **settings: Unpack[Settings]) -> None:
        """Change the tenant's session settings, as ``admin/config`` does; ``None`` clears a limit.

        Args:
            **settings: ``session_duration``, ``access_token_ttl``, ``idle_timeout`` and
                ``max_sessions_per_user``. A new duration counts for new sessions.

        Raises:
            ConfigurationError: A name or a value is wrong; nothing is changed then.
        """
        self._rules.configure(settings)

    # Trouble

    def fail(
        self,
        route: str,
        *,
        status: int | None = None,
        code: str | None = None,
        body: bytes | str | None = None,
        retry_after: float | str | None = None,
        delay: float = 0.0,
        drop: Drop | None = None,
        when: When = "before",
        times: int | None = 1,
    ) -> None:
        """Let the next requests on a route fail. Failures of a route happen in the order they were asked for.

        Args:
            route: The route's path below ``/v1`` or the end of it, such as ``token/refresh``.
            status: Answer with this status and an error in the documented shape.
            code: The error's code; each status has a usual one.
            body: Answer with this body, in place of an error; the status is 200 unless given.
            retry_after: The answer's ``Retry-After``: seconds or an HTTP date.
            delay: Wait for so many real seconds first.
            drop: Cut the connection ``before`` the rules run, ``after`` they did, or ``midway`` through the
                answer.
            when: Whether ``status`` and ``body`` answer ``before`` the rules run, or ``after``, in place of
                their answer.
            times: How many requests; ``None`` until ``clear_failures``.

        Raises:
            ConfigurationError: There is no such route, or the arguments name no failure or two at once.
        """
        data = body.encode() if isinstance(body, str) else body
        fault = Fault(
            status=status, code=code, body=data, retry_after=retry_after, delay=delay, drop=drop, when=when
        )
        self._faults.schedule(route, fault, times=times)

    def clear_failures(self) -> None:
        """Forget the failures that are still to come."""
        self._faults.clear()

    def hold(self, route: str, *, when: When = "before") -> Hold:
        """Hold the requests on a route while the returned ``with`` block lasts.

        Args:
            route: The route's path below ``/v1`` or the end of it, such as ``token/refresh``.
            when: ``before`` the rules run, or ``after``, when only the answer is missing.
        """
        return self._faults.hold(route, when=when)

    def calls(self, route: str) -> int:
        """Return how many requests a route has received, those that failed included."""
        return self._faults.calls(route)

    @property
    def rotations(self) -> int:
        """How many refreshes have succeeded."""
        return self._rules.rotations

    @property
    def reuses(self) -> int:
        """How many times a rotated refresh token was presented again."""
        return self._rules.reuses

    def __repr__(self) -> str:
        """Show where it is, and no key."""
        return f"<Emulator at {self.url if getattr(self, '_port', 0) else 'no address yet'}>"

    def _listen(self) -> BackgroundServer:
        try:
            return BackgroundServer(self._app, host=self._host, port=self._port)
        except OSError as error:
            where = f"{self._host}:{self._port}"
            msg = f"The emulator cannot listen on {where}: {error}. Pick another address or port."
            raise ConfigurationError(msg) from error

    def _api(self, shape: Shape) -> Api:
        return Api(
            rules=self._rules,
            issuer=self._issuer,
            clock=self.clock,
            publishable_key=Secret(self.publishable_key),
            secret_key=Secret(self.secret_key),
            shape=shape,
        )

    def _set_state(self, email: str, state: AccountState) -> None:
        try:
            self._rules.set_state(email, state)
        except ApiProblem as refusal:
            raise ConfigurationError(refusal.message) from None
