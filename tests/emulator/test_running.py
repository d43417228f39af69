"""Starting, stopping and moving the clock: the emulator as its users hold it."""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest

from hellojohn._errors import ConfigurationError
from hellojohn.emulator import DEMO_EMAIL, Emulator
from hellojohn.emulator.server import BackgroundServer

START = 1_700_000_000.0


def test_an_outage_refuses_connections_and_loses_no_state(caller, emulator):
    """Stopped, the port refuses; started again, it is the same port and every session is there."""
    token = caller.sign_in()["refresh_token"]
    url = emulator.url
    emulator.stop()
    with pytest.raises(httpx.ConnectError):
        caller.refresh(token)
    emulator.start()
    assert emulator.url == url
    assert caller.refresh(token).status_code == 200


def test_a_restart_cuts_connections_and_keeps_state(caller, emulator):
    """A kept-alive connection ends; the next request finds the same service."""
    token = caller.sign_in()["refresh_token"]
    emulator.restart()
    assert caller.refresh(token).status_code == 200
    assert emulator.rotations == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_stopping_cuts_a_request_that_is_held(caller, emulator, caplog, when):
    """Stopping waits for nobody, logs no error, and what was not carried out stays undone."""
    token = caller.sign_in()["refresh_token"]
    with ThreadPoolExecutor(1) as pool, emulator.hold("token/refresh", when=when) as hold:
        answer = pool.submit(caller.refresh, token)
        hold.wait_arrived()
        began = time.monotonic()
        emulator.stop()
        assert time.monotonic() - began < 2
        with pytest.raises(httpx.RemoteProtocolError):
            answer.result(10)
    assert emulator.rotations == (when == "after")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_stopping_cuts_a_slow_answer_and_an_unfinished_request(caller, emulator):
    """Neither a delay nor a client that does not finish its request holds the stop up."""
    emulator.fail("auth/me", delay=60)
    host, port = emulator.url.removeprefix("http://").split(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as unfinished,
        ThreadPoolExecutor(1) as pool,
    ):
        unfinished.sendall(b"POST /resource HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        with emulator.hold("auth/me") as hold:
            slow = pool.submit(caller.call, "GET", "/v1/auth/me")
            hold.wait_arrived()
        began = time.monotonic()
        emulator.stop()
        assert time.monotonic() - began < 2
        with pytest.raises(httpx.RemoteProtocolError):
            slow.result(10)
        assert unfinished.recv(1) == b""


def test_starting_and_stopping_is_quick():
    """A test suite starts hundreds: the median of ten takes under 100 ms, and no thread stays."""
    threads = threading.active_count()
    times = []
    for _ in range(10):
        began = time.perf_counter()
        with Emulator():
            pass
        times.append(time.perf_counter() - began)
    assert sorted(times)[5] < 0.1
    assert threading.active_count() == threads


def test_a_connection_right_after_start_is_served():
    """A start returns when requests are answered, not a moment earlier."""
    for _ in range(10):
        with Emulator() as emulator:
            assert httpx.get(f"{emulator.url}/.well-known/jwks.json", trust_env=False).status_code == 200


def test_stopping_twice_and_starting_twice():
    """A second stop does nothing; a second start is a mistake that is named."""
    emulator = Emulator()
    emulator.stop()
    emulator.start()
    with pytest.raises(ConfigurationError, match="stop it first"):
        emulator.start()
    emulator.stop()
    emulator.stop()


def test_a_port_in_use_is_named():
    """Two emulators cannot share a port; the error says which, and both can be used afterwards."""
    with Emulator() as first:
        port = int(first.url.rsplit(":", 1)[1])
        second = Emulator(port=port)
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}"):
            second.start()
    with second:
        assert second.url == first.url


def test_a_server_that_cannot_start_says_why(emulator):
    """An error on the server's thread comes out of start, and nothing stays open."""
    server = BackgroundServer(emulator._app, host="127.0.0.1", port=0)
    server._listener.close()
    with pytest.raises((OSError, ValueError)):
        server.start()


def test_a_server_that_broke_down_says_so_when_it_is_stopped(emulator):
    """An error on the server's thread is never lost."""
    server = BackgroundServer(emulator._app, host="127.0.0.1", port=0)
    server._server.shutdown = lambda sockets: 1 / 0
    server.start()
    with pytest.raises(ZeroDivisionError):
        server.stop()
    server._listener.close()


