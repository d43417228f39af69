"""How long a request may take: its deadline, its timeouts, and the refresh that outlasts its read timeout."""

import math
import socket
import threading
import time

import httpx
import pytest

from hellojohn._http import Sender
from hellojohn._http._exchange import running
from hellojohn._wire import ApiResponse, Delivery
from tests.http.senders import (
    GET,
    LATE,
    POST,
    READ_SOON,
    REFRESH,
    SOON,
    assert_lost,
    sending,
    sent_through,
    sent_to,
    trickle,
)
from tests.loopback import OK, Peer, answer, http, read_request


def slow(connection):
    """Answer after a time that is longer than the timeouts below."""
    read_request(connection)
    time.sleep(1.5 * SOON)
    connection.sendall(OK)


def test_refresh_outlasts_the_read_timeout():
    """Giving up early and asking again would present the refresh token twice."""
    assert isinstance(sent_to(slow, REFRESH, timeout=READ_SOON, deadline=LATE), ApiResponse)


@pytest.mark.parametrize("request_", [POST, GET])
def test_other_requests_keep_the_read_timeout(request_):
    """A caller who waits for an ordinary answer set that limit."""
    lost = sent_to(slow, request_, timeout=READ_SOON, deadline=LATE)
    assert_lost(lost, Delivery.UNKNOWN, "ReadTimeout")


def test_refresh_without_a_deadline_keeps_the_read_timeout():
    """Without any limit it could wait for ever."""
    assert_lost(sent_to(slow, REFRESH, timeout=READ_SOON), Delivery.UNKNOWN, "ReadTimeout")


def test_refresh_reads_a_slow_body_until_the_deadline():
    """The head may come at once and the body late."""

    def handler(connection):
        read_request(connection)
        for piece in (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n\r\n", b"{", b"}"):
            time.sleep(1.2 * SOON)
            connection.sendall(piece)

    assert sent_to(handler, REFRESH, timeout=READ_SOON, deadline=LATE).body == b"{}"


def test_refresh_still_connects_within_the_timeout():
    """A TLS handshake that stalls is given up, because the request can be sent again."""
    with Peer(lambda connection: peer.leave.wait(LATE)) as peer:
        sender = Sender(f"https://127.0.0.1:{peer.port}", verify=False, timeout=SOON)
        begin = time.monotonic()
        assert_lost(sender.send(REFRESH, deadline=2 * LATE), Delivery.NOT_SENT, "ConnectTimeout")
        assert time.monotonic() - begin < LATE
        peer.leave.set()


def test_refresh_waits_for_the_pool_within_the_timeout():
    """A pool without a free connection is not worth the whole deadline."""
    with Peer(lambda connection: trickle(connection, b"", b"", peer.leave)) as peer:
        transport = httpx.HTTPTransport(limits=httpx.Limits(max_connections=1))
        with sending(peer, transport=transport, timeout=(LATE, LATE, LATE, SOON)) as sender:
            other = threading.Thread(target=sender.send, args=(REFRESH,), kwargs={"deadline": LATE})
            other.start()
            while not peer.connections:
                time.sleep(0.001)
            begin = time.monotonic()
            assert_lost(sender.send(REFRESH, deadline=2 * LATE), Delivery.NOT_SENT, "PoolTimeout")
            assert time.monotonic() - begin < LATE
            peer.leave.set()
            other.join()


@pytest.mark.parametrize("request_", [POST, REFRESH])
@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nX-Filler: ", b"x"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
)
def test_deadline_ends_an_answer_without_end(head, drop, request_):
    """Silence, and headers, interim answers or a body that trickle: the lock's lease is not outlived."""
    with (
        Peer(lambda connection: trickle(connection, head, drop, peer.leave)) as peer,
        sending(peer) as sender,
    ):
        begin = time.monotonic()
        lost = sender.send(request_, deadline=SOON)
        took = time.monotonic() - begin
        peer.leave.set()
    assert_lost(lost, Delivery.UNKNOWN, "ReadTimeout")
    assert took < LATE


def flood(connection, head, piece, leave):
    """Send without a pause."""
    read_request(connection)
    connection.sendall(head)
    while not leave.is_set():
        connection.sendall(piece)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
)
def test_deadline_ends_an_answer_that_never_pauses(head, piece):
    """Bytes that have already arrived are read after the deadline, but not for ever."""
    with (
        Peer(lambda connection: flood(connection, head, piece, peer.leave)) as peer,
        sending(peer) as sender,
    ):
        begin = time.monotonic()
        answered = sender.send(REFRESH, deadline=SOON)
        took = time.monotonic() - begin
        peer.leave.set()
    assert not getattr(answered, "body", b"")
    assert took < LATE


