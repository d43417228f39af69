"""Proxies, given or of the environment: used, held to the limits, and named when they are at fault."""

import threading
import time

import httpx
import pytest

from hellojohn import ConfigurationError
from hellojohn._http import Sender
from hellojohn._wire import ApiResponse, Delivery
from tests.http.senders import (
    LATE,
    MARK,
    POST,
    READ_SOON,
    REFRESH,
    SOON,
    UNTRUSTING,
    assert_lost,
    over_tls,
    trickle,
)
from tests.loopback import OK, Peer, answer, http, read_request

WITH_PASSWORD = f"http://user:{MARK}@127.0.0.1"


def test_proxy_of_the_environment_is_used(monkeypatch):
    """A machine in a company needs no setting."""
    arrived = []

    def handler(connection):
        arrived.append(read_request(connection))
        connection.sendall(OK)

    with Peer(handler) as peer:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{peer.port}")
        sender = Sender("http://api.test/v1")
        assert isinstance(sender.send(POST), ApiResponse)
        sender.close()
    assert arrived[0].startswith(b"POST http://api.test/v1/auth/x HTTP/1.1\r\n")


@pytest.mark.parametrize("no_proxy", ["api.test", "*", "x.test, api.test ,y.test", "10.0.0.0/8,.test"])
def test_host_without_a_proxy_is_asked_directly(monkeypatch, resolve, no_proxy):
    """``NO_PROXY`` has the meaning that httpx gives it."""
    resolve("127.0.0.1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with Peer(answer()) as peer:
        sender = Sender(f"http://api.test:{peer.port}")
        assert isinstance(sender.send(POST), ApiResponse)
        sender.close()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_cleartext_goes_through_no_proxy_of_the_environment(monkeypatch, variable):
    """Cleartext is for a service on this machine, and a proxy could read the password."""
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    with Peer(answer()) as peer:
        sender = Sender(peer.url)
        assert isinstance(sender.send(POST), ApiResponse)
        sender.close()


@pytest.mark.parametrize("proxy", ["http://user:MARK@proxy.test", httpx.Proxy("socks5://proxy.test:1080")])
def test_cleartext_with_a_proxy_on_another_machine_is_refused(proxy):
    """The setting is wrong from the beginning; a proxy on this machine is a developer's tool."""
    with pytest.raises(ConfigurationError, match=r"in cleartext to another one\. Leave out proxy"):
        Sender("http://localhost:8080", proxy=proxy)
    Sender("http://localhost:8080", proxy="http://127.0.0.1:8081")
    Sender("https://localhost:8080", proxy=proxy)


def test_proxy_object_is_used():
    """The class of httpx carries its credentials."""
    with Peer(answer()) as peer:
        sender = Sender("http://api.test", proxy=httpx.Proxy(f"http://127.0.0.1:{peer.port}"))
        assert isinstance(sender.send(POST), ApiResponse)
        sender.close()


def test_transport_of_the_user_ignores_the_environment(monkeypatch):
    """It is the way around a proxy of the environment."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with Peer(answer()) as peer:
        sender = Sender(peer.url, transport=httpx.HTTPTransport)
        assert isinstance(sender.send(POST), ApiResponse)
        sender.close()


def tunnel(certificate, handler):
    """Return a handler of a proxy that opens tunnels to ``localhost``, and answers in them."""

    def handle(connection):
        assert read_request(connection).startswith(b"CONNECT localhost:443 ")
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        over_tls(certificate, handler)(connection)

    return handle


def test_request_goes_through_a_tunnel(certificate):
    """The proxy sees the name of the host and nothing else."""
    with Peer(tunnel(certificate, answer(http(b'{"a": 1}')))) as peer:
        sender = Sender("https://localhost", verify=str(certificate), proxy=f"http://127.0.0.1:{peer.port}")
        for _ in range(2):
            assert sender.send(REFRESH, deadline=LATE).body == b'{"a": 1}'
        assert peer.connections == 1
        sender.close()


def test_refresh_through_a_tunnel_outlasts_the_read_timeout(certificate):
    """The tunnel is dug within the timeout, and the answer is waited for until the deadline."""

    def slow(connection):
        read_request(connection)
        time.sleep(1.5 * SOON)
        connection.sendall(OK)

    with Peer(tunnel(certificate, slow)) as peer:
        settings = {"verify": str(certificate), "timeout": READ_SOON}
        sender = Sender("https://localhost", proxy=f"http://127.0.0.1:{peer.port}", **settings)
        assert isinstance(sender.send(REFRESH, deadline=LATE), ApiResponse)
        sender.close()


# Refusals

REFUSALS = {
    "the proxy argument": lambda monkeypatch, url: {"proxy": url},
    "HTTPS_PROXY": lambda monkeypatch, url: monkeypatch.setenv("HTTPS_PROXY", url) or {},
    "https_proxy": lambda monkeypatch, url: monkeypatch.setenv("https_proxy", url) or {},
    "ALL_PROXY": lambda monkeypatch, url: monkeypatch.setenv("ALL_PROXY", url) or {},
    "all_proxy": lambda monkeypatch, url: monkeypatch.setenv("all_proxy", url) or {},
}


@pytest.mark.parametrize("source", REFUSALS)
@pytest.mark.parametrize(
    ("status", "words"),
    [(407, "answered 407: it needs a user name and a password"), (403, "403 Some Reason")],
)
def test_refusal_of_a_proxy_names_its_setting(monkeypatch, source, status, words):
    """The tunnel was not dug, so the token did not leave; the password of the proxy is not shown."""
    arrived = []

    def handler(connection):
        arrived.append(read_request(connection))
        connection.sendall(http(b"", status=status))

    with Peer(handler) as peer:
        settings = REFUSALS[source](monkeypatch, f"{WITH_PASSWORD}:{peer.port}")
        sender = Sender("https://api.test/v1", verify=UNTRUSTING, **settings)
        assert_lost(
            sender.send(REFRESH, deadline=LATE), Delivery.NOT_SENT, "ProxyError", words, f"in {source}"
        )
        sender.close()
    assert arrived[0].startswith(b"CONNECT api.test:443")
    assert MARK.encode() not in arrived[0]


def test_refusal_of_a_forwarding_proxy_names_its_setting(monkeypatch):
    """A proxy that answers 407 itself has not passed the request on."""
    with Peer(answer(http(b"<html>", "Proxy-Authenticate: Basic", status=407))) as peer:
        monkeypatch.setenv("HTTP_PROXY", f"{WITH_PASSWORD}:{peer.port}")
        sender = Sender("http://api.test/v1")
        assert_lost(sender.send(POST), Delivery.NOT_SENT, "ProxyError", "HTTP_PROXY", "407")
        sender.close()


def test_407_without_a_proxy_is_an_answer():
    """The reader of the answer decides about its meaning."""
    with Peer(answer(http(b"", status=407))) as peer:
        sender = Sender(peer.url)
        assert sender.send(POST).status == 407
        sender.close()


def test_unreachable_proxy_is_named(monkeypatch):
    """Otherwise the refused connection would seem to be that of the service."""
    monkeypatch.setenv("HTTPS_PROXY", f"{WITH_PASSWORD}:1")
    lost = Sender("https://api.test", verify=UNTRUSTING).send(POST)
    assert_lost(lost, Delivery.NOT_SENT, "ConnectError", "refused", "by the proxy in HTTPS_PROXY")


# Limits while a proxy is asked for a tunnel


@pytest.mark.parametrize(
    ("head", "drop", "timeout", "deadline"),
    [
        (b"", b"", SOON, 2 * LATE),
        (b"", b"", 2 * LATE, SOON),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x", 2 * LATE, SOON),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 2 * LATE, SOON),
    ],
)
def test_proxy_that_does_not_answer_is_not_sent(head, drop, timeout, deadline):
    """Asking for the tunnel belongs to connecting: it has that timeout, and the request has not been sent."""
    with Peer(lambda connection: trickle(connection, head, drop, peer.leave)) as peer:
        proxy = f"http://127.0.0.1:{peer.port}"
        sender = Sender("https://api.test/v1", verify=UNTRUSTING, proxy=proxy, timeout=timeout)
        begin = time.monotonic()
        assert_lost(sender.send(REFRESH, deadline=deadline), Delivery.NOT_SENT, "ReadTimeout")
        assert time.monotonic() - begin < LATE
        peer.leave.set()
        sender.close()


@pytest.mark.parametrize(
    "garbage", [b"", b"HTTP/1.1 ", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]
)
def test_proxy_that_breaks_off_is_not_sent(garbage):
    """The proxy never got the request."""

    def handler(connection):
        read_request(connection)
        connection.sendall(garbage)

    with Peer(handler) as peer:
        sender = Sender("https://api.test/v1", verify=UNTRUSTING, proxy=f"http://127.0.0.1:{peer.port}")
        assert_lost(sender.send(REFRESH, deadline=LATE), Delivery.NOT_SENT, "Error")
        sender.close()


# SOCKS


def socks(*steps: bytes, handler):
    """Return a handler of a SOCKS proxy: it answers each message with a step, and then serves."""

    def handle(connection):
        for step in steps:
            connection.recv(4096)
            connection.sendall(step)
        handler(connection)

    return handle


CONNECTED = (b"\x05\x00", b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")


def test_request_goes_through_a_socks_proxy():
    """Its negotiation does not count as sending."""
    with Peer(socks(*CONNECTED, handler=answer())) as peer:
        sender = Sender("http://api.test/v1", proxy=f"socks5://127.0.0.1:{peer.port}", timeout=LATE)
        assert isinstance(sender.send(REFRESH, deadline=LATE), ApiResponse)
        assert isinstance(sender.send(REFRESH, deadline=LATE), ApiResponse)
        assert peer.connections == 1
        sender.close()


@pytest.mark.parametrize(
    "steps",
    [[], [b"\x05"], [b"\x05\xff"], [b"\x05\x02"], [b"HTTP/1.1 400"], [b"\x05\x00", b"\x05\x05\x00\x01"]],
)
def test_socks_proxy_that_refuses_is_not_sent(steps):
    """A refusal, another protocol and a closed connection all come before the request."""
    with Peer(socks(*steps, handler=lambda connection: None)) as peer:
        sender = Sender("http://api.test", proxy=f"socks5://127.0.0.1:{peer.port}", timeout=LATE)
        assert_lost(sender.send(REFRESH, deadline=LATE), Delivery.NOT_SENT, "Error")
        sender.close()


@pytest.mark.parametrize("steps", [[], [b"\x05\x00"]])
def test_silent_socks_proxy_is_given_up_within_the_timeout(steps):
    """The library sets no limit for this negotiation."""
    with Peer(None) as peer:
        peer.handler = socks(*steps, handler=lambda connection: peer.leave.wait(LATE))
        sender = Sender("http://api.test", proxy=f"socks5://127.0.0.1:{peer.port}", timeout=SOON)
        lost = sender.send(REFRESH, deadline=2 * LATE)
        peer.leave.set()
        assert_lost(lost, Delivery.NOT_SENT, "ReadTimeout")
        sender.close()


@pytest.mark.parametrize("count", [4])
def test_threads_share_a_tunnel_in_turn(certificate, count):
    """Connections through a proxy are kept and shared as others are."""
    together = threading.Barrier(count)
    answers = []
    with Peer(tunnel(certificate, answer())) as peer:
        sender = Sender("https://localhost", verify=str(certificate), proxy=f"http://127.0.0.1:{peer.port}")

        def send():
            together.wait(10)
            answers.append(sender.send(POST, deadline=LATE))

        threads = [threading.Thread(target=send) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sender.close()
    assert [type(response) for response in answers] == [ApiResponse] * count
