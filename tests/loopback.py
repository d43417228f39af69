"""A real server on the loopback interface, whose behaviour each test chooses."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Handler = Callable[[socket.socket], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Peer:
    """Accepts connections and runs ``handler`` on each, in a new thread.

    Attributes:
        connections: How many came.
        leave: Set when the test is over: a handler that stalls waits for it.
    """

    def __init__(self, handler: Handler, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on a port; on a free one if none is given."""
        self.handler = handler
        self._host = host
        self.connections = 0
        self.leave = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((host, port))
        self._port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def port(self) -> int:
        """The port."""
        return self._port

    @property
    def url(self) -> str:
        """The address as an API's base."""
        return f"http://127.0.0.1:{self.port}/v1"

    def stop_listening(self) -> None:
        """Refuse further connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            if self.leave.is_set():
                connection.close()
                return
            self.connections += 1
            self._start(self._handle, connection)

    def _handle(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        with connection, contextlib.suppress(OSError):
            self.handler(connection)

    def __enter__(self) -> Self:
        """Listen."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let every handler end, and wait for it."""
        self.leave.set()
        with contextlib.suppress(OSError):
            socket.create_connection((self._host, self.port), timeout=5).close()
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()


def read_request(connection: socket.socket) -> bytes:
    """Read one request to its end; ``b""`` when the client has closed the connection."""
    text = b""
    while b"\r\n\r\n" not in text:
        piece = connection.recv(65_536)
        if not piece:
            return b""
        text += piece
    head, _, body = text.partition(b"\r\n\r\n")
    length = next(
        (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
    )
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def answer(response: bytes = OK) -> Handler:
    """Return a handler that answers every request on a connection alike."""

    def handle(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(response)

    return handle


def reset(connection: socket.socket) -> None:
    """Reset the connection, so that the client gets an error."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def http(body: bytes = b"", *headers: str, status: int = 200) -> bytes:
    """Write a whole HTTP answer."""
    lines = [f"HTTP/1.1 {status} Some Reason", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body