def test_deadline_holds_without_a_timeout():
    """``timeout=None`` lifts the limits of httpx, not that of the lock."""
    with Peer(lambda connection: trickle(connection, b"", b"", peer.leave)) as peer:
        with sending(peer, timeout=None) as sender:
            assert_lost(sender.send(POST, deadline=SOON), Delivery.UNKNOWN, "ReadTimeout")
        peer.leave.set()


def test_timeout_ends_silence_without_a_deadline():
    """Without a deadline each step has its limit."""
    with Peer(lambda connection: trickle(connection, b"", b"", peer.leave)) as peer:
        with sending(peer, timeout=READ_SOON) as sender:
            assert_lost(sender.send(POST), Delivery.UNKNOWN, "ReadTimeout")
        peer.leave.set()


def test_deadline_of_one_request_is_not_that_of_the_next():
    """A thread that sent with a deadline may wait again afterwards."""
    with Peer(answer()) as peer, sending(peer, timeout=None) as sender:
        assert isinstance(sender.send(POST, deadline=LATE), ApiResponse)
        assert running() is None
        assert isinstance(sender.send(POST), ApiResponse)


def test_request_inside_a_request_keeps_the_outer_deadline():
    """A transport may fetch something with another client before it sends."""
    left = []

    def handle(request):
        sent_through(httpx.MockTransport(lambda request: httpx.Response(200)), deadline=SOON)
        left.append(running().time_left())
        return httpx.Response(200)

    sent_through(httpx.MockTransport(handle), deadline=100 * LATE)
    assert 99 * LATE < left[0] < math.inf


@pytest.mark.parametrize("deadline", [0, -1.0])
def test_request_without_time_left_is_not_sent(deadline):
    """Waiting used the time up, and the token stays unused."""
    with Peer(answer()) as peer, sending(peer) as sender:
        assert_lost(sender.send(POST, deadline=deadline), Delivery.NOT_SENT, "no time left")
        assert peer.connections == 0


def test_slow_resolver_sends_nothing_after_the_deadline(monkeypatch):
    """It cannot be interrupted, but another process may have the lock afterwards."""
    arrived = []
    resolve = socket.getaddrinfo

    def resolve_late(*args, **kwargs):
        time.sleep(1.2 * SOON)
        return resolve(*args, **kwargs)

    with Peer(lambda connection: arrived.append(read_request(connection))) as peer, sending(peer) as sender:
        monkeypatch.setattr(socket, "getaddrinfo", resolve_late)
        assert_lost(sender.send(POST, deadline=SOON), Delivery.NOT_SENT, "ConnectTimeout")
        monkeypatch.undo()
    assert not any(arrived)


@pytest.mark.parametrize("step", ["getaddrinfo", "create_connection"])
def test_machine_that_slept_before_sending_sends_nothing(monkeypatch, step):
    """The monotonic clock stands still while a machine is suspended; the lock's lease runs on elsewhere."""
    arrived = []
    take, now = getattr(socket, step), time.time

    def take_and_sleep(*args, **kwargs):
        monkeypatch.setattr(time, "time", lambda: now() + 3600.0)
        return take(*args, **kwargs)

    with Peer(lambda connection: arrived.append(read_request(connection))) as peer, sending(peer) as sender:
        monkeypatch.setattr(socket, step, take_and_sleep)
        assert_lost(sender.send(POST, deadline=LATE), Delivery.NOT_SENT, "ConnectTimeout")
        monkeypatch.undo()
    assert not any(arrived)


def test_clock_set_while_reading_changes_nothing(monkeypatch):
    """Once the request is out, its answer is waited for."""
    now = time.time

    def handler(connection):
        read_request(connection)
        monkeypatch.setattr(time, "time", lambda: now() + 3600.0)
        connection.sendall(OK)

    assert isinstance(sent_to(handler, REFRESH, deadline=LATE), ApiResponse)


def test_full_pool_is_not_sent():
    """A request that never got a connection was not sent."""
    with Peer(lambda connection: trickle(connection, b"", b"", peer.leave)) as peer:
        transport = httpx.HTTPTransport(limits=httpx.Limits(max_connections=1))
        with sending(peer, transport=transport) as sender:
            other = threading.Thread(target=sender.send, args=(POST,))
            other.start()
            while not peer.connections:
                time.sleep(0.001)
            begin = time.monotonic()
            assert_lost(sender.send(POST, deadline=SOON), Delivery.NOT_SENT, "PoolTimeout")
            assert time.monotonic() - begin < LATE
            peer.leave.set()
            other.join()


