"""Ctrl-C while a sign-in waits for its browser."""

import signal
import socket
import subprocess
import sys

import pytest

from tests.ports import free_port

DEADLINE = 60.0
"""Seconds after which a program hangs. The sign-in itself would wait for five minutes."""


@pytest.mark.skipif(sys.platform == "win32", reason="only on POSIX: Windows has no SIGINT for a child")
@pytest.mark.parametrize("face", ["sync", "async"])
def test_ctrl_c_ends_the_wait(face: str) -> None:
    """The call raises KeyboardInterrupt, the program ends of it, and the port is free."""
    port = free_port()
    command = [sys.executable, "-m", "tests.ways_in.waiting_program", face, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == "waiting\n"
            program.send_signal(signal.SIGINT)
            _, errors = program.communicate(timeout=DEADLINE)
        finally:
            program.kill()
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert program.returncode == -signal.SIGINT
    with socket.create_server(("127.0.0.1", port)):
        pass
