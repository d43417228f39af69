"""Sending a call over real sockets: what goes out, what every fault becomes, and what must not outlive it."""

import contextlib
import gc
import gzip
import json
import logging
import math
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
import weakref
import zlib
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from hellojohn._errors import ConfigurationError
from hellojohn._http import Sender
from hellojohn._http._deadline import time_left
from hellojohn._secret import Secret
from hellojohn._version import __version__
from hellojohn._wire import V1, ApiRequest, ApiResponse, Delivery, TransportFailure
from tests.loopback import OK, Peer, answer, http, read_request, reset
from tests.stores.forking import in_forked_child

MARK = "MARKED-SECRET"
CALL = ApiRequest("POST", "/auth/x", {"refresh_token": Secret(MARK)}, Secret(MARK), {"X-Tenant-ID": "tnt_1"})
MIB = 1_048_576
UNTRUSTING = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Made once: certificates take a while to load, and a test's short deadline would be over."""

SOON = 0.3
"""A deadline that a loaded machine reaches only when it is meant to."""

LATE = 10.0
"""What a call that ignores its deadline takes at least."""


@pytest.fixture(autouse=True)
def _no_proxies_of_this_machine(monkeypatch):
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@contextlib.contextmanager
def sending(peer: Peer, **settings):
    """Yield a sender to a peer, and close it."""
    sender = Sender(peer.url, **{"timeout": 2 * LATE, "verify": UNTRUSTING, **settings})
    try:
        yield sender
    finally:
        sender.close()


def sent_to(handler, *, deadline: float | None = None, **settings):
    """Send one call to a peer that behaves as ``handler`` does; return the answer."""
    with Peer(handler) as peer, sending(peer, **settings) as sender:
        try:
            return sender.send(CALL, deadline=deadline)
        finally:
            peer.leave.set()


def assert_lost(answer, fault: Delivery, name: str) -> None:
    """Assert that nothing came, that the reason is named, and that no secret is in it."""
    assert isinstance(answer, TransportFailure)
    assert answer.fault is fault
    assert name in answer.detail
    assert MARK not in answer.detail


def test_a_call_goes_out_as_it_is():
    """Method, path, JSON body, bearer and headers; the client says who it is and takes no compression."""
    arrived = []

    def handler(connection):
        arrived.append(read_request(connection))
        connection.sendall(http(b'{"a": 1}', "X-Thing: yes", status=201))

    reply = sent_to(handler)
    head, _, body = arrived[0].partition(b"\r\n\r\n")
    request_line, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    assert request_line == "POST /v1/auth/x HTTP/1.1"
    assert json.loads(body) == {"refresh_token": MARK}
    assert headers["authorization"] == f"bearer {MARK}".lower()
    assert headers["x-tenant-id"] == "tnt_1"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == f"hellojohn-python/{__version__}"
    assert headers["accept-encoding"] == "identity"
    assert len(headers["x-request-id"]) == 32
    assert "cookie" not in headers
    assert (reply.status, reply.body, reply.headers["x-thing"]) == (201, b'{"a": 1}', "yes")
    assert set(reply.secrets) == {Secret(MARK)}


def test_a_refresh_carries_no_authorization_even_when_the_address_has_a_user():
    """Httpx would make one of the user and password in an address."""
    arrived = []

    def handler(connection):
        arrived.append(read_request(connection))
        connection.sendall(OK)

    with Peer(handler) as peer:
        sender = Sender(f"http://user:word@127.0.0.1:{peer.port}/v1/")
        sender.send(V1("tnt_1", Secret("pk")).refresh(Secret("rt")))
        sender.close()
    assert arrived[0].startswith(b"POST /v1/auth/token/refresh HTTP/1.1\r\n")
    assert b"authorization" not in arrived[0].lower()


def test_each_call_has_its_own_request_id():
    """Support finds the one that failed."""
    arrived = []

    def handler(connection):
        while text := read_request(connection):
            arrived.append(text.lower().partition(b"x-request-id: ")[2][:32])
            connection.sendall(OK)

    with Peer(handler) as peer, sending(peer) as sender:
        for _ in range(3):
            sender.send(CALL)
    assert len(set(arrived)) == 3


