"""The promises of the sender, as an app sees them: through ``HelloJohn`` and a service on loopback."""

import gzip
import json
import os
import socket
import threading
import time

import httpx
import pytest

from hellojohn import ConfigurationError, FileStore, HelloJohn
from tests.http.senders import LATE, READ_SOON, SOON
from tests.loopback import Peer, http, read_request, reset
from tests.stores.forking import in_forked_child

USER = {"id": "usr_1", "email": "ada@example.com"}
RANGE = "fd00::/8"


def tokens(number: int) -> bytes:
    """Write the body that grants a pair of tokens."""
    return json.dumps(
        {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}", "expires_in": 3600}
    ).encode()


class Service:
    """Answers as HelloJohn does, except where a test says otherwise.

    Attributes:
        requests: The method and path of each request that arrived.
        connections: How many were opened.
        answer: Returns the bytes that answer a refresh whose body is given; may sleep.
        closes_on: The path of the request at which the first connection is closed without an answer.
        end: Called with the connection after a refresh was answered.
    """

    def __init__(self) -> None:
        """Answer properly."""
        self.requests: list[str] = []
        self.connections = 0
        self.answer = http
        self.closes_on = ""
        self.end = None
        self._granted = 0

    def __call__(self, connection: socket.socket) -> None:
        """Serve one connection."""
        self.connections += 1
        first = self.connections == 1
        while head := read_request(connection).decode():
            line = " ".join(head.split(" ")[:2])
            self.requests.append(line)
            if first and line.endswith(self.closes_on or "nothing"):
                return
            connection.sendall(self._answer(line))
            if self.end is not None and "refresh" in line:
                self.end(connection)
                return

    def _answer(self, line: str) -> bytes:
        if line.endswith("/auth/me"):
            return http(json.dumps(USER).encode())
        if line.endswith("/sign-out"):
            return http(status=204)
        self._granted += 1
        body = tokens(self._granted)
        return self.answer(body) if "refresh" in line else http(body)


@pytest.fixture
def service():
    """Return a service, which listens."""
    serves = Service()
    with Peer(serves) as peer:
        serves.url = f"http://127.0.0.1:{peer.port}"
        yield serves


def client(service: Service, **settings) -> HelloJohn:
    """Return a client that has signed in."""
    hj = HelloJohn(
        tenant_id="tnt_1",
        publishable_key="pk_1",
        api_url=service.url,
        **{"background_refresh": False, "timeout": LATE, **settings},
    )
    hj.auth.sign_in("ada@example.com", "correct horse")
    return hj


# Requests that may be sent again


def test_user_on_a_closed_connection_is_asked_for_again(service):
    """The service closes the kept connection at the moment at which it is used."""
    service.closes_on = "/auth/me"
    with client(service) as hj:
        assert hj.auth.user().id == "usr_1"
    assert service.requests.count("GET /v1/auth/me") == 2


def test_sign_out_on_a_closed_connection_is_confirmed(service):
    """Otherwise the session would live on at the service."""
    service.closes_on = "/sign-out"
    with client(service) as hj:
        assert hj.auth.sign_out() is True
    assert service.requests.count("POST /v1/auth/sign-out") == 2


# The only copy of the session


def test_slow_refresh_is_not_overtaken(service):
    """A service that needs longer than ``timeout`` gets the refresh token once."""

    def slow(body):
        time.sleep(2 * SOON)
        return http(body)

    service.answer = slow
    with client(service, timeout=READ_SOON) as hj:
        hj.auth.refresh()
        assert hj.auth.access_token() == "access-2"
    assert sum("refresh" in line for line in service.requests) == 1


