"""A forked child: it never uses a connection of its parent."""

import gc
import os
import threading
import time

import httpx
import pytest

from hellojohn import _loading
from hellojohn._http import Sender
from hellojohn._loading import loading
from hellojohn._wire import ApiResponse
from tests.http.senders import LATE, POST, sending
from tests.loopback import Peer, answer, http, read_request
from tests.stores.forking import in_forked_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="only on systems that fork")

EVERY_PROCESS = {
    "none": None,
    "class": httpx.HTTPTransport,
    "factory": lambda: httpx.HTTPTransport(retries=1),
}


def status_of(sender: Sender) -> str:
    """Send a request and return the status of its answer as text."""
    return str(sender.send(POST, deadline=LATE).status)


@pytest.mark.parametrize("transport", EVERY_PROCESS)
def test_child_opens_its_own_connections(transport):
    """The connection of the parent goes on, open and without foreign bytes on it."""
    with Peer(answer()) as peer, sending(peer, transport=EVERY_PROCESS[transport]) as sender:
        sender.send(POST)

        def child() -> str:
            statuses = [status_of(sender), status_of(sender)]
            gc.collect()
            sender.close()
            return " ".join(statuses)

        assert in_forked_child(child) == "200 200"
        assert isinstance(sender.send(POST), ApiResponse)
        assert peer.connections == 2


def test_parent_and_children_get_their_own_answers():
    """Each connection names itself, and no process sees the name of another connection."""
    numbers = iter(range(99))

    def handler(connection):
        name = str(next(numbers)).encode()
        while read_request(connection):
            connection.sendall(http(name))

    with Peer(handler) as peer, sending(peer) as sender:
        assert sender.send(POST).body == b"0"
        for number in range(1, 4):
            assert (
                in_forked_child(lambda: f"connection {sender.send(POST).body.decode()}")
                == f"connection {number}"
            )
            assert sender.send(POST).body == b"0"


def test_grandchild_opens_its_own_connections():
    """A child that forks is a parent."""
    with Peer(answer()) as peer, sending(peer, transport=httpx.HTTPTransport) as sender:
        sender.send(POST)

        def child() -> str:
            return f"{status_of(sender)} {in_forked_child(lambda: status_of(sender))} {status_of(sender)}"

        assert in_forked_child(child) == "200 200 200"
        assert peer.connections == 3


def test_child_of_an_unused_sender_works():
    """A server that preloads the app has usually sent nothing before it forks."""
    with Peer(answer()) as peer, sending(peer, transport=httpx.HTTPTransport) as sender:
        assert in_forked_child(lambda: status_of(sender)) == "200"
        assert status_of(sender) == "200"
        assert peer.connections == 2


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("call", ["prepare", "send"])
def test_instance_in_a_child_is_refused(used, call):
    """Parent and child would share its connections, and mix up their users."""
    transport = httpx.HTTPTransport()
    with Peer(answer()) as peer, sending(peer, transport=transport) as sender:
        if used:
            sender.send(POST)

        def child() -> str:
            return str(sender.prepare() if call == "prepare" else sender.send(POST))

        error = in_forked_child(child)
        assert error.startswith("ConfigurationError: transport is an instance")
        assert "transport=lambda: HTTPTransport(...)" in error
        assert isinstance(sender.send(POST), ApiResponse)
        assert peer.connections == 1


class EqualTransport(httpx.HTTPTransport):
    """A transport that equals all others of its class, and has no hash."""

    __hash__ = None

    def __eq__(self, other):
        return type(other) is type(self)


@pytest.mark.parametrize("make", [httpx.HTTPTransport, EqualTransport])
def test_instance_in_a_new_sender_of_a_child_is_refused(make):
    """A preloaded app may keep the instance, and make a client with it in each worker."""
    transport = make()
    with Peer(answer()) as peer, sending(peer, transport=transport) as sender:
        sender.send(POST)

        def child() -> str:
            with sending(peer, transport=transport) as another:
                return str(another.send(POST))

        assert in_forked_child(child).startswith("ConfigurationError: transport is an instance")
        assert peer.connections == 1


