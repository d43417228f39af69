"""What becomes of a request without an answer: whether the service may have got it, and in which words."""

import socket

import httpx
import pytest

from hellojohn._http import Sender
from hellojohn._wire import Delivery, TransportFailure
from tests.http.senders import (
    MARK,
    POST,
    assert_lost,
    close_after_reading,
    close_within_a_chunk,
    close_within_the_body,
    close_within_the_headers,
    failing,
    reset_after_reading,
    reset_while_sending,
    send_endless_headers,
    sending,
    sent_through,
    sent_to,
    talk_nonsense,
)
from tests.loopback import Peer, read_request, reset


def test_refused_port_is_not_sent():
    """The request may be sent again, and the system says why it failed."""
    lost = Sender("http://127.0.0.1:1/v1").send(POST)
    assert_lost(lost, Delivery.NOT_SENT, "ConnectError", "refused")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (UnicodeError("label too long"), "ConnectError: the request was not sent"),
        (OSError(24, "Too many open files"), "Too many open files"),
    ],
)
def test_unknown_host_is_not_sent(monkeypatch, error, words):
    """The request cannot have left without an address."""

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert_lost(Sender("http://nowhere.invalid/v1").send(POST), Delivery.NOT_SENT, words)


def test_host_without_an_address_is_not_sent(monkeypatch):
    """A resolver that finds nothing counts like one that fails."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [])
    assert_lost(Sender("http://nowhere.invalid").send(POST), Delivery.NOT_SENT, "no address")


@pytest.mark.parametrize(
    "handler",
    [
        reset_while_sending,
        reset_after_reading,
        close_after_reading,
        close_within_the_headers,
        close_within_the_body,
        close_within_a_chunk,
        talk_nonsense,
        send_endless_headers,
    ],
)
def test_request_cut_off_after_sending_is_unknown(handler):
    """The service may have rotated the token, so the request never counts as unsent."""
    assert_lost(sent_to(handler), Delivery.UNKNOWN, "Error")


@pytest.mark.parametrize(
    "error",
    [RuntimeError(MARK), ValueError(MARK), OSError(5, MARK), httpx.InvalidURL(MARK), httpx.ReadError(MARK)],
)
def test_any_error_of_a_transport_is_an_unknown_outcome(error):
    """No foreign exception comes out of a send, because it has the request in its frames."""
    assert_lost(sent_through(failing(error)), Delivery.UNKNOWN, type(error).__name__)


@pytest.mark.parametrize("words", ["", MARK, f"refused: {MARK}", "line\nbreak"])
def test_words_of_a_failed_connect_are_quoted_only_when_clean(words):
    """They come from the system, unless a transport makes them up."""
    lost = sent_through(failing(httpx.ConnectError(words)))
    assert lost == TransportFailure(Delivery.NOT_SENT, "ConnectError: the request was not sent")


class Retrying(httpx.BaseTransport):
    """Sends again what failed, as some transports on the package index do."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request):
        """Send twice at most."""
        try:
            return self._inner.handle_request(request)
        except httpx.TransportError:
            return self._inner.handle_request(request)


def test_connect_error_after_a_sent_try_is_unknown():
    """A transport that retries may raise ConnectError, although its first try reached the service."""

    def handler(connection):
        read_request(connection)
        peer.stop_listening()
        reset(connection)

    with Peer(handler) as peer, sending(peer, transport=Retrying()) as sender:
        assert_lost(sender.send(POST), Delivery.UNKNOWN, "ConnectError")


def test_broken_write_leaves_room_for_an_early_answer():
    """A server may refuse a request before it has read it, and the refusal counts."""

    def handler(connection):
        connection.recv(1)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")
        read_request(connection)
        reset(connection)

    assert sent_to(handler).status == 413
