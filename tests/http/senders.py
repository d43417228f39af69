"""Shared by the tests of the sender: requests, senders to a peer, and handlers that misbehave."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import httpx

from hellojohn._http import Sender
from hellojohn._secret import Secret
from hellojohn._wire import Answer, ApiRequest, Delivery, TransportFailure
from tests.loopback import Handler, Peer, read_request, reset

MARK = "MARKED-SECRET"
POST = ApiRequest("POST", "/auth/x", {"refresh_token": Secret(MARK)}, Secret(MARK), {"X-Tenant-ID": "tnt_1"})
REFRESH = ApiRequest("POST", "/auth/x", {"refresh_token": Secret(MARK)}, reads_until_deadline=True)
GET = ApiRequest("GET", "/auth/me", bearer=Secret(MARK), idempotent=True)

UNTRUSTING = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Made once: loading certificates takes a while, and a short deadline would be over."""

SOON = 0.3
"""A deadline that a loaded machine reaches only when the test means it to."""

LATE = 10.0
"""The least that a request takes which ignores its deadline."""

READ_SOON = (LATE, SOON, LATE, LATE)
"""A timeout for reading alone: a loaded machine may need longer to connect."""


@contextlib.contextmanager
def sending(peer: Peer, **settings) -> Iterator[Sender]:
    """Yield a sender to a peer, and close it."""
    sender = Sender(peer.url, **{"timeout": 2 * LATE, "verify": UNTRUSTING, **settings})
    try:
        yield sender
    finally:
        sender.close()


def sent_to(
    handler: Handler, request: ApiRequest = POST, *, deadline: float | None = None, **settings
) -> Answer:
    """Send one request to a peer that behaves as ``handler`` does; return the answer."""
    with Peer(handler) as peer, sending(peer, **settings) as sender:
        try:
            return sender.send(request, deadline=deadline)
        finally:
            peer.leave.set()


def sent_through(transport, request: ApiRequest = POST, *, deadline: float | None = None) -> Answer:
    """Send one request with a transport of the user; return the answer."""
    return Sender("http://api.test", transport=transport).send(request, deadline=deadline)


def assert_lost(answer: Answer, delivery: Delivery, *words: str) -> None:
    """Assert that no answer came, that the detail has these words, and that it holds no secret."""
    assert isinstance(answer, TransportFailure)
    assert answer.delivery is delivery
    for word in words:
        assert word in answer.detail
    assert MARK not in answer.detail


def failing(error: BaseException) -> httpx.MockTransport:
    """Return a transport that always raises ``error``."""

    def handle(request: httpx.Request) -> httpx.Response:
        raise error

    return httpx.MockTransport(handle)


def over_tls(certificate, handler: Handler) -> Handler:
    """Return a handler that speaks TLS first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            handler(wrapped)

    return handle


def trickle(connection: socket.socket, head: bytes, drop: bytes, leave: threading.Event) -> None:
    """Send ``head``, then ``drop`` now and then, until ``leave`` is set."""
    read_request(connection)
    connection.sendall(head)
    while not leave.wait(0.02):
        connection.sendall(drop)


def silence(peer: Callable[[], Peer]) -> Handler:
    """Return a handler that reads the request and says nothing."""
    return lambda connection: trickle(connection, b"", b"", peer().leave)


def reset_while_sending(connection: socket.socket) -> None:
    """Take a byte and reset the connection."""
    connection.recv(1)
    reset(connection)


def reset_after_reading(connection: socket.socket) -> None:
    """Take the request and reset the connection."""
    read_request(connection)
    reset(connection)


def close_after_reading(connection: socket.socket) -> None:
    """Take the request and close the connection."""
    read_request(connection)


def close_within_the_headers(connection: socket.socket) -> None:
    """Begin an answer."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Len")


def close_within_the_body(connection: socket.socket) -> None:
    """Begin a body."""
    read_request(connection)
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"access_token": "a"')


def close_within_a_chunk(connection: socket.socket) -> None:
    """Begin a chunk."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc")


def talk_nonsense(connection: socket.socket) -> None:
    """Speak another protocol."""
    read_request(connection)
    connection.sendall(b"\x00\x01SSH-2.0-OpenSSH\r\n\r\n" * 10)


def send_endless_headers(connection: socket.socket) -> None:
    """Send more headers than a client reads."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"x" * 300_000)