ODD = {
    "upper case": lambda body: http(gzip.compress(body), "Content-Encoding: GZIP"),
    "list": lambda body: http(gzip.compress(gzip.compress(body)), "Content-Encoding: gzip, gzip"),
    "not applied": lambda body: http(body, "Content-Encoding: gzip"),
    "unknown": lambda body: http(body, "Content-Encoding: aws-chunked"),
    "too long": lambda body: http(body).replace(b"Content-Length: ", b"Content-Length: 1"),
    "too short": lambda body: http(body).replace(b": %d" % len(body), b": 5"),
    "no last chunk": lambda body: (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(body), body)
    ),
    "not chunked": lambda body: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body,
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_answer_to_a_refresh_keeps_the_session(service, odd):
    """The new tokens have arrived, and the service refuses the old ones from now on."""
    service.answer, service.end = ODD[odd], lambda connection: None
    with client(service) as hj:
        hj.auth.refresh()
        assert hj.auth.access_token() == "access-2"
    assert sum("refresh" in line for line in service.requests) == 1


def test_reset_behind_the_answer_keeps_the_session(service, received):
    """The connection breaks when all tokens have arrived."""

    def break_off(connection):
        received.wait_for(len(tokens(1)) + len(tokens(2)))
        reset(connection)

    service.answer, service.end = ODD["too long"], break_off
    with client(service) as hj:
        hj.auth.refresh()
        assert hj.auth.access_token() == "access-2"


class Reading(httpx.HTTPTransport):
    """Reads each answer before it passes it on, as a transport does that logs."""

    def handle_request(self, request):
        """Pass the request on and read the answer."""
        response = super().handle_request(request)
        response.read()
        return response


def test_transport_that_reads_answers_keeps_the_session(service):
    """A company may log all traffic of its programs."""
    service.answer = ODD["upper case"]
    with client(service, transport=Reading) as hj:
        hj.auth.refresh()
        assert hj.auth.access_token() == "access-2"


# Processes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only on systems that fork")
def test_transport_instance_in_a_forked_child_names_the_factory(service, tmp_path):
    """Parent and child would share connections, and mix up their users."""
    with client(service, store=FileStore(tmp_path), transport=httpx.HTTPTransport()) as hj:
        error = in_forked_child(lambda: f"{hj.auth.refresh()}")
        assert error.startswith("ConfigurationError: ")
        assert "transport=lambda: HTTPTransport(...)" in error
        hj.auth.refresh()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only on systems that fork")
def test_transport_factory_serves_a_forked_child(service, tmp_path):
    """Each process has its own connections."""
    with client(service, store=FileStore(tmp_path), transport=httpx.HTTPTransport) as hj:

        def child() -> str:
            hj.auth.refresh()
            return hj.auth.access_token()

        assert in_forked_child(child) == "access-2"
        assert hj.auth.user().id == "usr_1"
    assert service.connections == 2


# The environment


FAULTS = {
    "NO_PROXY": RANGE,
    "HTTPS_PROXY": "gopher://user:MARKED@127.0.0.1",
    "ALL_PROXY": "http://user:MARKED@host:port",
    "SSL_CERT_FILE": "/no/such/file.pem",
    "SSL_CERT_DIR": "/no/such/folder",
}


@pytest.mark.parametrize("variable", FAULTS)
def test_fault_of_the_environment_is_named_and_diagnosed(monkeypatch, variable):
    """The error names the variable, and the doctor reports it instead of failing."""
    monkeypatch.setenv(variable, FAULTS[variable])
    with HelloJohn(tenant_id="tnt_1", publishable_key="pk_1", api_url="https://api.test") as hj:
        with pytest.raises(ConfigurationError, match=variable) as caught:
            hj.auth.sign_in("ada@example.com", "correct horse")
        report = str(hj.doctor())
    assert variable in report
    assert "MARKED" not in f"{caught.value} {report}"


def test_proxy_that_asks_for_a_password_is_named_and_diagnosed(monkeypatch):
    """A company's proxy answers 407, and the variable that leads to it needs a user name."""
    stopped = threading.Event()

    def refuse(connection):
        while read_request(connection) and not stopped.is_set():
            connection.sendall(http(b"", "Proxy-Authenticate: Basic", status=407))

    with Peer(refuse) as peer:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{peer.port}")
        with HelloJohn(tenant_id="tnt_1", publishable_key="pk_1", api_url="https://api.test") as hj:
            report = str(hj.doctor())
        stopped.set()
    assert "the proxy in HTTPS_PROXY answered 407" in report