def test_a_refused_port_is_not_sent():
    """Nobody listens: the call may be sent again, and the system says why."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    lost = Sender(f"http://127.0.0.1:{port}/v1").send(CALL)
    assert_lost(lost, Delivery.NOT_SENT, "ConnectError")
    assert "refused" in lost.detail


def test_an_unknown_host_is_not_sent(monkeypatch):
    """No address, no connection."""

    def fail(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert_lost(
        Sender("https://nowhere.invalid/v1").send(CALL), Delivery.NOT_SENT, "Name or service not known"
    )


def reset_while_sending(connection):
    """Take a byte and hang up."""
    connection.recv(1)
    reset(connection)


def reset_after_reading(connection):
    """Take the request and hang up."""
    read_request(connection)
    reset(connection)


def close_after_reading(connection):
    """Take the request and close politely."""
    read_request(connection)


def close_within_the_headers(connection):
    """Begin an answer."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Len")


def close_within_the_body(connection):
    """Begin a body."""
    read_request(connection)
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"access_token": "a"')


def close_within_a_chunk(connection):
    """Begin a chunk."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc")


def talk_nonsense(connection):
    """Speak another protocol."""
    read_request(connection)
    connection.sendall(b"\x00\x01SSH-2.0-OpenSSH\r\n\r\n" * 10)


def send_endless_headers(connection):
    """Send more headers than anyone reads."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"x" * 300_000)


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
def test_a_call_cut_off_after_it_was_sent_is_unknown(handler):
    """The service may have rotated the token: it is never taken for unsent."""
    assert_lost(sent_to(handler), Delivery.UNKNOWN, "Error")


def trickle(connection, head: bytes, drop: bytes, peer_leaves: threading.Event) -> None:
    """Send a beginning, then a byte now and then, for ever."""
    read_request(connection)
    connection.sendall(head)
    while not peer_leaves.wait(0.02):
        connection.sendall(drop)


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
def test_the_deadline_ends_an_answer_that_never_ends(head, drop):
    """Silence, and headers, interim answers or a body that trickle: the lock's lease is not outlived."""
    with (
        Peer(lambda connection: trickle(connection, head, drop, peer.leave)) as peer,
        sending(peer) as sender,
    ):
        begin = time.monotonic()
        lost = sender.send(CALL, deadline=SOON)
        took = time.monotonic() - begin
        peer.leave.set()
    assert_lost(lost, Delivery.UNKNOWN, "ReadTimeout")
    assert took < LATE


def test_the_deadline_holds_without_a_timeout():
    """``timeout=None`` lifts httpx's limits, not the lock's."""
    with Peer(lambda connection: trickle(connection, b"", b"", peer.leave)) as peer:
        with sending(peer, timeout=None) as sender:
            assert_lost(sender.send(CALL, deadline=SOON), Delivery.UNKNOWN, "ReadTimeout")
        peer.leave.set()


def test_silence_is_ended_by_the_timeout():
    """Without a deadline each step has its limit."""
    with Peer(lambda connection: trickle(connection, b"", b"", peer.leave)) as peer:
        with sending(peer, timeout=SOON) as sender:
            assert_lost(sender.send(CALL), Delivery.UNKNOWN, "ReadTimeout")
        peer.leave.set()


def test_one_calls_deadline_is_not_the_nexts():
    """A thread that sent with a deadline may wait again afterwards."""
    with Peer(answer()) as peer, sending(peer, timeout=None) as sender:
        assert isinstance(sender.send(CALL, deadline=LATE), ApiResponse)
        assert math.isinf(time_left())
        assert isinstance(sender.send(CALL), ApiResponse)


@pytest.mark.parametrize("deadline", [0, -1.0])
def test_without_time_nothing_is_sent(deadline):
    """Waiting used it up: the token stays untouched."""
    with Peer(answer()) as peer, sending(peer) as sender:
        assert_lost(sender.send(CALL, deadline=deadline), Delivery.NOT_SENT, "no time left")
        assert peer.connections == 0


