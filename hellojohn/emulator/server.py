"""Runs the application with uvicorn on a separate thread, and stops it at once.

uvicorn's own shutdown polls and waits for open connections. A stopped emulator behaves like a service that is
gone instead: open connections are cut. This module knows nothing of sessions.
"""

import asyncio
import socket
import threading
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from functools import partial
from typing import Final

from starlette.applications import Starlette
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

_KEEP_ALIVE: Final = 3600
_PATIENCE: Final = 10.0
_LAST_WORDS: Final = 0.02
_MOST_REFUSED: Final = 16
_used_ports: Final[set[int]] = set()


class BackgroundServer:
    """One listening socket and the thread that serves it. Start it once, and stop it once.

    Attributes:
        port: The port it listens on.
    """

    def __init__(self, app: Starlette, *, host: str, port: int) -> None:
        """Listen: the system accepts connections from here on, and they wait for ``start``.

        Raises:
            OSError: The address cannot be listened on.
        """
        self._listener = listen(host, port)
        self._server = _Server(app)
        self._ended: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="hellojohn-emulator", daemon=True)
        self.port: int = _port_of(self._listener)

    def start(self) -> None:
        """Serve; return once requests are answered.

        Raises:
            Exception: The server ended before it was ready; its error.
        """
        self._thread.start()
        wait((self._server.ready, self._ended), _PATIENCE, FIRST_COMPLETED)
        if not self._server.ready.done():
            self._listener.close()
            self._ended.result(0)

    def stop(self) -> None:
        """Stop listening and cut every connection; return when the thread has ended.

        In a forked child, where the thread does not run, this does nothing.

        Raises:
            Exception: The server broke down earlier; its error.
        """
        self._server.end()
        self._thread.join(_PATIENCE)
        for ended in wait((self._ended,), 0).done:
            ended.result()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._server.serve(sockets=[self._listener]))
        except BaseException as error:  # noqa: BLE001 - start or stop raises it
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)


class _Server(Server):
    """uvicorn without its polling: it waits for ``end`` and then ends."""

    def __init__(self, app: Starlette) -> None:
        # log_config=None: the logging of the process belongs to the app.
        config = Config(
            app,
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
        )
        super().__init__(config)
        self.ready: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Make the server end. Safe to call from another thread."""
        with suppress(RuntimeError):  # the loop is closed: the server has ended by itself
            self._loop.call_soon_threadsafe(self._ending.set)

    async def main_loop(self) -> None:
        """Serve until ``end`` is called."""
        self._loop = asyncio.get_running_loop()
        self.ready.set_result(None)
        await self._ending.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close everything, and cancel the requests that are held."""
        for listener in sockets or ():
            _shut(listener)
        for server in self.servers:
            server.close()
        for connection in tuple(self.server_state.connections):
            cut(connection.transport)
        tasks = tuple(self.server_state.tasks)
        if tasks:
            _, waiting = await asyncio.wait(tasks, timeout=_LAST_WORDS)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class _Connection(H11Protocol):
    """uvicorn's connection without an access log, and with a way for the application to cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio sets this only on sockets that name their protocol. Without it an answer takes 40 ms longer.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.access_log = False
        self.app_state = {**self.app_state, "cut": partial(cut, transport)}


def listen(host: str, port: int) -> socket.socket:
    """Listen. Port 0 takes a free port.

    The clients of a process keep the keys of a URL. So a free port that this process has used before is
    refused, a few times at most.
    """
    refused: list[socket.socket] = []
    listener = _create(host, port)
    while port == 0 and _port_of(listener) in _used_ports and len(refused) < _MOST_REFUSED:
        refused.append(listener)  # while it is open, the system offers another port
        try:
            listener = _create(host, port)
        except OSError:
            listener = refused.pop()
            break
    for other in refused:
        other.close()
    _used_ports.add(_port_of(listener))
    return listener


def _create(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)


def _port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def cut(transport: asyncio.Transport) -> None:
    """End a connection at once."""
    _shut(transport.get_extra_info("socket"))
    transport.abort()


def _shut(connection: socket.socket) -> None:
    """Shut a socket down in every process: a forked child holds a copy of it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
