"""The body of a 401: however it ends, or does not end, the request is repeated in time."""

import socket
import time

import pytest

from tests.both_faces import close, settle
from tests.loopback import Peer, http, read_request

HEAD = b"HTTP/1.1 401 Unauthorized\r\n"


def endless(connection: socket.socket, peer: Peer) -> None:
    """Send a body without an end."""
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while not peer.leave.is_set():
        connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")


def stalled(connection: socket.socket, peer: Peer) -> None:
    """Send the beginning of a body, and nothing more."""
    connection.sendall(HEAD + b"Content-Length: 100\r\n\r\nbegin")
    peer.leave.wait(20)


def trickling(connection: socket.socket, peer: Peer) -> None:
    """Send a byte now and then."""
    connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
    while not peer.leave.wait(0.05):
        connection.sendall(b"x")


def broken(connection: socket.socket, peer: Peer) -> None:
    """Break off in the middle."""
    connection.sendall(HEAD + b"Content-Length: 100\r\n\r\nbegin")


def badly_chunked(connection: socket.socket, peer: Peer) -> None:
    """Send a chunk that is not one."""
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")


def badly_compressed(connection: socket.socket, peer: Peer) -> None:
    """Send a body that cannot be decompressed."""
    connection.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc")


def large(connection: socket.socket, peer: Peer) -> None:
    """Send a body of five megabytes."""
    connection.sendall(HEAD + b"Content-Length: 5000000\r\n\r\n" + b"x" * 5_000_000)


def without_body(connection: socket.socket, peer: Peer) -> None:
    """Send no body."""
    connection.sendall(HEAD + b"Content-Length: 0\r\n\r\n")


WAYS = [endless, stalled, trickling, broken, badly_chunked, badly_compressed, large, without_body]


@pytest.fixture
def refusing(request):
    """Return a server whose first answer is a 401 in this way, and which then answers 200."""
    way, state = request.param, []

    def handle(connection: socket.socket) -> None:
        while read_request(connection):
            state.append(1)
            if len(state) == 1:
                way(connection, peer)
                return
            connection.sendall(http(b"fine"))

    with Peer(handle) as peer:
        yield peer


@pytest.mark.parametrize("refusing", WAYS, ids=lambda way: way.__name__, indirect=True)
async def test_request_is_repeated_in_time(kind, hj, emulator, refusing):
    """The 401 is read for at most two seconds and 64 KiB, and the request is repeated."""
    api = kind.wrapped(hj, base_url=refusing.url.removesuffix("/v1"), timeout=20.0)
    begun = time.monotonic()
    async with kind.stream(api, "GET", "/x") as response:
        assert await kind.read(response) == b"fine"
    assert time.monotonic() - begun < 8
    await close(api)
    assert emulator.rotations == 1


@pytest.mark.parametrize("refusing", [broken], ids=lambda way: way.__name__, indirect=True)
async def test_returned_401_shows_what_arrived(kind, hj, refusing):
    """A 401 that cannot be repeated goes to the app with the part of its body that has arrived."""

    async def parts():
        yield b"some"

    content = parts() if kind.is_async else iter([b"some"])
    api = kind.wrapped(hj, base_url=refusing.url.removesuffix("/v1"), timeout=20.0)
    response = await settle(api.post("/x", content=content, headers={"Content-Length": "4"}))
    assert (response.status_code, response.content) == (401, b"begin")
    await close(api)
