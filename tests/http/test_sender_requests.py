"""What goes out: the request as the wire built it, and nothing that httpx or a server would add."""

import json
import logging

import httpx
import pytest

from hellojohn._http import Sender
from hellojohn._secret import Secret
from hellojohn._version import __version__
from hellojohn._wire import ApiRequest, ApiResponse, Delivery
from tests.http.senders import MARK, POST, REFRESH, assert_lost, sending, sent_through, sent_to
from tests.loopback import OK, Peer, answer, http, read_request


def test_request_goes_out_as_it_was_built():
    """Method, path, body and headers arrive; the client names itself and asks for no coding."""
    arrived = []

    def handler(connection):
        arrived.append(read_request(connection))
        connection.sendall(http(b'{"a": 1}', "X-Thing: yes", status=201))

    response = sent_to(handler)
    head, _, body = arrived[0].partition(b"\r\n\r\n")
    request_line, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    assert request_line == "POST /v1/auth/x HTTP/1.1"
    assert json.loads(body) == {"refresh_token": MARK}
    assert headers.pop("host").startswith("127.0.0.1:")
    assert len(headers.pop("x-request-id")) == 32
    assert headers == {
        "accept": "application/json",
        "accept-encoding": "identity",
        "authorization": f"bearer {MARK}".lower(),
        "content-length": str(len(body)),
        "content-type": "application/json",
        "user-agent": f"hellojohn-python/{__version__}",
        "x-tenant-id": "tnt_1",
    }
    assert (response.status, response.body, response.headers["x-thing"]) == (201, b'{"a": 1}', "yes")
    assert set(response.secrets) == {Secret(MARK)}


def test_form_and_secret_headers_go_out():
    """The wire decides about the form of a body, and a header may hold a secret."""
    arrived = []

    def handler(connection):
        arrived.append(read_request(connection))
        connection.sendall(OK)

    sent_to(
        handler, ApiRequest("POST", "/x", {"code": Secret("a b")}, headers={"X-Key": Secret(MARK)}, form=True)
    )
    assert arrived[0].endswith(b"\r\n\r\ncode=a+b")
    assert b"content-type: application/x-www-form-urlencoded" in arrived[0].lower()
    assert f"X-Key: {MARK}".encode() in arrived[0]


def test_address_with_a_user_adds_no_authorization():
    """An httpx client would make one of the user and password in an address."""
    arrived = []

    def handler(connection):
        arrived.append(read_request(connection))
        connection.sendall(OK)

    with Peer(handler) as peer:
        sender = Sender(f"http://user:word@127.0.0.1:{peer.port}/v1/")
        sender.send(REFRESH)
        sender.close()
    assert arrived[0].startswith(b"POST /v1/auth/x HTTP/1.1\r\n")
    assert b"authorization" not in arrived[0].lower()


def test_each_request_has_its_own_request_id():
    """Support can find the one that failed."""
    arrived = []

    def handler(connection):
        while text := read_request(connection):
            arrived.append(text.lower().partition(b"x-request-id: ")[2][:32])
            connection.sendall(OK)

    with Peer(handler) as peer, sending(peer) as sender:
        for _ in range(3):
            sender.send(POST)
    assert len(set(arrived)) == 3


@pytest.mark.parametrize("location", ["http://127.0.0.1:1/elsewhere", "http://[", "\x01", "//", "http:///x"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_returned_and_not_followed(status, location):
    """The refresh token goes to the API only, and a malformed address does not hide the status."""
    transport = httpx.MockTransport(lambda request: httpx.Response(status, headers={"Location": location}))
    assert sent_through(transport).status == status


def test_redirect_over_sockets_is_not_followed():
    """Not even to the same host."""
    with Peer(answer(http(b"", "Location: /v1/other", status=307))) as peer:
        with sending(peer) as sender:
            assert sender.send(POST).status == 307
        assert peer.connections == 1


def test_no_cookie_is_kept_or_sent():
    """A cookie would carry one user's answer into another user's request."""
    arrived = []

    def handler(connection):
        while text := read_request(connection):
            arrived.append(text.lower())
            connection.sendall(http(b"{}", "Set-Cookie: a=b; Path=/", "Set-Cookie: \x01;=;;;"))

    with Peer(handler) as peer, sending(peer) as sender:
        sender.send(POST)
        sender.send(POST)
    assert len(arrived) == 2
    assert not any(b"cookie:" in text for text in arrived)


@pytest.mark.parametrize(
    "request_",
    [
        ApiRequest("GET", "/x", bearer=Secret(f"{MARK}\r\nX-Evil: 1")),
        ApiRequest("GET", "/x", bearer=Secret(f"{MARK}\n")),
        ApiRequest("GET", "/x", bearer=Secret(f"{MARK}ö")),
        ApiRequest("GET", "/x", headers={"X-Tenant-ID": f"{MARK}\x00"}),
        ApiRequest("POST", "/x", {"value": object(), "token": Secret(MARK)}),
        ApiRequest("GET", "/\x00"),
    ],
)
def test_unfit_request_is_neither_sent_nor_shown(request_, caplog):
    """No broken header reaches the wire, and the log of no library quotes it."""
    caplog.set_level(logging.DEBUG)
    with Peer(answer()) as peer, sending(peer) as sender:
        assert_lost(sender.send(request_), Delivery.NOT_SENT, ":")
        assert peer.connections == 0
    assert MARK not in caplog.text


def test_unknown_scheme_is_not_sent():
    """The settings refuse it earlier; here it breaks nothing."""
    assert_lost(Sender("gopher://api.test").send(POST), Delivery.NOT_SENT, "UnsupportedProtocol")


def test_path_is_appended_to_the_base():
    """The base may have a path, with or without a slash at its end."""
    arrived = []

    def handler(connection):
        arrived.append(read_request(connection).partition(b" HTTP")[0])
        connection.sendall(OK)

    with Peer(handler) as peer:
        for base in ("", "/", "/auth", "/auth/"):
            sender = Sender(f"http://127.0.0.1:{peer.port}{base}")
            assert isinstance(sender.send(ApiRequest("GET", "/v2/me")), ApiResponse)
            sender.close()
    assert arrived == [b"GET /v2/me", b"GET /v2/me", b"GET /auth/v2/me", b"GET /auth/v2/me"]