def test_before_the_start_there_is_no_address():
    """The port is chosen at the start, unless it was given."""
    with pytest.raises(ConfigurationError, match="start it"):
        _ = Emulator().url
    assert Emulator(port=3000).url == "http://127.0.0.1:3000"
    assert "no address" in repr(Emulator())


def test_it_listens_on_loopback_unless_told_otherwise():
    """Another address is asked for by name; where all are listened on, the URL names loopback."""
    with Emulator() as emulator:
        assert emulator.url.startswith("http://127.0.0.1:")
    with Emulator(host="0.0.0.0") as emulator:
        assert emulator.url.startswith("http://127.0.0.1:")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_ipv6_address_is_bracketed():
    """A URL needs brackets around it."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with Emulator(host="::1") as emulator:
        assert emulator.url.startswith("http://[::1]:")
        assert httpx.get(f"{emulator.url}/.well-known/jwks.json", trust_env=False).status_code == 200


def test_no_key_is_shown(emulator):
    """The representation says where it is, and nothing else."""
    assert repr(emulator) == f"<Emulator at {emulator.url}>"


def test_the_clock_is_real_time_until_it_is_moved():
    """By default the emulator lives in the present; moving it forward adds up, back takes a timedelta."""
    emulator = Emulator()
    assert abs(emulator.clock() - time.time()) < 5
    still = Emulator(clock=lambda: START)
    still.advance("1d")
    still.advance(timedelta(seconds=1.5))
    assert still.clock() == START + 86_401.5
    still.advance(timedelta(days=-2))
    assert still.clock() == START - 86_398.5


@pytest.mark.parametrize("by", ["-1d", "tomorrow", 5, None])
def test_a_malformed_move_is_refused(by):
    """Only text such as 31d or a timedelta moves the clock."""
    emulator = Emulator(clock=lambda: START)
    with pytest.raises(ConfigurationError, match="advance"):
        emulator.advance(by)
    assert emulator.clock() == START


def test_mistakes_in_a_test_are_named(emulator):
    """Taken or odd addresses, unknown users and sessions, wrong settings and shapes are refused at once."""
    for use in (
        lambda: emulator.add_user(DEMO_EMAIL, "x"),
        lambda: emulator.add_user("ada", "x"),
        lambda: emulator.lock_user("nobody@example.com"),
        lambda: emulator.revoke("ses_unknown"),
        lambda: emulator.configure(idle_timeout="soon"),
        lambda: emulator.configure(remember_me="30d"),
        lambda: Emulator(answers="round"),
        lambda: Emulator(reuse_grace="soon"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert str(caught.value).endswith(".")


def test_a_duration_may_be_a_timedelta(caller, emulator):
    """Settings take what the clock takes, and are shown as the API writes them."""
    emulator.configure(session_duration=timedelta(days=14), idle_timeout=timedelta(minutes=90))
    shown = caller.secret("GET", "/v1/admin/config").json()
    assert (shown["session_duration"], shown["idle_timeout"]) == ("14d", "90m")


def test_the_logging_of_the_process_is_left_alone():
    """An app that runs uvicorn itself keeps its access log."""
    logger = logging.getLogger("uvicorn.access")
    before = (logger.level, logger.propagate, list(logger.handlers))
    with Emulator():
        pass
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_can_use_it_and_cannot_break_it(caller, emulator):
    """A child's stop leaves the parent's emulator running, and a child alive does not keep its port open."""
    session = caller.sign_in()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover  # the parent measures
        emulator.stop()
        os.read(read, 1)
        os._exit(0)
    assert caller.refresh(session["refresh_token"]).status_code == 200
    emulator.stop()
    with pytest.raises(httpx.ConnectError):
        caller.call("GET", "/v1/auth/me")
    emulator.start()
    assert caller.call("GET", "/v1/auth/me").status_code == 401
    os.write(write, b"x")
    assert os.waitpid(child, 0)[1] == 0
    os.close(read)
    os.close(write)


IMPORT_WITHOUT = """
import sys
sys.modules["{missing}"] = None
try:
    import hellojohn.emulator
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "jwt", "cryptography"])
def test_without_the_extra_the_import_says_what_to_install(missing):
    """Whichever part of the extra is missing, the message is the command."""
    code = IMPORT_WITHOUT.format(missing=missing)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'hellojohn[emulator]'" in done.stdout


def test_a_fault_of_our_own_is_not_blamed_on_the_extra():
    """A module of the package that does not import is shown as what it is."""
    code = IMPORT_WITHOUT.format(missing="hellojohn.emulator.v1.rules")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install" not in done.stdout
    assert "hellojohn.emulator.v1.rules" in done.stdout