@pytest.mark.parametrize("make", [httpx.HTTPTransport, EqualTransport])
def test_instance_made_in_the_child_serves_the_child(make):
    """The process that passes the instance first is the one that counts, also if it equals another one."""
    with Peer(answer()) as peer, sending(peer, transport=make()) as parents:
        parents.send(POST)

        def child() -> str:
            with sending(peer, transport=make()) as sender:
                return status_of(sender)

        assert in_forked_child(child) == "200"


def test_transport_without_connections_serves_all_processes():
    """Parent and child have nothing to mix up in a mock or a WSGI app."""
    transport = httpx.MockTransport(lambda request: httpx.Response(204))
    with Peer(answer()) as peer, sending(peer, transport=transport) as sender:
        sender.send(POST)

        def child() -> str:
            with sending(peer, transport=transport) as another:
                return f"{status_of(sender)} {status_of(another)}"

        assert in_forked_child(child) == "204 204"


def test_child_that_closes_leaves_the_parent_alone():
    """Closing in the child closes only connections of the child."""
    with Peer(answer()) as peer, sending(peer, transport=httpx.HTTPTransport()) as sender:
        sender.send(POST)

        def child() -> str:
            sender.close()
            return "closed"

        assert in_forked_child(child) == "closed"
        assert isinstance(sender.send(POST), ApiResponse)
        assert peer.connections == 1


def test_fork_while_a_thread_opens_does_not_hang_the_child():
    """A lock that another thread held at the fork is never released in the child."""
    opening, forked = threading.Event(), threading.Event()

    def make():
        if not forked.is_set():
            opening.set()
            forked.wait(10)
        return httpx.HTTPTransport()

    with Peer(answer()) as peer, sending(peer, transport=make) as sender:
        thread = threading.Thread(target=sender.send, args=(POST,))
        thread.start()
        assert opening.wait(10)

        def child() -> str:
            forked.set()
            return status_of(sender)

        assert in_forked_child(child) == "200"
        forked.set()
        thread.join()


def test_fork_waits_for_a_thread_that_loads_modules():
    """The child would keep half of a module for good."""
    begun, order = threading.Event(), []

    def load():
        with loading:
            begun.set()
            time.sleep(0.05)  # any time will do: the fork waits
            order.append("loaded")

    thread = threading.Thread(target=load)
    thread.start()
    assert begun.wait(10)

    def child() -> str:
        with loading:
            return "".join(order)

    assert in_forked_child(child) == "loaded"
    thread.join()
    with loading:
        assert order == ["loaded"]


def test_fork_does_not_wait_for_ever(monkeypatch):
    """A module that is loaded may itself wait for the thread that forks; the child gets a lock of its own."""
    monkeypatch.setattr(_loading, "_LONGEST", 0.05)
    begun, forked = threading.Event(), threading.Event()

    def load():
        with loading:
            begun.set()
            forked.wait(20)

    thread = threading.Thread(target=load)
    thread.start()
    assert begun.wait(10)

    def child() -> str:
        with loading:
            return "free"

    assert in_forked_child(child) == "free"
    forked.set()
    thread.join()


def test_fork_during_a_request_leaves_the_answer_to_the_parent():
    """The child has a copy of the socket, and does not touch it."""
    arrived, forked = threading.Event(), threading.Event()
    first = threading.Lock()
    answers = []

    def handler(connection):
        while read_request(connection):
            if first.acquire(blocking=False):
                arrived.set()
                forked.wait(10)
            connection.sendall(http(b"{}"))

    with Peer(handler) as peer, sending(peer) as sender:
        thread = threading.Thread(target=lambda: answers.append(sender.send(POST, deadline=LATE)))
        thread.start()
        assert arrived.wait(10)
        assert in_forked_child(lambda: status_of(sender)) == "200"
        forked.set()
        thread.join()
    assert answers[0].body == b"{}"


def test_child_threads_open_together():
    """The threads of a child race for its connections as those of the parent did."""
    with Peer(answer()) as peer, sending(peer, transport=httpx.HTTPTransport) as sender:
        sender.send(POST)

        def child() -> str:
            made = []
            together = threading.Barrier(8)

            def send() -> None:
                together.wait(10)
                sender.send(POST, deadline=LATE)
                made.append(sender._opened.transport)

            threads = [threading.Thread(target=send) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return str(len(set(map(id, made))))

        assert in_forked_child(child) == "1"
