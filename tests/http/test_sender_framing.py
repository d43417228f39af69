"""A JSON object that is complete counts, even when its framing or its connection is broken."""

import gzip
import time

import httpx
import pytest

from hellojohn._http import Sender
from hellojohn._wire import Delivery
from tests.http.senders import (
    LATE,
    POST,
    REFRESH,
    SOON,
    assert_lost,
    over_tls,
    sending,
    sent_through,
    sent_to,
)
from tests.loopback import Peer, answer, read_request, reset

JSON = b'{"access_token": "a", "user": {"name": "Jos\xc3\xa9"}}'
CUT = JSON[:-1]


def head(*headers: str, status: int = 200) -> bytes:
    """Write the head of an answer."""
    return "\r\n".join([f"HTTP/1.1 {status} Some Reason", *headers, "", ""]).encode()


def chunk(body: bytes) -> bytes:
    """Write one chunk."""
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


CHUNKED = head("Transfer-Encoding: chunked")
LONG = head(f"Content-Length: {len(JSON) + 10}")

OPEN_ENDED = {
    "Content-Length too long": LONG + JSON,
    "one byte too long": head(f"Content-Length: {len(JSON) + 1}") + JSON,
    "newline after the object": LONG + JSON + b"\n",
    "byte order mark": head("Content-Length: 999") + b"\xef\xbb\xbf" + JSON,
    "no last chunk": CHUNKED + chunk(JSON),
    "several chunks, no last one": CHUNKED + chunk(JSON[:9]) + chunk(JSON[9:]),
    "chunk too long": CHUNKED + b"fff\r\n" + JSON,
    "chunk without its end": CHUNKED + chunk(JSON)[:-2],
    "last chunk without its end": CHUNKED + chunk(JSON) + b"0\r\n",
    "gzip too long": head("Content-Encoding: gzip", "Content-Length: 999") + gzip.compress(JSON),
    "gzip without its checksum": head("Content-Encoding: gzip", "Content-Length: 999")
    + gzip.compress(JSON)[:-8],
    "interim answer first": b"HTTP/1.1 100 Continue\r\n\r\n" + LONG + JSON,
    "no length": head() + JSON,
    "old version": LONG.replace(b"1.1", b"1.0") + JSON,
}


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("broken", OPEN_ENDED)
def test_whole_object_before_a_broken_end_counts(broken, ending, received):
    """The connection closes or breaks before the end of the message."""

    def handler(connection):
        read_request(connection)
        connection.sendall(OPEN_ENDED[broken])
        if ending == "reset":
            received.wait_for(len(OPEN_ENDED[broken]))
            reset(connection)

    response = sent_to(handler, REFRESH, deadline=LATE)
    assert response.body.strip().removeprefix(b"\xef\xbb\xbf") == JSON


@pytest.mark.parametrize(
    "broken", ["Content-Length too long", "no last chunk", "newline after the object", "gzip too long"]
)
def test_whole_object_is_not_held_back_by_a_missing_end(broken):
    """A server that forgets the end of its message does not make the caller wait for the deadline."""

    def handler(connection):
        read_request(connection)
        connection.sendall(OPEN_ENDED[broken])
        peer.leave.wait(2 * LATE)

    with Peer(handler) as peer, sending(peer) as sender:
        begin = time.monotonic()
        assert sender.send(REFRESH, deadline=2 * LATE).body.strip() == JSON
        assert time.monotonic() - begin < LATE
        peer.leave.set()


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_whole_object_before_the_end_of_tls_counts(certificate, ending, received):
    """A server that drops the connection does not end TLS properly either."""

    def handler(connection):
        read_request(connection)
        connection.sendall(LONG + JSON)
        if ending == "reset":
            received.wait_for(len(LONG + JSON))
            reset(connection)

    with Peer(over_tls(certificate, handler)) as peer:
        sender = Sender(f"https://127.0.0.1:{peer.port}", verify=False)
        assert sender.send(REFRESH, deadline=LATE).body == JSON
        sender.close()


MISFRAMED = {
    "length in characters": head(f"Content-Length: {len(JSON.decode())}") + JSON,
    "length of nothing": head("Content-Length: 0") + JSON,
    "length of something else": head("Content-Length: 20") + JSON,
    "length after an interim answer": b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
    + head("Content-Length: 9")
    + JSON,
    "length of the compressed body": head("Content-Encoding: gzip", "Content-Length: 30")
    + gzip.compress(JSON),
    "newlines alone": b"HTTP/1.1 200 OK\nContent-Length: 9\n\n" + JSON,
}


@pytest.mark.parametrize("misframed", MISFRAMED)
def test_object_that_goes_on_behind_its_message_counts(misframed):
    """A server counts characters instead of bytes, or a proxy copies a length that does not hold any more."""

    def handler(connection):
        while read_request(connection):
            connection.sendall(MISFRAMED[misframed])

    with Peer(handler) as peer, sending(peer) as sender:
        for _ in range(3):
            assert sender.send(REFRESH, deadline=LATE).body == JSON
        assert peer.connections == 3  # the rest of one answer would spoil the next on the same connection


class Bare(httpx.HTTPTransport):
    """Makes a new answer of the old one, and forgets its extensions."""

    def handle_request(self, request):
        """Pass the request on."""
        response = super().handle_request(request)
        return httpx.Response(response.status_code, headers=response.headers, stream=response.stream)


