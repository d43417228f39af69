"""Signed webhooks: builds them, and delivers them one after the other from a separate thread.

Each webhook is sent once, without retries. Redirects are not followed and no proxy is used.
"""

import hashlib
import hmac
import http.client
import json
import queue
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn.emulator.addresses import is_web_address
from hellojohn.emulator.responses import encode, timestamp

_PATIENCE: Final = 10.0
_MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class Webhook:
    """A signed webhook, as it is sent. It can be handed to ``handle_webhook`` as it is, also twice.

    Attributes:
        headers: The HTTP headers.
        body: The signed body.
    """

    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def event(self) -> str:
        """The event, such as ``session.revoked``."""
        return self.headers["HelloJohn-Event"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook that was sent.

    Attributes:
        webhook: The webhook.
        status: The receiver's HTTP status; ``None`` when it did not answer.
        error: Why it did not answer; ``None`` when it did.
    """

    webhook: Webhook
    status: int | None
    error: str | None = None


class Webhooks:
    """Builds webhooks, and sends those of the service's own events in their order."""

    def __init__(self, *, tenant_id: str, secret: Secret, clock: Callable[[], float]) -> None:
        """Send nothing until ``url`` is set."""
        self._tenant_id = tenant_id
        self._secret = secret
        self._clock = clock
        self._url: str | None = None
        self._lock = threading.Lock()
        self._deliveries: tuple[Delivery, ...] = ()
        self._courier: _Courier | None = None

    @property
    def url(self) -> str | None:
        """Where the service's own events go; ``None`` for nowhere."""
        return self._url

    @url.setter
    def url(self, url: str | None) -> None:
        if url is not None and not (isinstance(url, str) and is_web_address(url)):
            msg = f"webhook_url is an http or https address or None, not {url!r}."
            raise ConfigurationError(msg)
        self._url = url

    def build(self, event: str, data: Mapping[str, object]) -> Webhook:
        """Return a signed webhook with a delivery id that no other has."""
        now = self._clock()
        content: dict[str, object] = {
            "id": f"evt_{secrets.token_hex(12)}",
            "type": event,
            "created_at": timestamp(now),
            "tenant_id": self._tenant_id,
            "data": _checked(data),
        }
        body = encode(content)
        signature = hmac.new(self._secret.reveal().encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "HelloJohn-Webhooks/1.0",
            "HelloJohn-Event": event,
            "HelloJohn-Delivery-ID": f"dlv_{secrets.token_hex(12)}",
            "HelloJohn-Timestamp": str(int(now)),
            "HelloJohn-Signature": f"sha256={signature}",
        }
        return Webhook(headers, body)

    def emit(self, event: str, data: Mapping[str, object]) -> None:
        """Queue a webhook for an event of the service, if there is a ``url``. It does not block."""
        url = self._url
        if url is None:
            return
        webhook = self.build(event, data)
        with self._lock:
            if self._courier is None:
                self._courier = _Courier()
            self._courier.add(lambda: self._record(_deliver(url, webhook)))

    def send(self, event: str, data: Mapping[str, object]) -> Delivery:
        """Send a webhook and return how the receiver answered.

        Raises:
            ConfigurationError: ``url`` is not set.
        """
        if self._url is None:
            msg = "Set webhook_url first: a webhook needs a receiver."
            raise ConfigurationError(msg)
        return self._record(_deliver(self._url, self.build(event, data)))

    def wait(self, timeout: float) -> tuple[Delivery, ...]:
        """Wait until every queued webhook was sent, and return the last 1,000 deliveries.

        Raises:
            TimeoutError: The receivers took too long.
        """
        courier = self._courier
        if courier is not None and not courier.is_idle_within(timeout):
            msg = f"The webhooks were not delivered in {timeout:g} s: the receiver is too slow."
            raise TimeoutError(msg)
        return self._deliveries

    def close(self) -> None:
        """Let the thread end once the queued webhooks were sent. It does not wait for it."""
        with self._lock:
            courier, self._courier = self._courier, None
        if courier is not None:
            courier.end()

    def _record(self, delivery: Delivery) -> Delivery:
        with self._lock:
            self._deliveries = (*self._deliveries[1 - _MOST :], delivery)
        return delivery


class _Courier:
    """A thread that does one task after the other."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="hellojohn-webhooks", daemon=True).start()

    def add(self, task: Callable[[], object]) -> None:
        self._tasks.put(task)

    def is_idle_within(self, seconds: float) -> bool:
        done = threading.Event()
        self._tasks.put(done.set)
        return done.wait(seconds)

    def end(self) -> None:
        self._tasks.put(None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()


def _checked(data: Mapping[str, object]) -> Mapping[str, object]:
    try:
        json.dumps(data, allow_nan=False)
    except (TypeError, ValueError) as error:
        msg = f"A webhook's data must be JSON: {error}."
        raise ConfigurationError(msg) from None
    return data


def _deliver(url: str, webhook: Webhook) -> Delivery:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    target = parts._replace(scheme="", netloc="").geturl() or "/"
    connection = kind(parts.hostname or "", parts.port, timeout=_PATIENCE)
    try:
        connection.request("POST", target, webhook.body, dict(webhook.headers))
        response = connection.getresponse()
        response.read(1024)
    except (OSError, http.client.HTTPException) as error:
        return Delivery(webhook, None, f"{type(error).__name__}: {error}")
    else:
        return Delivery(webhook, response.status)
    finally:
        connection.close()
