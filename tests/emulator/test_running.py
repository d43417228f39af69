"""Starting and stopping the emulator, moving its clock, and mistakes in using it."""

import errno
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
from hellojohn.emulator import DEMO_EMAIL, Emulator, server
from hellojohn.emulator.server import BackgroundServer, listen

START = 1_700_000_000.0


def exhausted():
    """Open no socket, as a process without descriptors."""
    raise OSError(errno.EMFILE, "Too many open files")


def test_an_outage_loses_no_state(caller, emulator):
    """A stopped emulator refuses connections. Started again, it has the same port and sessions."""
    token = caller.sign_in()["refresh_token"]
    url = emulator.url
    emulator.stop()
    with pytest.raises(httpx.ConnectError):
        caller.refresh(token)
    emulator.start()
    assert emulator.url == url
    assert caller.refresh(token).status_code == 200


def test_a_restart_cuts_connections_and_keeps_state(caller, emulator):
    """A restart ends a kept-alive connection, and the next request finds the same sessions."""
    token = caller.sign_in()["refresh_token"]
    emulator.restart()
    assert caller.refresh(token).status_code == 200
    assert emulator.rotations == 1


def test_a_free_port_is_not_one_that_was_used_before():
    """Clients of a process share the keys of a URL: a new emulator does not get the URL of an earlier one."""
    ports: set[int] = set()
    for _ in range(500):
        with listen("127.0.0.1", 0) as listener:
            ports.add(listener.getsockname()[1])
    assert len(ports) == 500


def test_a_used_port_is_taken_when_there_is_no_other(monkeypatch):
    """Where the system offers used ports only, or no second one, an emulator gets a port nevertheless."""
    monkeypatch.setattr(server, "_used_ports", set(range(65_536)))
    with listen("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1]
    offered = iter([socket.create_server(("127.0.0.1", 0))])
    monkeypatch.setattr(server, "_create", lambda host, port: next(offered, None) or exhausted())
    with listen("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1]


@pytest.mark.parametrize("when", ["before", "after"])
def test_stopping_cuts_a_held_request(caller, emulator, caplog, when):
    """Stopping does not wait for a held request, logs no error, and does not run its rules later."""
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


def test_stopping_cuts_slow_and_unfinished_requests(caller, emulator):
    """Stopping takes under two seconds despite a delayed answer and a half-sent request."""
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
    """The quickest of ten starts and stops takes under 100 ms, and every thread ends."""
    threads = threading.active_count()
    times = []
    for _ in range(10):
        began = time.perf_counter()
        with Emulator():
            pass
        times.append(time.perf_counter() - began)
    assert min(times) < 0.1
    assert threading.active_count() == threads


def test_a_connection_right_after_start_is_served():
    """``start`` returns once requests are answered, not earlier."""
    for _ in range(10):
        with Emulator() as emulator:
            assert httpx.get(f"{emulator.url}/.well-known/jwks.json", trust_env=False).status_code == 200


def test_stopping_twice_and_starting_twice():
    """A second stop does nothing, and a second start raises an error with the fix."""
    emulator = Emulator()
    emulator.stop()
    emulator.start()
    with pytest.raises(ConfigurationError, match="stop it first"):
        emulator.start()
    emulator.stop()
    emulator.stop()


def test_a_port_in_use_is_named():
    """A port in use is named in the error, and both emulators work afterwards."""
    with Emulator() as first:
        port = int(first.url.rsplit(":", 1)[1])
        second = Emulator(port=port)
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}"):
            second.start()
    with second:
        assert second.url == first.url


def test_a_server_that_cannot_start_says_why():
    """An error on the server's thread comes out of ``start``, and the port is free."""
    server = BackgroundServer("no.such.module:app", host="127.0.0.1", port=0)
    with pytest.raises(ModuleNotFoundError, match="no"):
        server.start()
    socket.create_server(("127.0.0.1", server.port)).close()


def test_there_is_no_address_before_the_start():
    """The start chooses the port, unless one was given."""
    with pytest.raises(ConfigurationError, match="start it"):
        _ = Emulator().url
    assert Emulator(port=3000).url == "http://127.0.0.1:3000"
    assert "no address" in repr(Emulator())


def test_it_listens_on_loopback_by_default():
    """Even an emulator that listens on every address gives a loopback URL."""
    with Emulator() as emulator:
        assert emulator.url.startswith("http://127.0.0.1:")
    with Emulator(host="0.0.0.0") as emulator:
        assert emulator.url.startswith("http://127.0.0.1:")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_ipv6_address_is_bracketed():
    """A URL puts an IPv6 address in brackets."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with Emulator(host="::1") as emulator:
        assert emulator.url.startswith("http://[::1]:")
        assert httpx.get(f"{emulator.url}/.well-known/jwks.json", trust_env=False).status_code == 200


def test_no_key_is_shown(emulator):
    """``repr`` shows the address and nothing else."""
    assert repr(emulator) == f"<Emulator at {emulator.url}>"


def test_the_clock_follows_one_that_a_tool_has_replaced(monkeypatch):
    """Tools such as freezegun replace ``time.time``, and the client and the emulator must stay in step."""
    emulator = Emulator()
    monkeypatch.setattr(time, "time", lambda: START)
    assert emulator.clock() == START


def test_the_clock_is_real_time_until_it_is_moved():
    """The clock starts at the present. Moves add up, and a negative ``timedelta`` moves it back."""
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
    """Anything but text such as 31d or a ``timedelta`` is refused, and the clock stays."""
    emulator = Emulator(clock=lambda: START)
    with pytest.raises(ConfigurationError, match="advance"):
        emulator.advance(by)
    assert emulator.clock() == START


def test_mistakes_are_named(emulator):
    """A taken or malformed address, an unknown user or session and a wrong setting raise at once."""
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
    """A setting can be a ``timedelta``, which the API shows as text."""
    emulator.configure(session_duration=timedelta(days=14), idle_timeout=timedelta(minutes=90))
    shown = caller.secret("GET", "/v1/admin/config").json()
    assert (shown["session_duration"], shown["idle_timeout"]) == ("14d", "90m")


def test_the_logging_of_the_process_is_left_alone():
    """The emulator does not touch the access log of an app that runs uvicorn itself."""
    logger = logging.getLogger("uvicorn.access")
    before = (logger.level, logger.propagate, list(logger.handlers))
    with Emulator():
        pass
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_cannot_break_it(caller, emulator):
    """A child's ``stop`` leaves the parent's emulator running, and a living child does not hold its port."""
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
def test_a_missing_extra_is_named_on_import(missing):
    """The error has the command that installs the missing part."""
    code = IMPORT_WITHOUT.format(missing=missing)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'hellojohn[emulator]'" in done.stdout


def test_a_broken_module_is_not_blamed_on_the_extra():
    """A module of the package that fails to import is named itself."""
    code = IMPORT_WITHOUT.format(missing="hellojohn.emulator.v1.rules")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install" not in done.stdout
    assert "hellojohn.emulator.v1.rules" in done.stdout
