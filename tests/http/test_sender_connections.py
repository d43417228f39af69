"""Kept connections: when they are used again, and which requests are sent again on a new one."""

import json
import socket
import threading
import time

import pytest

from hellojohn._wire import ApiRequest, ApiResponse, Delivery
from tests.http.senders import GET, LATE, MARK, POST, REFRESH, SOON, assert_lost, sending
from tests.loopback import OK, Peer, answer, http, read_request, reset


def test_connections_are_kept():
    """The refreshes of a web back end share handshakes."""
    with Peer(answer()) as peer, sending(peer) as sender:
        for _ in range(3):
            assert isinstance(sender.send(POST), ApiResponse)
        assert peer.connections == 1


def test_connection_that_the_server_closed_is_not_used_again():
    """Most servers close idle connections, and that must not make the outcome of a refresh unknown."""
    closed = threading.Event()

    def handler(connection):
        read_request(connection)
        connection.sendall(OK)
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    with Peer(handler) as peer, sending(peer) as sender:
        for _ in range(3):
            closed.clear()
            assert isinstance(sender.send(REFRESH), ApiResponse)
            assert closed.wait(10)


def test_connection_kept_while_the_machine_slept_is_not_used_again(monkeypatch):
    """The server has closed it, and the notice of that may never have arrived."""
    now = time.time
    with Peer(answer()) as peer, sending(peer) as sender:
        assert isinstance(sender.send(REFRESH, deadline=LATE), ApiResponse)
        monkeypatch.setattr(time, "time", lambda: now() + 60.0)
        assert isinstance(sender.send(REFRESH, deadline=LATE), ApiResponse)
        assert isinstance(sender.send(REFRESH, deadline=LATE), ApiResponse)
        assert peer.connections == 2
        monkeypatch.undo()


def test_clock_set_back_drops_no_connection(monkeypatch):
    """Only time that has passed unnoticed makes a connection stale."""
    now = time.time
    with Peer(answer()) as peer, sending(peer) as sender:
        for offset in (0.0, -3600.0, -3598.0):
            monkeypatch.setattr(time, "time", lambda offset=offset: now() + offset)
            assert isinstance(sender.send(REFRESH, deadline=LATE), ApiResponse)
        assert peer.connections == 1
        monkeypatch.undo()


def test_late_answer_does_not_answer_the_next_request():
    """The connection of a request that was given up is closed: its token must not reach another session."""
    release = threading.Event()
    numbers = iter(range(9))

    def handler(connection):
        while read_request(connection):
            number = next(numbers)
            if number == 0:
                release.wait(10)
            connection.sendall(http(str(number).encode()))

    with Peer(handler) as peer, sending(peer) as sender:
        assert_lost(sender.send(POST, deadline=SOON), Delivery.UNKNOWN, "ReadTimeout")
        release.set()
        assert sender.send(POST).body == b"1"
        assert peer.connections == 2


def test_closed_sender_opens_new_connections():
    """Closing gives the sockets back; a late request, such as a sign-out, still goes out."""
    with Peer(answer()) as peer, sending(peer) as sender:
        sender.close()
        sender.send(POST)
        sender.close()
        sender.close()
        assert isinstance(sender.send(POST), ApiResponse)
        assert peer.connections == 2


def test_threads_share_connections_and_not_answers():
    """The first requests race to open the connections, and each gets its own answer."""
    count = 24
    together = threading.Barrier(count)
    bodies = []

    def handler(connection):
        while text := read_request(connection):
            connection.sendall(http(text.partition(b"\r\n\r\n")[2]))

    with Peer(handler) as peer, sending(peer) as sender:

        def send(number):
            together.wait(10)
            bodies.append((number, sender.send(ApiRequest("POST", "/x", {"n": number}))))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted((number, json.loads(response.body)["n"]) for number, response in bodies) == [
        (number, number) for number in range(count)
    ]


# Sending again

ENDS = {"close": lambda connection: None, "reset": reset}


class Closing:
    """Serves ``good`` requests on each of the first connections, and ends them at the next request."""

    def __init__(self, end, *, good: int = 1, closing: int = 1) -> None:
        self.requests = 0
        self._end, self._good, self._closing = end, good, closing
        self._connections = 0

    def __call__(self, connection):
        """Serve one connection."""
        self._connections += 1
        closes = self._connections <= self._closing
        served = 0
        while read_request(connection):
            self.requests += 1
            if closes and served >= self._good:
                self._end(connection)
                return
            connection.sendall(OK)
            served += 1


