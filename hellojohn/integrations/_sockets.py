"""Closes a Starlette WebSocket when its token or its browser's session ends. It needs asyncio."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from hellojohn.integrations._rules import POLICY_VIOLATION

_LONGEST_WAIT = 0.5
"""Seconds between two looks at the clock, which may jump: a socket ends within a second of its token."""

Look = Callable[[], Awaitable[float | None]]
"""Returns until when a WebSocket may stay open, in seconds since the epoch; ``None`` if it has to close."""

Revoked = Callable[[], Awaitable[bool]]
"""Returns whether the WebSocket's token was revoked since it was opened."""

_watchers: set["asyncio.Task[None]"] = set()
"""The running watchers: an event loop keeps no strong reference to a task."""


def close_in_time(
    websocket: WebSocket,
    ends_at: float,
    now: Callable[[], float],
    *,
    look: Look | None = None,
    revoked: Revoked | None = None,
) -> None:
    """Close a WebSocket with 1008 at ``ends_at``, and let its endpoint see a disconnect.

    Args:
        websocket: The WebSocket. The current task handles it.
        ends_at: When its token ends, in seconds since the epoch.
        now: The clock.
        look: Called at ``ends_at``, where the WebSocket may be allowed to stay open for longer.
        revoked: Called twice a second. The WebSocket is closed when it says so.
    """
    watching = _watch(websocket, asyncio.current_task(), ends_at, now, look=look, revoked=revoked)
    watcher = asyncio.ensure_future(watching)
    _watchers.add(watcher)
    watcher.add_done_callback(_watchers.discard)


async def _watch(
    websocket: WebSocket,
    handler: "asyncio.Task[Any] | None",
    ends_at: float,
    now: Callable[[], float],
    *,
    look: Look | None,
    revoked: Revoked | None,
) -> None:
    end: float | None = ends_at
    while end is not None and (left := end - now()) > 0:
        await asyncio.wait({handler} if handler else (), timeout=min(left, _LONGEST_WAIT))
        if handler is None or handler.done() or _is_over(websocket):
            return
        if revoked is not None and await revoked():
            break
        if look is not None and now() >= end:
            end = await look()
    # An endpoint that sends must see the end too, from the moment that the closing starts.
    send, websocket.send = websocket.send, _refuse_to_send  # type: ignore[method-assign]
    with suppress(RuntimeError, WebSocketDisconnect):  # the other end may close at the same moment
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": "The session has ended."})


def _is_over(websocket: WebSocket) -> bool:
    over = WebSocketState.DISCONNECTED
    return websocket.client_state is over or websocket.application_state is over


async def _refuse_to_send(message: Message) -> None:
    del message
    raise WebSocketDisconnect(POLICY_VIOLATION)