def test_a_slow_resolver_sends_nothing_after_the_deadline(monkeypatch):
    """It cannot be interrupted, but the call then stays here: the lock may be another's by now."""
    arrived = []

    def handler(connection):
        arrived.append(read_request(connection))

    connect = socket.create_connection

    def connect_late(*args, **kwargs):
        time.sleep(1.2 * SOON)
        return connect(*args, **kwargs)

    with Peer(handler) as peer, sending(peer) as sender, monkeypatch.context() as patched:
        patched.setattr(socket, "create_connection", connect_late)
        assert_lost(sender.send(CALL, deadline=SOON), Delivery.NOT_SENT, "ConnectTimeout")
    assert not any(arrived)


def test_a_full_pool_is_not_sent():
    """A call that never got a connection was not sent."""
    with Peer(lambda connection: trickle(connection, b"", b"", peer.leave)) as peer:
        transport = httpx.HTTPTransport(limits=httpx.Limits(max_connections=1))
        with sending(peer, transport=transport) as sender:
            other = threading.Thread(target=sender.send, args=(CALL,))
            other.start()
            while not peer.connections:
                time.sleep(0.001)
            begin = time.monotonic()
            assert_lost(sender.send(CALL, deadline=SOON), Delivery.NOT_SENT, "PoolTimeout")
            assert time.monotonic() - begin < LATE
            peer.leave.set()
            other.join()


def test_a_transport_that_retries_sleeps_no_longer_than_the_deadline():
    """A user's transport with ``retries`` waits between its connects."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    begin = time.monotonic()
    sender = Sender(f"http://127.0.0.1:{port}", verify=UNTRUSTING, transport=httpx.HTTPTransport(retries=7))
    lost = sender.send(CALL, deadline=SOON)
    assert_lost(lost, Delivery.NOT_SENT, "Connect")
    assert time.monotonic() - begin < LATE


class Drops(httpx.SyncByteStream):
    """A body without an end, from no socket."""

    def __iter__(self):
        """Give a byte now and then."""
        while True:
            time.sleep(0.02)
            yield b" "


def test_the_deadline_ends_a_body_of_any_transport():
    """A user's transport without sockets of ours is stopped between two pieces."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=Drops()))
    lost = Sender("http://api.test", transport=transport).send(CALL, deadline=SOON)
    assert_lost(lost, Delivery.UNKNOWN, "ReadTimeout")


def test_a_body_of_a_mebibyte_is_read():
    """Far more than an answer needs."""
    assert sent_to(answer(http(b"x" * MIB))).body == b"x" * MIB


@pytest.mark.parametrize("size", [MIB + 1, 10 * MIB])
def test_a_larger_body_is_not_kept(size):
    """The status counts, the flood does not fill the memory, and half a document is not taken for one."""
    reply = sent_to(answer(http(b"x" * size, "Retry-After: 3", status=503)))
    assert (reply.status, reply.body, reply.headers["retry-after"]) == (503, b"", "3")


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b'{"a": 1}', mtime=0)),
        ("x-gzip", gzip.compress(b'{"a": 1}', mtime=0)),
        ("deflate", zlib.compress(b'{"a": 1}')),
        ("identity", b'{"a": 1}'),
    ],
)
def test_a_compression_nobody_asked_for_is_undone(encoding, packed):
    """Some proxies compress whatever the client says; the token in it counts."""
    assert sent_to(answer(http(packed, f"Content-Encoding: {encoding}"))).body == b'{"a": 1}'


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b" " * 100 * MIB, mtime=0)),
        ("gzip", gzip.compress(b'{"a": 1}', mtime=0)[:-4]),
        ("gzip", b"no gzip at all"),
        ("deflate", b""),
        ("br", b"whatever"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0)),
    ],
)
def test_a_compression_that_cannot_be_trusted_leaves_no_body(encoding, packed):
    """A bomb is not unpacked, half a document is none, and nobody guesses."""
    reply = sent_to(answer(http(packed, f"Content-Encoding: {encoding}")))
    assert (reply.status, reply.body) == (200, b"")