def test_object_behind_its_message_counts_without_its_connection():
    """The connection cannot be closed then, and the answer is more important."""
    handler = answer(MISFRAMED["length in characters"])
    assert sent_to(handler, REFRESH, deadline=LATE, transport=Bare).body == JSON


@pytest.mark.parametrize(
    "headers", [["Transfer-Encoding: chunked"], ["Transfer-Encoding: chunked", "Via: x"]]
)
@pytest.mark.parametrize("body", [JSON, JSON + b"\r\n"])
def test_object_that_is_not_chunked_as_claimed_counts(headers, body):
    """A proxy copies the headers of an answer whose chunks it has joined."""

    def handler(connection):
        read_request(connection)
        connection.sendall(head(*headers) + body)

    assert sent_to(handler, REFRESH, deadline=LATE).body.strip() == JSON


NOT_WHOLE = {
    "cut object": LONG + CUT,
    "cut text": LONG + JSON[:-4],
    "array": LONG + b"[1, 2]",
    "number": LONG + b"12",
    "text": LONG + b"<html>}",
    "two objects": LONG + JSON + b"{}",
    "nothing": LONG,
    "cut chunk": CHUNKED + chunk(JSON[:9]) + b"20\r\n" + JSON[9:-1],
    "cut gzip": head("Content-Encoding: gzip", "Content-Length: 999") + gzip.compress(JSON)[:-30],
    "wrong characters": LONG + b'{"a": "\xff"}',
    "deep nesting": head("Content-Length: 999999") + b'{"a":' * 90_000,
    "garbage for a chunk": CHUNKED + CUT,
}


@pytest.mark.parametrize("ending", ["close", "reset", "deadline"])
@pytest.mark.parametrize("broken", NOT_WHOLE)
def test_body_that_is_not_whole_is_no_answer(broken, ending, received):
    """Half a token is worse than none."""

    def handler(connection):
        read_request(connection)
        connection.sendall(NOT_WHOLE[broken])
        if ending == "reset":
            received.wait_for(len(NOT_WHOLE[broken]))
            reset(connection)
        elif ending == "deadline":
            peer.leave.wait(2 * LATE)

    with Peer(handler) as peer, sending(peer) as sender:
        lost = sender.send(REFRESH, deadline=SOON if ending == "deadline" else LATE)
        peer.leave.set()
    assert_lost(lost, Delivery.UNKNOWN, "Error" if ending != "deadline" else "")


@pytest.mark.parametrize(("status", "kept"), [(200, False), (302, False), (401, False), (404, False)])
@pytest.mark.parametrize("body", [b"", b"<html>", CUT])
def test_cut_body_of_other_answers_is_no_answer(status, kept, body):
    """Such a status means little without its body."""
    response = sent_to(broken_off(status, body))
    assert_lost(response, Delivery.UNKNOWN, "RemoteProtocolError")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", b"<html>", CUT])
def test_status_that_decides_alone_needs_no_body(status, body):
    """A server that is overloaded says so in the status and in ``Retry-After``, and may not get further."""
    response = sent_to(broken_off(status, body))
    assert (response.status, response.body, response.headers["retry-after"]) == (status, b"", "7")


def broken_off(status, body):
    """Return a handler that closes within the body."""

    def handler(connection):
        read_request(connection)
        connection.sendall(head("Content-Length: 999", "Retry-After: 7", status=status) + body)

    return handler


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422])
def test_whole_refusal_with_a_broken_end_counts(status):
    """The code of an error decides about the session."""
    error = b'{"error": {"code": "session_revoked"}}'
    response = sent_to(broken_off(status, error))
    assert (response.status, response.body) == (status, error)


class Breaking(httpx.SyncByteStream):
    """A body that raises after its pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    def __iter__(self):
        """Yield the pieces, then fail."""
        yield from self._pieces
        raise RuntimeError


@pytest.mark.parametrize(("pieces", "whole"), [([JSON], True), ([JSON[:9], JSON[9:]], True), ([CUT], False)])
def test_whole_object_from_any_transport_counts(pieces, whole):
    """An error of any kind behind the object changes nothing."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=Breaking(*pieces)))
    response = sent_through(transport)
    if whole:
        assert response.body == JSON
    else:
        assert_lost(response, Delivery.UNKNOWN, "RuntimeError")


def test_object_in_tiny_pieces_is_read():
    """A body that grows byte by byte is not parsed each time."""
    body = b'{"a": "' + b"}" * 150_000 + b'"}'

    class Tiny(httpx.SyncByteStream):
        def __iter__(self):
            for start in range(len(body)):
                yield body[start : start + 1]

    begin = time.monotonic()
    assert sent_through(httpx.MockTransport(lambda request: httpx.Response(200, stream=Tiny()))).body == body
    assert time.monotonic() - begin < LATE


def test_wrong_framing_does_not_spoil_the_next_answer():
    """The connection of an answer that did not end is not used again."""
    answers = iter([LONG + JSON, head(f"Content-Length: {len(JSON)}") + JSON])

    def handler(connection):
        while read_request(connection):
            connection.sendall(next(answers))

    with Peer(handler) as peer, sending(peer) as sender:
        for _ in range(2):
            assert sender.send(POST, deadline=LATE).body == JSON
        assert peer.connections == 2
