"""A process that is stopped in the middle of a request: an answer that arrived in that time is read."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.http.senders import over_tls
from tests.loopback import Peer, http, read_request

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="only on systems that stop processes")

CHILD = Path(__file__).with_name("sending_child.py")
DEADLINE = 1.0
JSON = b'{"access_token": "a", "refresh_token": "' + b"r" * 50_000 + b'"}'


@contextlib.contextmanager
def child(url: str, *arguments: str):
    """Run the program that sends; yield it."""
    command = [sys.executable, str(CHILD), url, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def read_line(process) -> dict:
    """Return the next line of the program's output."""
    return json.loads(process.stdout.readline())


def stop(process) -> None:
    """Stop the program, and wait until it stands still."""
    os.kill(process.pid, signal.SIGSTOP)
    await_stop(process)


def await_stop(process) -> None:
    """Wait until the program stands still."""
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


def wake_after_the_deadline(process) -> None:
    """Wake the program when its deadline is over."""
    time.sleep(DEADLINE + 0.2)
    os.kill(process.pid, signal.SIGCONT)


def answered_while_stopped(
    connection, process, before: bytes, after: bytes, *, signals: bool = False
) -> None:
    """Answer a request: ``before`` the program is stopped, and ``after`` that."""
    read_request(connection)
    connection.sendall(before)
    stop(process)
    connection.sendall(after)
    if signals:
        os.kill(process.pid, signal.SIGUSR1)
    wake_after_the_deadline(process)
    connection.recv(1)


def result_of(handler, *arguments: str, url: str | None = None) -> dict:
    """Run the program against a peer that behaves as ``handler`` does; return the line it prints."""
    processes = []
    with Peer(lambda connection: handler(connection, processes[0])) as peer:
        address = peer.url if url is None else url.format(port=peer.port)
        with child(address, *arguments) as process:
            processes.append(process)
            assert read_line(process) == {"prepared": True}
            return read_line(process)


WHOLE = http(JSON)
HEAD, _, _ = WHOLE.partition(b"{")
PIECES = {
    "all of it": (b"", WHOLE),
    "the body": (HEAD, JSON),
    "half of the body": (HEAD + JSON[:50], JSON[50:]),
    "chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"".join(b"%x\r\n" % len(piece) + piece + b"\r\n" for piece in (JSON[:9], JSON[9:])) + b"0\r\n\r\n",
    ),
    "an answer without its end": (b"", http(JSON).replace(b"Content-Length: ", b"Content-Length: 9")),
    "an interim answer, too": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE),
}


@pytest.mark.parametrize(
    ("pieces", "kind"), [*((pieces, "refresh") for pieces in PIECES), ("half of the body", "other")]
)
def test_answer_that_arrived_while_stopped_is_read(pieces, kind):
    """The service has rotated the token, and its answer lies in the socket."""
    before, after = PIECES[pieces]

    def handler(connection, process):
        answered_while_stopped(connection, process, before, after)

    result = result_of(handler, "stopped", str(DEADLINE), kind)
    assert (result["status"], result["body"].encode()) == (200, JSON)


def test_answer_is_read_although_a_signal_interrupts_the_wait():
    """Python sees the timeout before it looks at the socket again."""

    def handler(connection, process):
        answered_while_stopped(connection, process, b"", WHOLE, signals=True)

    assert result_of(handler, "stopped", str(DEADLINE), "refresh")["body"].encode() == JSON


@pytest.mark.parametrize("signals", [False, True])
def test_answer_over_tls_is_read_after_the_stop(certificate, signals):
    """It lies there in many records."""
    processes = []

    def serve(stream):
        answered_while_stopped(stream, processes[0], b"", WHOLE, signals=signals)

    def handler(connection, process):
        processes.append(process)
        over_tls(certificate, serve)(connection)

    result = result_of(handler, "stopped", str(DEADLINE), "refresh", url="https://127.0.0.1:{port}")
    assert result["body"].encode() == JSON


@pytest.mark.parametrize("piece", [b"", b"HTTP/1.1 200 OK\r\n", HEAD + JSON[:100]])
def test_nothing_is_waited_for_after_the_deadline(piece):
    """Bytes that have not arrived when the process wakes are too late."""

    def handler(connection, process):
        answered_while_stopped(connection, process, b"", piece)

    result = result_of(handler, "stopped", str(DEADLINE), "refresh")
    assert "ReadTimeout" in result["detail"]
    assert "unknown" in result["detail"]


def test_process_stopped_before_it_connects_sends_nothing():
    """The lock may belong to another process when it wakes."""
    arrived = []
    with (
        Peer(lambda connection: arrived.append(read_request(connection))) as peer,
        child(peer.url, "stopped_before", str(DEADLINE)) as process,
    ):
        await_stop(process)
        wake_after_the_deadline(process)
        result = read_line(process)
    assert "not_sent" in result["detail"]
    assert not any(arrived)