def test_transport_with_retries_sleeps_within_the_deadline():
    """A transport with ``retries`` waits between its connects."""
    begin = time.monotonic()
    sender = Sender("http://127.0.0.1:1", transport=httpx.HTTPTransport(retries=7))
    lost = sender.send(POST, deadline=SOON)
    assert_lost(lost, Delivery.NOT_SENT, "Connect")
    assert time.monotonic() - begin < LATE


class Drops(httpx.SyncByteStream):
    """A body without an end, from no socket."""

    def __iter__(self):
        """Yield a byte now and then."""
        while True:
            time.sleep(0.02)
            yield b" "


def test_deadline_ends_a_body_of_any_transport():
    """A transport without sockets is stopped between two pieces."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=Drops()))
    assert_lost(sent_through(transport, deadline=SOON), Delivery.UNKNOWN, "ReadTimeout")


class Wrapping(httpx.BaseTransport):
    """Passes everything on, as a transport does that logs."""

    def __init__(self, inner) -> None:
        self._inner = inner

    def handle_request(self, request):
        """Pass it on."""
        return self._inner.handle_request(request)


class Delegating(httpx.BaseTransport):
    """Sends with a client, which has its own hooks."""

    def __init__(self) -> None:
        self._client = httpx.Client()

    def handle_request(self, request):
        """Pass it on."""
        return self._client.send(request, stream=True)


@pytest.mark.parametrize(
    "transport", [Wrapping(httpx.HTTPTransport()), Wrapping(Wrapping(httpx.HTTPTransport())), Delegating()]
)
def test_deadline_reaches_the_sockets_of_a_wrapped_transport(transport):
    """A transport that logs and passes on is held to the deadline as well."""
    head = b"HTTP/1.1 200 OK\r\nX-Filler: "
    with (
        Peer(lambda connection: trickle(connection, head, b"x", peer.leave)) as peer,
        sending(peer, transport=transport) as sender,
    ):
        begin = time.monotonic()
        assert_lost(sender.send(REFRESH, deadline=SOON), Delivery.UNKNOWN, "ReadTimeout")
        assert time.monotonic() - begin < LATE
        peer.leave.set()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="only on systems with Unix sockets")
def test_socket_file_is_held_to_the_deadline(tmp_path):
    """A transport to a local proxy is limited, too."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        sender = Sender("http://local", transport=httpx.HTTPTransport(uds=path))
        assert_lost(sender.send(POST, deadline=SOON), Delivery.UNKNOWN, "ReadTimeout")
        sender.close()


def test_own_requests_on_a_shared_transport_have_no_deadline():
    """An app may use the transport that it gave to the SDK for its own requests, too."""
    transport = httpx.HTTPTransport()
    with Peer(answer(http(b"{}"))) as peer, sending(peer, transport=transport) as sender:
        sender.prepare()
        client = httpx.Client(transport=transport)
        for _ in range(2):
            assert client.get(peer.url).content == b"{}"
            assert isinstance(sender.send(POST, deadline=LATE), ApiResponse)
        assert peer.connections == 1


def read_timeouts(request, timeout, deadline=None):
    """Return the timeouts with which a request reaches a transport."""
    seen = []

    def handle(outgoing):
        seen.append(outgoing.extensions["timeout"])
        return httpx.Response(200)

    transport = httpx.MockTransport(handle)
    Sender("http://api.test", timeout=timeout, transport=transport).send(request, deadline=deadline)
    return seen[0]


@pytest.mark.parametrize(
    "timeout", [None, 1, 2.5, (1.0, 2.0, 3.0, 4.0), httpx.Timeout(5.0, connect=None), httpx.Timeout(1)]
)
def test_timeout_has_the_meaning_of_httpx(timeout):
    """Numbers, four of them, none, or an object of httpx."""
    assert read_timeouts(POST, timeout) == httpx.Timeout(timeout).as_dict()


def test_any_transport_is_asked_to_read_until_the_deadline():
    """A transport without sockets that the SDK knows gets the deadline as its read timeout."""
    refresh = read_timeouts(REFRESH, timeout=1.0, deadline=100.0)
    assert (refresh["connect"], refresh["write"], refresh["pool"]) == (1.0, 1.0, 1.0)
    assert 90.0 < refresh["read"] <= 100.0
    assert read_timeouts(POST, timeout=1.0, deadline=100.0)["read"] == 1.0
    assert read_timeouts(POST, timeout=None, deadline=100.0)["connect"] <= 100.0
