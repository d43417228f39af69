"""Hosts with several addresses: dead ones leave time for the live one."""

import contextlib
import socket
import threading
import time

import pytest

from hellojohn._http import Sender
from hellojohn._http._addresses import addresses_of
from hellojohn._wire import ApiResponse, Delivery
from tests.http.senders import LATE, POST, REFRESH, assert_lost
from tests.loopback import Peer, answer

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "SO_DOMAIN"), reason="only on Linux, whose loopback network has many addresses"
)

DEAD, DEAD_TOO, LIVE, REFUSING = "127.0.0.2", "127.0.0.3", "127.0.0.1", "127.0.0.4"
TIMEOUT = 2.0


@contextlib.contextmanager
def dead_address(host: str, port: int):
    """Make an address swallow connects: the queue of a listener that never accepts is full."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        while True:
            connection = sockets.enter_context(socket.socket())
            connection.settimeout(0.1)
            try:
                connection.connect((host, port))
            except TimeoutError:
                break
        yield


def sent(port: int, *, timeout=TIMEOUT, deadline=LATE):
    """Send one request to ``api.test``; return the answer and how long it took."""
    sender = Sender(f"http://api.test:{port}", timeout=timeout)
    begin = time.monotonic()
    try:
        return sender.send(REFRESH, deadline=deadline), time.monotonic() - begin
    finally:
        sender.close()


@pytest.mark.parametrize(
    "addresses",
    [[DEAD, LIVE], [DEAD, REFUSING, LIVE], [REFUSING, LIVE], [DEAD, DEAD_TOO, LIVE], [LIVE, DEAD]],
)
def test_dead_address_leaves_time_for_a_live_one(resolve, addresses):
    """A broken IPv6 route is the usual case."""
    with Peer(answer()) as peer, dead_address(DEAD, peer.port), dead_address(DEAD_TOO, peer.port):
        resolve(*addresses)
        response, took = sent(peer.port)
    assert isinstance(response, ApiResponse)
    assert took < TIMEOUT


def test_dead_address_leaves_time_within_the_deadline(resolve):
    """A deadline shorter than the timeout is shared in the same way."""
    with Peer(answer()) as peer, dead_address(DEAD, peer.port):
        resolve(DEAD, LIVE)
        response, took = sent(peer.port, timeout=2 * LATE, deadline=TIMEOUT)
    assert isinstance(response, ApiResponse)
    assert took < TIMEOUT


def test_last_good_address_is_tried_first(resolve):
    """A dead address costs its share of the time once, and not for each connection."""
    with Peer(answer()) as peer, dead_address(DEAD, peer.port):
        resolve(DEAD, LIVE)
        sender = Sender(f"http://api.test:{peer.port}", timeout=TIMEOUT)
        sender.send(POST)
        sender._opened.transport._pool.close()
        begin = time.monotonic()
        assert isinstance(sender.send(POST), ApiResponse)
        assert time.monotonic() - begin < TIMEOUT / 2
        assert peer.connections == 2
        sender.close()


def test_address_that_has_died_is_left(resolve):
    """The last good address is only the first to be tried."""
    with Peer(answer()) as first:
        resolve(LIVE, DEAD)
        sender = Sender(f"http://api.test:{first.port}", timeout=TIMEOUT)
        assert isinstance(sender.send(POST), ApiResponse)
        sender._opened.transport._pool.close()
    with Peer(answer(), host=DEAD, port=first.port):
        assert isinstance(sender.send(POST), ApiResponse)
        sender.close()


@pytest.mark.parametrize("addresses", [[DEAD], [DEAD, DEAD_TOO], [REFUSING, DEAD]])
def test_only_dead_addresses_are_not_sent(resolve, addresses):
    """Together they take no longer than the timeout."""
    with socket.create_server((LIVE, 0)) as unused:
        port = unused.getsockname()[1]
        with dead_address(DEAD, port), dead_address(DEAD_TOO, port):
            resolve(*addresses)
            lost, took = sent(port, timeout=0.5)
    assert_lost(lost, Delivery.NOT_SENT, "ConnectTimeout")
    assert 0.4 < took < LATE / 2


def test_only_refusing_addresses_are_not_sent(resolve):
    """The system's reason is quoted."""
    with socket.create_server((LIVE, 0)) as unused:
        port = unused.getsockname()[1]
        resolve(REFUSING, DEAD)
        lost, _ = sent(port)
    assert_lost(lost, Delivery.NOT_SENT, "ConnectError", "refused")


def test_addresses_are_tried_without_any_limit(resolve):
    """Without timeout and deadline, an address that refuses is still followed by the next."""
    with Peer(answer()) as peer:
        resolve(REFUSING, LIVE)
        response, _ = sent(peer.port, timeout=None, deadline=None)
    assert isinstance(response, ApiResponse)


def test_threads_share_a_host_with_a_dead_address(resolve):
    """Each of them reaches the live address in time."""
    answers = []
    with Peer(answer()) as peer, dead_address(DEAD, peer.port):
        resolve(DEAD, LIVE)
        sender = Sender(f"http://api.test:{peer.port}", timeout=TIMEOUT)
        threads = [
            threading.Thread(target=lambda: answers.append(sender.send(POST, deadline=LATE)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sender.close()
    assert [type(response) for response in answers] == [ApiResponse] * 8


SIX, FOUR = socket.AF_INET6, socket.AF_INET


@pytest.mark.parametrize(
    ("found", "last_good", "order"),
    [
        ([(SIX, "::1"), (SIX, "::2"), (FOUR, "127.0.0.1")], None, ["::1", "127.0.0.1", "::2"]),
        ([(FOUR, "127.0.0.1"), (SIX, "::1")], None, ["127.0.0.1", "::1"]),
        ([(SIX, "::1"), (FOUR, "127.0.0.1")], "127.0.0.1", ["127.0.0.1", "::1"]),
        ([(SIX, "::1"), (FOUR, "127.0.0.1")], "127.0.0.9", ["::1", "127.0.0.1"]),
        ([(FOUR, "127.0.0.1"), (FOUR, "127.0.0.1")], None, ["127.0.0.1"]),
        ([(SIX, "fe80::1%lo")], None, ["fe80::1%lo"]),
    ],
)
def test_address_families_take_turns(monkeypatch, found, last_good, order):
    """Usually a whole family is dead."""
    entries = [(family, socket.SOCK_STREAM, 6, "", (address, 80)) for family, address in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: entries)
    assert addresses_of("api.test", 80, last_good) == order
