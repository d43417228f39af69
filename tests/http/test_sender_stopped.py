"""A process that is stopped in the middle of a request: an answer that arrived in that time is read."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.http.senders import over_tls
from tests.loopback import Peer, http, read_request

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="only on systems that stop processes")

CHILD = Path(__file__).with_name("sending_child.py")
DEADLINE = 3.0
JSON = b'{"access_token": "a", "refresh_token": "' + b"r" * 50_000 + b'"}'


class Case(NamedTuple):
    """The bytes that the program has ``before`` it is stopped, and those that arrive ``after``."""

    before: bytes
    after: bytes
    request: str = "refresh"
    tls: bool = False
    signalled: bool = False


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


def wake_after_the_deadline(*processes) -> None:
    """Wake programs when the deadlines of their requests are over."""
    time.sleep(DEADLINE + 0.2)
    for process in processes:
        os.kill(process.pid, signal.SIGCONT)


@contextlib.contextmanager
def stopped(case: Case, certificate: Path):
    """Run the program until it is stopped in the middle of a request; yield it."""
    answered = threading.Event()
    running = []

    def answer(connection) -> None:
        read_request(connection)
        connection.sendall(case.before)
        stop(running[0])
        connection.sendall(case.after)
        if case.signalled:
            os.kill(running[0].pid, signal.SIGUSR1)
        answered.set()
        peer.leave.wait(30)

    with Peer(over_tls(certificate, answer) if case.tls else answer) as peer:
        url = f"https://127.0.0.1:{peer.port}" if case.tls else peer.url
        with child(url, "stopped", str(DEADLINE), case.request) as process:
            running.append(process)
            assert read_line(process) == {"prepared": True}
            assert answered.wait(30)
            yield process
            peer.leave.set()


def results_of(cases: dict[str, Case], certificate: Path) -> dict[str, dict]:
    """Stop a program in each case, wake all of them after the deadline, and return what they print."""
    with contextlib.ExitStack() as stack:
        processes = {name: stack.enter_context(stopped(case, certificate)) for name, case in cases.items()}
        wake_after_the_deadline(*processes.values())
        return {name: read_line(process) for name, process in processes.items()}


WHOLE = http(JSON)
HEAD = WHOLE.partition(b"{")[0]
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"".join(b"%x\r\n" % len(piece) + piece + b"\r\n" for piece in (JSON[:9], JSON[9:]))
ARRIVED = {
    "all of it": Case(b"", WHOLE),
    "the body": Case(HEAD, JSON),
    "half of the body": Case(HEAD + JSON[:50], JSON[50:]),
    "chunks": Case(CHUNKED, CHUNKS + b"0\r\n\r\n"),
    "chunks without an end": Case(CHUNKED, CHUNKS),
    "an answer without its end": Case(b"", WHOLE.replace(b"Content-Length: ", b"Content-Length: 9")),
    "an interim answer, too": Case(b"", b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE),
    "an answer to another request": Case(b"", WHOLE, request="other"),
    "many records of TLS": Case(b"", WHOLE, tls=True),
    # Python's own wait begins again after a signal, and sees the timeout before it looks at the socket.
    "all of it, and a signal": Case(b"", WHOLE, signalled=True),
    "records of TLS, and a signal": Case(b"", WHOLE, tls=True, signalled=True),
}


def test_answer_that_arrived_while_stopped_is_read(certificate):
    """The service has rotated the token, and its answer lies in the socket."""
    results = results_of(ARRIVED, certificate)
    bodies = {name: result.get("body", result.get("detail")) for name, result in results.items()}
    assert bodies == dict.fromkeys(ARRIVED, JSON.decode())


MISSING = {
    "nothing": Case(b"", b""),
    "the beginning of a head": Case(b"HTTP/1.1", b" 200 OK\r\n"),
    "a head": Case(b"", HEAD),
    "half of the body": Case(b"", HEAD + JSON[:100]),
    "a signal": Case(b"", b"", signalled=True),
}


def test_nothing_is_waited_for_after_the_deadline(certificate):
    """Bytes that have not arrived when the process wakes are too late."""
    for name, result in results_of(MISSING, certificate).items():
        assert "ReadTimeout" in result["detail"], name
        assert "unknown" in result["detail"], name


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
