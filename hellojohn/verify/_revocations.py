"""``hj.revocations``: sessions and users whose tokens are refused although they have not expired.

A verification looks into memory only. With a store that processes share, a worker thread reads it every 5
seconds while tokens are verified. After 10 seconds without a read, a verification waits up to 250 ms for the
next one. If the store fails, verification goes on with the revocations that are known, and a warning is
logged.
"""

import threading
from functools import partial

from hellojohn._clock import Timing
from hellojohn._errors import ConfigurationError
from hellojohn._limits import (
    CLOCK_SLACK,
    KEY_FETCH_ABANDONED,
    LONGEST_REVOKED_ID,
    QUIET_KEY_WAIT,
    REVOCATION_SPREAD,
    REVOCATION_SYNC,
)
from hellojohn._logs import logger_of
from hellojohn._secret import Secret
from hellojohn._unpicklable import PartOfClient
from hellojohn._waiting import Flow, WaitFor, run_async
from hellojohn.verify._flight import Flight, on_worker
from hellojohn.verify._forks import watch_forks
from hellojohn.verify._revocation_list import Revocation, RevocationList
from hellojohn.verify._shared_revocations import SharedRevocations
from hellojohn.verify._webhooks import Deliveries, Headers, WebhookEvent, read_webhook
from hellojohn.verify._workers import FETCHERS

_log = logger_of("hellojohn.verify")
_NEVER = float("-inf")


class RevocationFeed(PartOfClient):
    """The revocations of one client: its list, the shared log, and the webhooks that were handled."""

    def __init__(
        self,
        known: RevocationList,
        shared: SharedRevocations | None,
        *,
        webhook_secret: Secret | None,
        timing: Timing,
    ) -> None:
        """Keep the parts. ``shared`` is ``None`` without a store that processes share."""
        self.known = known
        self._shared = shared
        self._webhook_secret = webhook_secret
        self._timing = timing
        self._deliveries = Deliveries()
        self._flight: Flight | None = None
        self._quiet_flight: Flight | None = None
        self._read_at = _NEVER
        self._restart()
        watch_forks(self, RevocationFeed._restart)

    @property
    def is_shared(self) -> bool:
        """Whether other processes see the revocations."""
        return self._shared is not None

    def add(self, session_id: str | None, user_id: str | None) -> list[Revocation]:
        """Refuse tokens from now on, in this process.

        Raises:
            ConfigurationError: The ids are missing, or one is not text.
        """
        now = self._timing.clock()
        new: list[Revocation] = []
        if session_id is not None:
            new.append(Revocation("session", _checked(session_id, "session_id"), now))
        if user_id is not None:
            new.append(Revocation("user", _checked(user_id, "user_id"), now))
        if not new:
            raise ConfigurationError("Pass session_id=... or user_id=...: there is nothing to revoke.")
        self.known.add(new)
        return new

    def publish(self, new: list[Revocation]) -> None:
        """Let the other processes know. Blocks.

        Raises:
            StoreError: The shared store failed. This process refuses the tokens nevertheless.
        """
        if self._shared is not None and new:
            self._shared.append(new, now=self._timing.clock())

    def read(self, headers: Headers, body: bytes) -> tuple[WebhookEvent, list[Revocation]]:
        """Read a webhook, and apply it in this process.

        Raises:
            ConfigurationError: The webhook secret is missing.
            WebhookInvalid: It is forged or unreadable.
        """
        if self._webhook_secret is None:
            raise ConfigurationError(
                "webhook_secret is missing: pass webhook_secret=... or set HELLOJOHN_WEBHOOK_SECRET."
            )
        event = self._deliveries.mark(read_webhook(headers, body, self._webhook_secret), body)
        revocation = event.revocation()
        if event.repeated or revocation is None:
            return event, []
        latest = self._timing.clock() + CLOCK_SLACK
        new = [revocation._replace(at=min(revocation.at, latest))]
        self.known.add(new)
        return event, new

    def handled(self, event: WebhookEvent, body: bytes) -> None:
        """Remember that a webhook was handled to its end."""
        self._deliveries.remember(event, body)

    def is_due(self) -> bool:
        """Return whether the shared log should be read again. Takes no lock."""
        return self._shared is not None and self._timing.monotonic() >= self._read_at + REVOCATION_SYNC

    def catch_up(self) -> Flow[None]:
        """Have the shared log read, and wait for it only after a time without a read."""
        now = self._timing.monotonic()
        flight = self._flight
        if flight is None or flight.done or now - flight.started_at > KEY_FETCH_ABANDONED:
            with self._lock:
                if self._flight is flight:  # else another caller has just started one
                    self._flight = Flight(self._read_shared, FETCHERS, started_at=now)
                    self._quiet_flight = self._flight if now >= self._read_at + REVOCATION_SPREAD else None
                    self._read_at = now
                flight = self._flight
        if flight is not None and not flight.begin():
            flight.abort()
        if flight is not None and flight is self._quiet_flight:
            yield WaitFor(flight, flight.started_at + QUIET_KEY_WAIT - now)

    def _read_shared(self) -> None:
        try:
            if self._shared is not None:
                self.known.add(self._shared.read_new())
        except Exception as error:  # noqa: BLE001 - a store that fails must not stop the verification
            _log.warning("The shared revocations cannot be read: %s.", type(error).__name__)

    def _restart(self) -> None:
        self._lock = threading.Lock()
        self._flight = self._quiet_flight = None
        self._read_at = _NEVER


