"""How a test uses ``HelloJohn`` and ``AsyncHelloJohn`` alike, and waits for what runs in the background."""

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from typing import Any

from hellojohn import AsyncHelloJohn, AuthEvent, HelloJohn
from hellojohn.emulator import Emulator

AnyClient = HelloJohn | AsyncHelloJohn
PATIENCE = 20.0
"""Seconds after which a test decides that something hangs."""


async def settle(value: Any) -> Any:
    """Await the result of an async client, and return that of a sync client."""
    return await value if inspect.isawaitable(value) else value


async def close(hj: Any) -> None:
    """Close a client of either kind, or an HTTP client."""
    await settle(hj.aclose() if hasattr(hj, "aclose") else hj.close())


def close_now(hj: AnyClient) -> None:
    """Close a client of either kind where no event loop runs."""
    if isinstance(hj, AsyncHelloJohn):
        asyncio.run(hj.aclose())
    else:
        hj.close()


def emulated(emulator: Emulator, **settings: Any) -> dict[str, Any]:
    """Return the settings of a client that talks to ``emulator`` and uses its clock."""
    known = {
        "api": emulator.api,
        "client_id": emulator.client_id,
        "tenant_id": emulator.tenant_id,
        "publishable_key": emulator.publishable_key,
        "api_url": emulator.url,
        "clock": emulator.clock,
    }
    return {**known, **settings}


def until(condition: Callable[[], object]) -> None:
    """Wait until another thread has made ``condition`` true."""
    ends_at = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends_at, "it never came true"
        time.sleep(0.001)


def in_thread(work: Callable[[], Any]) -> Callable[[], Any]:
    """Begin ``work`` on a thread. The returned function waits for its result, or for its error."""
    results: list[Any] = []

    def target() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()

    def join() -> Any:
        thread.join(PATIENCE)
        assert results, "the thread hangs"
        return results[0]

    return join


class EventLog:
    """The events of a client, in order.

    Attributes:
        events: The events.
        stop: Ends the subscription.
    """

    def __init__(self, hj: AnyClient) -> None:
        """Subscribe."""
        self.events: list[AuthEvent] = []
        self.stop: Callable[[], None] = hj.on(self.events.append)

    def names(self) -> list[str]:
        """Return the types, with the reason where there is one: ``SESSION_EXPIRED:revoked``."""
        return [":".join(filter(None, (event.type, event.reason))) for event in self.events]

    def wait_for(self, name: str) -> None:
        """Wait until an event has come."""
        until(lambda: name in self.names())