def test_a_late_answer_does_not_answer_the_next_call():
    """The connection of a call that was given up is closed: its token must not reach another session."""
    release = threading.Event()
    numbers = iter(range(9))

    def handler(connection):
        while read_request(connection):
            number = next(numbers)
            if number == 0:
                release.wait(10)
            connection.sendall(http(str(number).encode()))

    with Peer(handler) as peer, sending(peer) as sender:
        assert_lost(sender.send(CALL, deadline=SOON), Delivery.UNKNOWN, "ReadTimeout")
        release.set()
        assert sender.send(CALL).body == b"1"
        assert peer.connections == 2


def test_connections_are_kept_alive():
    """A web back end's refreshes share handshakes."""
    with Peer(answer()) as peer, sending(peer) as sender:
        for _ in range(3):
            assert isinstance(sender.send(CALL), ApiResponse)
        assert peer.connections == 1


def test_a_connection_that_the_server_closed_is_not_used_again():
    """Most servers close idle connections: that must not make a refresh's outcome unknown."""
    closed = threading.Event()

    def handler(connection):
        read_request(connection)
        connection.sendall(OK)
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    with Peer(handler) as peer, sending(peer) as sender:
        for _ in range(3):
            closed.clear()
            assert isinstance(sender.send(CALL), ApiResponse)
            assert closed.wait(10)