@pytest.mark.parametrize("end", ENDS)
def test_idempotent_request_on_a_closed_connection_is_sent_again(end):
    """A server closes a kept connection at the moment at which it is used."""
    server = Closing(ENDS[end])
    with Peer(server) as peer, sending(peer) as sender:
        for _ in range(3):
            assert isinstance(sender.send(GET, deadline=LATE), ApiResponse)
        assert (server.requests, peer.connections) == (4, 2)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("request_", [POST, REFRESH])
def test_other_requests_on_a_closed_connection_are_not_sent_again(end, request_):
    """The server may have read the refresh token before it closed."""
    server = Closing(ENDS[end])
    with Peer(server) as peer, sending(peer) as sender:
        assert isinstance(sender.send(request_, deadline=LATE), ApiResponse)
        assert_lost(sender.send(request_, deadline=LATE), Delivery.UNKNOWN, "Error")
        assert server.requests == 2


@pytest.mark.parametrize("end", ENDS)
def test_new_connection_that_closes_is_no_reason_to_send_again(end):
    """A server that closes each new connection is out of order, and not merely tired of an old one."""
    server = Closing(ENDS[end], good=0, closing=9)
    with Peer(server) as peer, sending(peer) as sender:
        assert_lost(sender.send(GET, deadline=LATE), Delivery.UNKNOWN, "Error")
        assert server.requests == 1


@pytest.mark.parametrize("end", ENDS)
def test_request_is_sent_again_only_once(end):
    """The second attempt is the last one."""
    server = Closing(ENDS[end])
    with Peer(server) as peer, sending(peer) as sender:
        assert isinstance(sender.send(GET, deadline=LATE), ApiResponse)
        server._good, server._closing = 0, 9
        assert_lost(sender.send(GET, deadline=LATE), Delivery.UNKNOWN, "Error")
        assert server.requests == 3


def test_second_attempt_uses_no_kept_connection():
    """When a server restarts, all kept connections are dead, and not only the first."""
    count = 3
    together = threading.Barrier(count)
    restarted = threading.Event()
    requests = []

    def handler(connection):
        while text := read_request(connection):
            requests.append(text)
            if restarted.is_set() and len(requests) == count + 1:
                return
            if not restarted.is_set():
                together.wait(10)
            elif connection in old:
                return
            connection.sendall(OK)
            old.add(connection)

    old = set()
    with Peer(handler) as peer, sending(peer) as sender:
        threads = [threading.Thread(target=sender.send, args=(GET,)) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        restarted.set()
        assert isinstance(sender.send(GET, deadline=LATE), ApiResponse)
        assert (peer.connections, len(requests)) == (count + 1, count + 2)


@pytest.mark.parametrize("piece", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_answer_that_has_begun_is_not_asked_for_again(piece):
    """A server that began to answer has carried the request out."""

    def begin_and_close(connection):
        connection.sendall(piece)

    server = Closing(begin_and_close)
    with Peer(server) as peer, sending(peer) as sender:
        assert isinstance(sender.send(GET, deadline=LATE), ApiResponse)
        assert_lost(sender.send(GET, deadline=LATE), Delivery.UNKNOWN, "RemoteProtocolError")
        assert server.requests == 2


def test_silence_is_not_a_closed_connection():
    """A server that is slow on a kept connection gets one request."""
    with Peer(None) as peer:
        peer.handler = server = Closing(lambda connection: peer.leave.wait(LATE))
        with sending(peer) as sender:
            assert isinstance(sender.send(GET, deadline=LATE), ApiResponse)
            assert_lost(sender.send(GET, deadline=SOON), Delivery.UNKNOWN, "ReadTimeout")
            peer.leave.set()
        assert server.requests == 2


def test_second_attempt_that_fails_leaves_the_outcome_unknown():
    """The service may have carried out the first one, although the second was not sent."""

    def stop_and_close(connection):
        peer.stop_listening()

    server = Closing(stop_and_close)
    with Peer(server) as peer, sending(peer) as sender:
        assert isinstance(sender.send(GET, deadline=LATE), ApiResponse)
        assert_lost(sender.send(GET, deadline=LATE), Delivery.UNKNOWN, MARK[:0])
        assert server.requests == 2
