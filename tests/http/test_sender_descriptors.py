"""A process without file descriptors left: nothing that is needed after sending opens or imports anything."""

import gzip
import subprocess
import sys
import threading
import zlib

import brotli
import pytest
import zstandard

from tests.http.test_sender_stopped import child, read_line
from tests.loopback import Peer, answer, http, read_request

resource = pytest.importorskip("resource", reason="only on systems with resource limits")

JSON = b'{"access_token": "a"}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

ANSWERS = {
    "plain": http(JSON),
    "gzip": http(gzip.compress(JSON), "Content-Encoding: gzip"),
    "deflate": http(zlib.compress(JSON), "Content-Encoding: deflate"),
    "br": http(brotli.compress(JSON), "Content-Encoding: br"),
    "zstd": http(zstandard.ZstdCompressor().compress(JSON), "Content-Encoding: zstd"),
    "chunked": CHUNKED + b"%x\r\n" % len(JSON) + JSON + b"\r\n0\r\n\r\n",
    "byte order mark": http(b"\xef\xbb\xbf" + JSON),
    "UTF-8 in a header": http(JSON, "X-Name: Jos\u00e9"),
    "Latin-1 in a header": http(JSON, "X-Name: Jos").replace(b"Jos", b"Jos\xe9"),
    "charset": http(JSON, "Content-Type: application/json; charset=utf-16"),
    "cookie": http(JSON, "Set-Cookie: a=b; Expires=Wed, 21 Oct 2015 07:28:00 GMT"),
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n" + http(JSON),
    "misframed": http(JSON).replace(b"Content-Length: 21", b"Content-Length: 20"),
    "cut": http(JSON).replace(b"Content-Length: 21", b"Content-Length: 99"),
}


def starved(peer_answer: bytes, tmp_path, *, level: str = "INFO") -> tuple[list[str], dict]:
    """Starve the program while its request is answered; return its imports since then, and its answer."""
    asked, starves = threading.Event(), threading.Event()

    def handler(connection):
        read_request(connection)
        asked.set()
        assert starves.wait(20)
        connection.sendall(peer_answer)

    with (
        Peer(handler) as peer,
        child(peer.url, "starved_after", str(tmp_path / "log"), level) as process,
    ):
        assert asked.wait(20)
        process.stdin.write("starve\n")
        process.stdin.flush()
        assert read_line(process) == {"starved": True}
        starves.set()
        return read_line(process)["imported"], read_line(process)


@pytest.mark.parametrize("kind", ANSWERS)
def test_answer_is_kept_without_file_descriptors(kind, tmp_path):
    """The service has rotated the token when the process runs out of descriptors."""
    imported, answer = starved(ANSWERS[kind], tmp_path)
    assert imported == []
    assert answer["status"] == 200
    assert answer["body"].encode("latin-1").removeprefix(b"\xef\xbb\xbf") == JSON


def test_broken_answer_without_file_descriptors_is_typed(tmp_path):
    """Putting a failure into words opens nothing either."""
    imported, answer = starved(b"nonsense\r\n\r\n", tmp_path)
    assert imported == []
    assert "RemoteProtocolError: the request was sent" in answer["detail"]


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_log_that_cannot_be_opened_loses_no_answer(level, tmp_path):
    """A log file that is opened with its first line would fail between the answer and the save."""
    _, answer = starved(ANSWERS["plain"], tmp_path, level=level)
    assert answer["status"] == 200
    assert (tmp_path / "log").exists() == (level == "DEBUG")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://127.0.0.1:1"])
def test_preparing_without_file_descriptors_is_typed(url):
    """The configuration is correct, and closing other files helps."""
    with child(url, "starved_before") as process:
        error, lost, again = read_line(process), read_line(process), read_line(process)
    assert error["error"].startswith("ServiceUnavailable: No connection can be opened: Too many open files")
    assert "not_sent" in lost["detail"]
    assert "Too many open files" in lost["detail"]
    assert again == {"prepared": True}


def test_connecting_without_file_descriptors_is_not_sent():
    """No socket, no request."""
    with child("http://127.0.0.1:1", "starved_while_connecting") as process:
        lost = read_line(process)
    assert "not_sent" in lost["detail"]
    assert "Too many open files" in lost["detail"]


def test_prepare_loads_all_that_sending_needs():
    """The first request of a process imports nothing."""
    code = (
        "import sys; from hellojohn._http import Sender; from tests.http.senders import REFRESH;"
        "sender = Sender(sys.argv[1]); sender.prepare(); before = set(sys.modules);"
        "print(sender.send(REFRESH, deadline=10.0).status, set(sys.modules) - before)"
    )
    with Peer(answer()) as peer:
        run = subprocess.run(
            [sys.executable, "-c", code, peer.url], check=True, capture_output=True, text=True
        )
    assert run.stdout == "200 set()\n"