class Revocations:
    """Tokens to refuse before they expire. Get it from ``hj.revocations``."""

    def __init__(self, feed: RevocationFeed) -> None:
        """Serve the client that ``feed`` belongs to."""
        self._feed = feed

    def add(self, *, session_id: str | None = None, user_id: str | None = None) -> None:
        """Refuse the access tokens of a session, or those issued to a user until now by this host's clock.

        With a store that processes share, the others refuse them within 10 seconds.

        Raises:
            ConfigurationError: The ids are missing, or one is not text.
            StoreError: The store failed. This process refuses the tokens nevertheless.
        """
        self._feed.publish(self._feed.add(session_id, user_id))

    def handle_webhook(self, headers: Headers, body: bytes) -> WebhookEvent:
        """Check and apply a webhook of the service. A repeated one succeeds and changes nothing.

        Args:
            headers: The request's headers.
            body: The raw bytes of the request's body, at most 256 KiB.

        Raises:
            ConfigurationError: The webhook secret is missing.
            WebhookInvalid: It is forged or unreadable. Answer 400.
            StoreError: The store failed. Answer 500, so that the service sends the webhook again.
        """
        event, new = self._feed.read(headers, body)
        self._feed.publish(new)
        self._feed.handled(event, body)
        return event


class AsyncRevocations:
    """The same for the asynchronous client: a store is written to on a worker thread."""

    def __init__(self, feed: RevocationFeed) -> None:
        """Serve the client that ``feed`` belongs to."""
        self._feed = feed

    async def add(self, *, session_id: str | None = None, user_id: str | None = None) -> None:
        """Refuse the access tokens of a session, or those issued to a user until now by this host's clock.

        With a store that processes share, the others refuse them within 10 seconds.

        Raises:
            ConfigurationError: The ids are missing, or one is not text.
            StoreError: The store failed. This process refuses the tokens nevertheless.
        """
        await self._publish(self._feed.add(session_id, user_id))

    async def handle_webhook(self, headers: Headers, body: bytes) -> WebhookEvent:
        """Check and apply a webhook of the service. A repeated one succeeds and changes nothing.

        Args:
            headers: The request's headers.
            body: The raw bytes of the request's body, at most 256 KiB.

        Raises:
            ConfigurationError: The webhook secret is missing.
            WebhookInvalid: It is forged or unreadable. Answer 400.
            StoreError: The store failed. Answer 500, so that the service sends the webhook again.
        """
        event, new = self._feed.read(headers, body)
        await self._publish(new)
        self._feed.handled(event, body)
        return event

    async def _publish(self, new: list[Revocation]) -> None:
        if new and self._feed.is_shared:
            await run_async(on_worker(partial(self._feed.publish, new)))


def _checked(value: object, name: str) -> str:
    if isinstance(value, str) and 0 < len(value) <= LONGEST_REVOKED_ID:
        return value
    raise ConfigurationError(f"{name} must be a text of 1 to {LONGEST_REVOKED_ID} characters.")
