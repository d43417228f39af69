"""The part of the emulator that knows no API: it listens, keeps time, fails on demand and sends webhooks."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from starlette.applications import Starlette

from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn.emulator import app
from hellojohn.emulator.app import Call, Errors, RequestLine
from hellojohn.emulator.clock import MovableClock, system_time
from hellojohn.emulator.faults import Drop, Fault, Faults, Hold, When
from hellojohn.emulator.mail import Inbox
from hellojohn.emulator.server import BackgroundServer
from hellojohn.emulator.webhooks import Delivery, Webhook, Webhooks

_WEBHOOK_SECRET: Final = "whsec_local"  # noqa: S105 - it signs for nothing but an emulator
_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to call it, not where to listen


class Host:
    """A server on this machine with a clock to move, failures on demand, mails and webhooks.

    Attributes:
        tenant_id: The id of the one tenant.
        webhook_secret: The secret that signs webhooks.
        inbox: The mails that were sent, the oldest first.
        clock: The time: call it for the seconds since the epoch.
    """

    def __init__(
        self,
        *,
        tenant_id: str,
        port: int,
        host: str,
        clock: Callable[[], float] = system_time,
        log: Callable[[RequestLine], None] | None = None,
    ) -> None:
        """Prepare. ``_serve`` sets the routes, and ``start`` begins to listen."""
        self.tenant_id: str = tenant_id
        self.webhook_secret: str = _WEBHOOK_SECRET
        self.inbox: Inbox = Inbox()
        self.clock: MovableClock = MovableClock(clock)
        self._host = host
        self._port = port
        self._log = log
        self._webhooks = Webhooks(tenant_id=tenant_id, secret=Secret(self.webhook_secret), clock=self.clock)
        self._server: BackgroundServer | None = None
        self._app: Starlette
        self._faults: Faults

    def _serve(self, table: Sequence[Call], errors: Errors) -> None:
        """Serve these routes once started."""
        self._faults = Faults({call.name: call.other_names for call in table})
        self._app = app.build(table, errors=errors, faults=self._faults, clock=self.clock, log=self._log)

    # Running

    def start(self) -> Self:
        """Listen; return once requests are answered. A port that was used once is used again.

        Raises:
            ConfigurationError: It runs already, or it cannot listen on its address.
        """
        if self._server is not None:
            msg = "The emulator runs already: stop it first."
            raise ConfigurationError(msg)
        server = self._listen()
        self._port = server.port
        self._on_listening()
        server.start()
        self._server = server
        return self

    def stop(self) -> None:
        """Stop listening and cut every connection, as an outage does. Users, sessions and time stay."""
        if self._server is not None:
            self._server.stop()
            self._server = None
        self._webhooks.close()

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
            ConfigurationError: It was never started, so that the port is not known yet.
        """
        if self._port == 0:
            msg = "The emulator has no address yet: start it first."
            raise ConfigurationError(msg)
        host = _ANY_ADDRESS.get(self._host, self._host)
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    def advance(self, by: str | timedelta) -> None:
        """Move the clock by text such as ``31d`` or by a ``timedelta``, which alone can move it back."""
        self.clock.advance(by)

    # Failures

    def fail(
        self,
        route: str,
        *,
        status: int | None = None,
        code: str | None = None,
        body: bytes | str | None = None,
        retry_after: float | str | None = None,
        headers: Mapping[str, str] | None = None,
        delay: float = 0.0,
        drop: Drop | None = None,
        when: When = "before",
        times: int | None = 1,
    ) -> None:
        """Let the next requests on a route fail. The failures of a route happen in the order of the calls.

        Args:
            route: The route's path below ``/v1`` or the end of it, such as ``token/refresh`` or ``jwks``.
            status: Answer with this status and an error in the documented shape.
            code: The error's code; each status has a usual one.
            body: Answer with this body instead of an error; the status is 200 unless given.
            retry_after: The answer's ``Retry-After``: seconds or an HTTP date.
            headers: Further headers. Without ``status`` and ``body`` they are added to the real answer.
            delay: Wait for this many real seconds first.
            drop: Cut the connection ``before`` the rules run, ``after`` them, or ``midway`` in the answer.
            when: Whether ``status`` and ``body`` answer ``before`` the rules run, or ``after`` them, and hide
                the real answer.
            times: How many requests fail; ``None`` for every request until ``clear_failures``.

        Raises:
            ConfigurationError: No route has this name, or the arguments name no failure or two at once.
        """
        fault = Fault(
            status=status,
            code=code,
            body=body.encode() if isinstance(body, str) else body,
            retry_after=retry_after,
            headers=dict(headers or {}),
            delay=delay,
            drop=drop,
            when=when,
        )
        self._faults.schedule(route, fault, times=times)

    def clear_failures(self) -> None:
        """Forget the failures that are still to come."""
        self._faults.clear()

    def hold(self, route: str, *, when: When = "before") -> Hold:
        """Hold the requests on a route while the returned ``with`` block lasts.

        Args:
            route: The route's path below ``/v1`` or the end of it, such as ``token/refresh``.
            when: ``before`` the rules run, or ``after`` them, when only the answer is missing.
        """
        return self._faults.hold(route, when=when)

    def calls(self, route: str) -> int:
        """Return how many requests a route has received, including those that failed."""
        return self._faults.calls(route)

    # Webhooks

    @property
    def webhook_url(self) -> str | None:
        """Where the emulator sends its events, such as ``session.revoked``; ``None`` for nowhere.

        Each event is sent once, in order, from a separate thread. ``wait_for_webhooks`` waits for it.
        """
        return self._webhooks.url

    @webhook_url.setter
    def webhook_url(self, url: str | None) -> None:
        self._webhooks.url = url

    def webhook(self, event: str, /, **data: object) -> Webhook:
        """Return a signed webhook without sending it."""
        return self._webhooks.build(event, data)

    def send_webhook(self, event: str, /, **data: object) -> Delivery:
        """Send a signed webhook to ``webhook_url``, and return how the receiver answered.

        Raises:
            ConfigurationError: ``webhook_url`` is not set.
        """
        return self._webhooks.send(event, data)

    def wait_for_webhooks(self, *, timeout: float = 10.0) -> tuple[Delivery, ...]:
        """Wait until the events so far were sent, and return the last 1,000 deliveries, the oldest first.

        Raises:
            TimeoutError: The receiver took longer than ``timeout`` real seconds.
        """
        return self._webhooks.wait(timeout)

    def __repr__(self) -> str:
        """Show the address, and no key."""
        where = self.url if getattr(self, "_port", 0) else "no address yet"
        return f"<{type(self).__name__} at {where}>"

    def _on_listening(self) -> None:
        """Prepare for requests: the address is known from here on."""

    def _listen(self) -> BackgroundServer:
        try:
            return BackgroundServer(self._app, host=self._host, port=self._port)
        except OSError as error:
            where = f"{self._host}:{self._port}"
            msg = f"The emulator cannot listen on {where}: {error}. Pick another address or port."
            raise ConfigurationError(msg) from error
