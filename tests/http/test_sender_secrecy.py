"""The secrets of a request: no object of httpx, no traceback and no log keeps or shows them."""

import gc
import json
import logging
import traceback
import weakref
from uuid import uuid4

import httpcore
import httpx
import pytest

from hellojohn._http import Sender
from hellojohn._secret import Secret
from hellojohn._wire import ApiRequest, ApiResponse, Delivery, TransportFailure
from tests.http.senders import (
    GET,
    LATE,
    MARK,
    POST,
    REFRESH,
    SOON,
    close_within_the_body,
    failing,
    reset_after_reading,
    sending,
    trickle,
)
from tests.loopback import Peer, answer, http

LINK = ApiRequest("GET", "/magic", headers={"X-Key": Secret(MARK)}, secret_query={"token": Secret(MARK)})


@pytest.fixture
def without_collector():
    """Switch the cyclic collector off: objects die by their last reference, or the test sees them.

    ``gc.get_objects`` then returns only what the test makes: the older objects are frozen.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.parametrize("error", [None, httpx.ReadTimeout("slow"), httpx.ConnectError("no"), RuntimeError()])
def test_neither_request_nor_error_outlives_the_send(error, without_collector):
    """They hold the token in plain text; only clean values come back, and no cycle keeps the rest."""
    seen = []

    def handle(request):
        seen.append(weakref.ref(request))
        if error is None:
            return httpx.Response(200, content=b"{}")
        raise type(error)("failed")

    sender = Sender("http://api.test", transport=httpx.MockTransport(handle))
    result = sender.send(POST)
    assert seen[0]() is None
    assert isinstance(result, ApiResponse if error is None else TransportFailure)


KINDS = (
    *(httpx.Request, httpx.Response, httpx.HTTPError, httpx.SyncByteStream),
    *(httpcore.Request, httpcore.Response),
)


def alive() -> int:
    """Count the objects of httpx and httpcore that may hold a secret."""
    return sum(isinstance(thing, KINDS) for thing in gc.get_objects())


def hang_up(connection):
    """Serve nothing."""


@pytest.mark.parametrize("handler", [answer(), reset_after_reading, close_within_the_body, hang_up, "slow"])
@pytest.mark.parametrize("request_", [POST, REFRESH, GET])
def test_nothing_of_httpx_outlives_the_send_on_a_socket(handler, request_, without_collector):
    """Not with an answer, not without one, not after the deadline, and not on a kept connection."""
    with Peer(handler) as peer, sending(peer) as sender:
        if handler == "slow":
            peer.handler = lambda connection: trickle(connection, b"", b"", peer.leave)
        before = alive()
        for _ in range(2):
            sender.send(request_, deadline=SOON if handler == "slow" else LATE)
        assert alive() == before
        peer.leave.set()


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_nothing_of_httpx_outlives_a_refusal_of_a_proxy(scheme, without_collector):
    """Nor what refused addresses leave behind, which are tried before it."""
    refusal = http(b"", status=403) if scheme == "http" else b"\x05\xff"

    def refuse(connection):
        connection.recv(1)
        connection.sendall(refusal)

    with Peer(refuse) as peer:
        sender = Sender("https://api.test", verify=False, proxy=f"{scheme}://localhost:{peer.port}")
        sender.prepare()
        before = alive()
        for _ in range(2):
            sender.send(REFRESH, deadline=LATE)
        assert alive() == before
        sender.close()


def test_answer_does_not_stay_in_memory():
    """The bytes of an answer are in the body that the sender returns, and nowhere else."""
    secret = uuid4().bytes  # other tests of this process may hold the usual marker
    with Peer(answer(http(secret))) as peer, sending(peer) as sender:
        sender.send(POST)
        held = [thing for thing in gc.get_objects() if isinstance(thing, list) and len(thing) == 1]
        assert not any(isinstance(thing[0], bytes) and secret in thing[0] for thing in held)


def test_interrupt_inside_a_send_shows_no_secret():
    """Ctrl-C in the middle prints a traceback; with locals, it must not print the token."""
    sender = Sender("http://api.test", transport=failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt) as caught:
        sender.send(POST)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in shown.stack if frame.filename != __file__]
    assert len(frames) > 3
    assert MARK not in f"{[(frame.line, frame.locals) for frame in frames]}"


class Raising(logging.Handler):
    """A handler of an app that raises."""

    def __init__(self):
        """Have raised nothing."""
        super().__init__()
        self.raised = 0

    def emit(self, record):
        """Raise."""
        self.raised += 1
        raise ValueError(record.name)


@pytest.mark.parametrize("by_a_filter", [False, True])
def test_log_handler_that_raises_loses_no_answer(caplog, by_a_filter):
    """The lines below DEBUG come in the middle of an answer, and a refresh would be sent again without it."""
    caplog.set_level(logging.DEBUG)
    raising, logger = Raising(), logging.getLogger("httpcore.http11")
    if by_a_filter:
        logger.addFilter(raising.emit)
    else:
        logging.getLogger().addHandler(raising)
    try:
        with Peer(answer(http(b"{}"))) as peer, sending(peer) as sender:
            assert isinstance(sender.send(POST), ApiResponse)
    finally:
        logger.removeFilter(raising.emit)
        logging.getLogger().removeHandler(raising)
    assert raising.raised


def test_filter_of_an_app_counts_for_the_lines_below(caplog):
    """It sees each line, and decides."""
    caplog.set_level(logging.DEBUG)
    logger = logging.getLogger("httpcore.http11")

    def hide(record):
        return "send_request_body" not in record.getMessage()

    logger.addFilter(hide)
    try:
        with Peer(answer(http(b"{}"))) as peer, sending(peer) as sender:
            sender.send(POST)
    finally:
        logger.removeFilter(hide)
    assert "receive_response_headers" in caplog.text
    assert "send_request_body" not in caplog.text


def test_debug_logs_show_no_secret(caplog):
    """The libraries below log each step at DEBUG."""
    caplog.set_level(logging.DEBUG)
    granted = json.dumps({"access_token": MARK, "refresh_token": MARK, "expires_in": 60}).encode()
    for handler in (answer(http(granted)), reset_after_reading, close_within_the_body):
        with Peer(handler) as peer, sending(peer) as sender:
            for request in (POST, REFRESH, GET, LINK):
                sender.send(request)
    assert "send_request_body" in caplog.text
    assert MARK not in caplog.text


def test_values_show_no_secret():
    """Neither the sender nor an answer repeats a token in its repr."""
    with Peer(answer(http(MARK.encode(), f"X-Token: {MARK}"))) as peer, sending(peer) as sender:
        response = sender.send(POST)
    assert MARK in response.body.decode()
    assert MARK not in f"{response!r} {sender!r} {POST!r}"
    assert response.secrets == (Secret(MARK), Secret(MARK))


def test_password_of_a_proxy_is_not_shown():
    """Not in the failure, and not in the sender."""
    sender = Sender("https://api.test", verify=False, proxy=f"http://user:{MARK}@127.0.0.1:1")
    lost = sender.send(REFRESH, deadline=LATE)
    assert isinstance(lost, TransportFailure)
    assert lost.delivery is Delivery.NOT_SENT
    assert MARK not in f"{lost!r} {sender!r} {vars(sender)}"