@pytest.mark.parametrize("location", ["http://127.0.0.1:1/elsewhere", "http://[", "\x01", "//", "http:///x"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_leads_nowhere(status, location):
    """The refresh token goes to the API only, and a senseless address does not hide the status."""
    transport = httpx.MockTransport(lambda request: httpx.Response(status, headers={"Location": location}))
    assert Sender("http://api.test", transport=transport).send(CALL).status == status


def test_a_redirect_is_not_followed_over_sockets():
    """Not even to the same host."""
    with Peer(answer(http(b"", "Location: /v1/other", status=307))) as peer:
        with sending(peer) as sender:
            assert sender.send(CALL).status == 307
        assert peer.connections == 1


def test_no_cookie_is_kept_or_sent():
    """A session of another kind is none of ours, and hostile cookies are not even parsed."""
    arrived = []

    def handler(connection):
        while text := read_request(connection):
            arrived.append(text.lower())
            connection.sendall(http(b"{}", "Set-Cookie: a=b; Path=/", "Set-Cookie: \x01;=;;;"))

    with Peer(handler) as peer, sending(peer) as sender:
        sender.send(CALL)
        sender.send(CALL)
    assert len(arrived) == 2
    assert not any(b"cookie:" in text for text in arrived)


def test_a_proxy_of_the_environment_is_used(monkeypatch):
    """Httpx's default: a company's machine needs no setting."""
    arrived = []

    def handler(connection):
        arrived.append(read_request(connection))
        connection.sendall(OK)

    with Peer(handler) as peer:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{peer.port}")
        sender = Sender("http://api.test/v1")
        assert isinstance(sender.send(CALL), ApiResponse)
        sender.close()
    assert arrived[0].startswith(b"POST http://api.test/v1/auth/x HTTP/1.1\r\n")


def test_a_proxy_that_refuses_is_not_sent():
    """The tunnel was not dug: the token did not leave."""
    arrived = []

    def handler(connection):
        arrived.append(read_request(connection))
        connection.sendall(http(b"", status=407))

    with Peer(handler) as peer:
        sender = Sender("https://api.test/v1", verify=UNTRUSTING, proxy=f"http://127.0.0.1:{peer.port}")
        assert_lost(sender.send(CALL), Delivery.NOT_SENT, "ProxyError")
        sender.close()
    assert MARK.encode() not in arrived[0]


def test_a_proxy_that_trickles_is_held_to_the_deadline():
    """The proxy's own answer counts against the limit as well."""
    with Peer(lambda connection: trickle(connection, b"HTTP/1.1 200 OK\r\nX: ", b"x", peer.leave)) as peer:
        sender = Sender("https://api.test/v1", verify=UNTRUSTING, proxy=f"http://127.0.0.1:{peer.port}")
        begin = time.monotonic()
        assert_lost(sender.send(CALL, deadline=SOON), Delivery.UNKNOWN, "ReadTimeout")
        assert time.monotonic() - begin < LATE
        peer.leave.set()
        sender.close()


def test_a_stalled_handshake_is_not_sent():
    """Nothing of the call is said before TLS stands."""
    with Peer(lambda connection: peer.leave.wait(10)) as peer:
        sender = Sender(f"https://127.0.0.1:{peer.port}", verify=UNTRUSTING)
        assert_lost(sender.send(CALL, deadline=SOON), Delivery.NOT_SENT, "ConnectTimeout")
        peer.leave.set()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Make a certificate for 127.0.0.1 and return the file with it and its key."""
    from cryptography import x509  # noqa: PLC0415 - one fixture's need
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        made.public_bytes(encoding) + key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    )
    return path


def over_tls(certificate, handler):
    """Return a handler that speaks TLS first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def handle(connection):
        with context.wrap_socket(connection, server_side=True) as wrapped:
            handler(wrapped)

    return handle


def test_tls_is_held_to_the_deadline_as_well(certificate):
    """The limit goes with the connection through the handshake."""
    trusting = ssl.create_default_context(cafile=certificate)
    with Peer(over_tls(certificate, answer())) as peer:
        sender = Sender(f"https://localhost:{peer.port}/v1", verify=trusting)
        assert isinstance(sender.send(CALL, deadline=LATE), ApiResponse)
        peer.handler = over_tls(certificate, lambda stream: trickle(stream, b"HTTP/1.1 ", b"2", peer.leave))
        sender.close()
        assert_lost(sender.send(CALL, deadline=SOON), Delivery.UNKNOWN, "ReadTimeout")
        peer.leave.set()
        sender.close()


def test_a_certificate_nobody_vouches_for_is_not_sent(certificate):
    """And the reason is told, because it is the user's to fix."""
    with Peer(over_tls(certificate, answer())) as peer:
        lost = Sender(f"https://localhost:{peer.port}").send(CALL)
    assert_lost(lost, Delivery.NOT_SENT, "ConnectError")
    assert "CERTIFICATE_VERIFY_FAILED" in lost.detail


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="only on systems with Unix sockets")
def test_a_socket_file_is_held_to_the_deadline_as_well(tmp_path):
    """A user's transport to a local proxy is limited too."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        sender = Sender("http://local", transport=httpx.HTTPTransport(uds=path))
        assert_lost(sender.send(CALL, deadline=SOON), Delivery.UNKNOWN, "ReadTimeout")
        sender.close()


UNFIT = [
    ApiRequest("GET", "/x", bearer=Secret(f"{MARK}\r\nX-Evil: 1")),
    ApiRequest("GET", "/x", bearer=Secret(f"{MARK}\n")),
    ApiRequest("GET", "/x", bearer=Secret(f"{MARK}ö")),
    ApiRequest("GET", "/x", headers={"X-Tenant-ID": f"{MARK}\x00"}),
    ApiRequest("POST", "/x", {"value": object(), "token": Secret(MARK)}),
    ApiRequest("GET", "/\x00"),
]


@pytest.mark.parametrize("call", UNFIT)
def test_what_cannot_be_sent_is_not_sent_and_not_shown(call, caplog):
    """No broken header reaches the wire, and no library's log quotes it."""
    caplog.set_level(logging.DEBUG)
    with Peer(answer()) as peer, sending(peer) as sender:
        assert_lost(sender.send(call), Delivery.NOT_SENT, ":")
        assert peer.connections == 0
    assert MARK not in caplog.text


def test_a_wrong_scheme_is_not_sent():
    """Settings refuse it before; here it breaks nothing."""
    assert_lost(Sender("gopher://api.test").send(CALL), Delivery.NOT_SENT, "UnsupportedProtocol")


def failing(error):
    """Return a transport that always fails with ``error``."""

    def handle(request):
        raise error

    return httpx.MockTransport(handle)


@pytest.mark.parametrize(
    "error",
    [RuntimeError(MARK), ValueError(MARK), OSError(5, MARK), httpx.InvalidURL(MARK), httpx.ReadError(MARK)],
)
def test_whatever_a_transport_raises_is_an_unknown_outcome(error):
    """No foreign exception, with the request in its frames, comes out of a send."""
    lost = Sender("http://api.test", transport=failing(error)).send(CALL)
    assert_lost(lost, Delivery.UNKNOWN, type(error).__name__)


@pytest.mark.parametrize("words", ["", MARK, f"refused: {MARK}", "line\nbreak"])
def test_a_failed_connects_words_are_told_only_when_they_are_clean(words):
    """They come from the system, unless a transport makes them up."""
    lost = Sender("http://api.test", transport=failing(httpx.ConnectError(words))).send(CALL)
    assert lost == TransportFailure(Delivery.NOT_SENT, "ConnectError: the call was not sent")


class BrokenClose(httpx.SyncByteStream):
    """A body that arrives whole and cannot be closed."""

    def __iter__(self):
        """Give the body."""
        yield b"{}"

    def close(self):
        """Fail."""
        raise OSError


def test_a_whole_answer_counts_whatever_becomes_of_its_connection():
    """A token that has arrived is not thrown away because a socket did not close."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=BrokenClose()))
    assert Sender("http://api.test", transport=transport).send(CALL).body == b"{}"


@pytest.mark.parametrize("error", [None, httpx.ReadTimeout("slow"), httpx.ConnectError("no"), RuntimeError()])
def test_neither_request_nor_error_outlives_the_send(error):
    """They hold the token in plain text; only clean values come back."""
    seen = []

    def handle(request):
        seen.append(weakref.ref(request))
        if error is None:
            return httpx.Response(200, content=b"{}")
        raise type(error)("failed")

    sender = Sender("http://api.test", transport=httpx.MockTransport(handle))
    result = sender.send(CALL)
    gc.collect()
    assert seen[0]() is None
    assert isinstance(result, ApiResponse if error is None else TransportFailure)


def test_an_interrupt_inside_a_send_shows_no_secret():
    """Ctrl-C in the middle prints a traceback; with locals, it must not print the token."""
    sender = Sender("http://api.test", transport=failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt) as caught:
        sender.send(CALL)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in shown.stack if frame.filename != __file__]
    assert len(frames) > 3
    assert MARK not in f"{[(frame.line, frame.locals) for frame in frames]}"


def test_debug_logs_show_no_secret(caplog):
    """Httpx and httpcore log each step at DEBUG: of a sign-in, a refresh and a sign-out, no secret."""
    caplog.set_level(logging.DEBUG)
    api = V1("tnt_1", Secret(f"pk-{MARK}"))
    calls = [
        api.sign_in("a@b.c", Secret(MARK), duration="30d", captcha_token=Secret(MARK)),
        api.refresh(Secret(MARK)),
        api.sign_out(Secret(MARK), Secret(MARK), everywhere=True),
        api.me(Secret(MARK)),
    ]
    granted = json.dumps({"access_token": MARK, "refresh_token": MARK, "expires_in": 60}).encode()
    for handler in (answer(http(granted)), reset_after_reading, close_within_the_body):
        with Peer(handler) as peer, sending(peer) as sender:
            for call in calls:
                sender.send(call)
    assert "send_request_body" in caplog.text
    assert "HTTP Request: POST" in caplog.text
    assert MARK not in caplog.text


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"timeout": 0}, "timeout must be seconds"),
        ({"timeout": -1.0}, "timeout must be seconds"),
        ({"timeout": float("nan")}, "timeout must be seconds"),
        ({"timeout": float("inf")}, "timeout must be seconds"),
        ({"timeout": "soon"}, "timeout must be seconds"),
        ({"timeout": True}, "timeout must be seconds"),
        ({"verify": 7}, "verify must be True"),
        ({"verify": None}, "verify must be True"),
        ({"verify": "/no/such/file.pem"}, "there is no '/no/such/file.pem'"),
        ({"timeout": (1.0,)}, "timeout must be seconds"),
        ({"proxy": "nonsense"}, "proxy must be an address"),
        ({"proxy": "http://user:MARKED-SECRET@host:port"}, "proxy must be an address"),
        ({"proxy": 7}, "proxy must be an address"),
        ({"transport": httpx.AsyncHTTPTransport()}, r"transport must be .* It is AsyncHTTPTransport"),
        ({"transport": "http"}, "It is str"),
    ],
)
def test_a_senseless_setting_is_refused_where_it_is_made(settings, named):
    """Not at the first call, on a thread far away."""
    with pytest.raises(ConfigurationError, match=named) as caught:
        Sender("https://api.test", **settings)
    assert MARK not in str(caught.value)


@pytest.mark.parametrize(
    "timeout", [None, 1, 2.5, (1.0, 2.0, 3.0, 4.0), httpx.Timeout(5.0, connect=None), httpx.Timeout(1)]
)
def test_a_timeout_has_httpx_meaning(timeout):
    """Numbers, four of them, none, or httpx's own."""
    seen = []

    def handle(request):
        seen.append(request.extensions["timeout"])
        return httpx.Response(200)

    Sender("http://api.test", timeout=timeout, transport=httpx.MockTransport(handle)).send(CALL)
    assert seen == [httpx.Timeout(timeout).as_dict()]


def test_a_proxy_object_is_taken_as_it_is():
    """Httpx's own class carries its credentials."""
    with Peer(answer()) as peer:
        sender = Sender("http://api.test", proxy=httpx.Proxy(f"http://127.0.0.1:{peer.port}"))
        assert isinstance(sender.send(CALL), ApiResponse)
        sender.close()


def test_a_broken_proxy_of_the_environment_is_a_matter_of_configuration(monkeypatch):
    """It is found when the first call is made, and named without its password."""
    monkeypatch.setenv("ALL_PROXY", f"gopher://user:{MARK}@127.0.0.1")
    with pytest.raises(ConfigurationError, match="environment's proxies: ValueError") as caught:
        Sender("http://api.test").send(CALL)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert MARK not in str(caught.value)


def test_a_socks_proxy_names_what_it_needs(monkeypatch):
    """The fix is an install line."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(ConfigurationError, match=r"httpx\[socks\]"):
        Sender("http://api.test", proxy="socks5://127.0.0.1:1").send(CALL)


def test_a_closed_sender_opens_anew():
    """Closing gives the sockets back; a call that comes late, such as a sign-out, still goes out."""
    with Peer(answer()) as peer, sending(peer) as sender:
        sender.close()
        sender.send(CALL)
        sender.close()
        sender.close()
        assert isinstance(sender.send(CALL), ApiResponse)
        assert peer.connections == 2


def test_a_users_transport_is_wrapped_once():
    """Closing and opening again does not stack limits upon limits."""
    transport = httpx.HTTPTransport()
    with Peer(answer()) as peer, sending(peer, transport=transport) as sender:
        sender.send(CALL)
        backend = transport._pool._network_backend
        sender.close()
        sender.send(CALL)
        assert transport._pool._network_backend is backend


def test_many_threads_share_one_client():
    """The first calls race to make it, and each gets its own answer."""
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
    assert sorted((number, json.loads(reply.body)["n"]) for number, reply in bodies) == [
        (number, number) for number in range(count)
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only on systems that fork")
def test_a_forked_child_leaves_the_parents_connection_alone():
    """The child opens its own; the parent's goes on, unclosed and with nobody else's bytes on it."""
    with Peer(answer()) as peer, sending(peer) as sender:
        sender.send(CALL)

        def child() -> str:
            sender.reset_after_fork()
            gc.collect()
            status = sender.send(CALL).status
            sender.close()
            return str(status)

        assert in_forked_child(child) == "200"
        assert isinstance(sender.send(CALL), ApiResponse)
        assert peer.connections == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only on systems that fork")
def test_a_fork_in_the_middle_of_opening_does_not_hang_the_child():
    """A lock that another thread held at the fork would never be released in the child."""
    with Peer(answer()) as peer, sending(peer) as sender:

        def child() -> str:
            sender.reset_after_fork()
            return str(sender.send(CALL).status)

        with sender._lock:
            assert in_forked_child(child) == "200"


def test_a_sender_is_cheap_to_make():
    """No certificate and no socket code is loaded before the first call."""
    code = "import sys, hellojohn._http as h; h.Sender('http://x'); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = run.stdout.split()
    assert "hellojohn._http._sender" in loaded
    assert "hellojohn._http._sockets" not in loaded
