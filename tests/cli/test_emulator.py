"""``hellojohn emulator``: the settings it prints work, and a signal ends it."""

import errno
import io
import os
import re
import shlex
import signal
import socket
import subprocess
import sys

import httpx
import pytest
from rich.console import Console

from hellojohn import ConfigurationError, HelloJohn, MfaRequired
from hellojohn.cli._serve import request_log, serve
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator, RequestLine

_IN_A_SHELL = f"""
from hellojohn import HelloJohn
print(HelloJohn().auth.sign_in({DEMO_EMAIL!r}, {DEMO_PASSWORD!r}).user.email)
"""


class _Telling(io.StringIO):
    """A console's file that makes the process stop when everything is printed."""

    def __init__(self, number):
        super().__init__()
        self._number = number
        self.writes = []

    def write(self, text):
        self.writes.append(text)
        written = super().write(text)
        if "Ctrl-C" in text:
            signal.raise_signal(self._number)
        return written


@pytest.fixture
def printed(start):
    """The emulator as a child process, and its output up to the moment when it serves."""

    def call(*options):
        process = start("emulator", "--port", "0", *options)
        lines = iter(process.stdout.readline, "")
        text = "".join(line for line in _until("Ctrl-C", lines))
        return process, text

    return call


def _until(word, lines):
    for line in lines:
        yield line
        if word in line:
            return


def _code(text):
    return re.search(r"^from hellojohn import .*?\n\n", text, re.DOTALL | re.MULTILINE)[0]


def _url(text):
    return re.search(r"http://\S+", text)[0]


def _refuses_connections(url):
    address = httpx.URL(url)
    with socket.socket() as probe:
        return probe.connect_ex((address.host, address.port)) != 0


def test_the_python_lines_work_as_printed(printed):
    """Five lines, pasted into a fresh interpreter, sign in and call the API."""
    _, text = printed()
    code = _code(text)
    assert len(code.strip().splitlines()) == 5
    shell = [sys.executable, "-i", "-q"]
    run = subprocess.run(shell, input=code, capture_output=True, check=True, text=True)
    assert "Error" not in run.stderr
    assert '"session_id"' in run.stdout.replace("'", '"')


def test_the_variables_work_as_printed(printed):
    """Pasted into a shell, they are all the settings that a client needs."""
    _, text = printed()
    exports = "".join(line + "\n" for line in text.splitlines() if line.startswith("export "))
    assert exports.count("\n") == 5
    script = f'{exports}exec {shlex.quote(sys.executable)} -c "$CODE"'
    run = subprocess.run(
        ["sh", "-c", script],
        env=os.environ | {"CODE": _IN_A_SHELL},
        capture_output=True,
        check=True,
        text=True,
    )
    assert run.stdout == f"{DEMO_EMAIL}\n"


def test_it_prints_plain_text_into_a_pipe(printed):
    """Output that is piped, logged or pasted holds no control codes, and a sentence fits 80 columns."""
    _, text = printed()
    assert "\x1b" not in text
    assert DEMO_PASSWORD in text.splitlines()
    assert max(len(line) for line in text.splitlines()) <= 80


@pytest.mark.skipif(os.name != "posix", reason="only on POSIX can a process be sent these signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_when_told_to(printed, number):
    """Ctrl-C, or a supervisor: a clean end, no traceback, and the port is free."""
    process, text = printed()
    process.send_signal(number)
    rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest.strip(), errors) == (0, "Stopped.", "")
    assert _refuses_connections(_url(text))


def test_the_settings_are_the_tenants(printed):
    """The four options are the four settings of admin/config."""
    options = "--session-duration 14d --access-token-ttl 15m --idle-timeout 7d --max-sessions-per-user 5"
    _, text = printed(*options.split())
    exported = dict(re.findall(r"^export HELLOJOHN_(\w+)=(\S+)$", text, re.MULTILINE))
    headers = {"Authorization": f"Bearer {exported['SECRET_KEY']}", "X-Tenant-ID": exported["TENANT_ID"]}
    answer = httpx.get(f"{_url(text)}/v1/admin/config", headers=headers, trust_env=False)
    assert answer.json() == {
        "session_duration": "14d",
        "access_token_ttl": "15m",
        "idle_timeout": "7d",
        "max_sessions_per_user": 5,
    }


def test_a_port_that_is_taken(start):
    """The message names the port and the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        out, errors = start("emulator", "--port", str(port)).communicate(timeout=30)
    assert out == ""
    assert re.fullmatch(
        rf"hellojohn: The emulator cannot listen on 127.0.0.1:{port}: .* Pick another address or port.\n",
        errors,
    )


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--api", "v3"], 2, "--api"),
        (["--port", "65536"], 2, "--port"),
        (["--host", "nowhere.invalid", "--port", "0"], 1, "nowhere.invalid"),
        (["--session-duration", "soon"], 1, "session_duration is not a duration"),
        (["--access-token-ttl", ""], 1, "access_token_ttl is not a duration"),
        (["--idle-timeout", "7"], 1, "idle_timeout is not a duration"),
        (["--max-sessions-per-user", "0"], 1, "max_sessions_per_user is a whole number"),
    ],
)
def test_an_option_that_will_not_do(run, options, code, words):
    """It is named, and no traceback is shown."""
    result = run("emulator", *options)
    assert result.exit_code == code
    assert words in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_given_back(number):
    """A program that runs the command in its own process keeps its signal handlers."""
    before = signal.getsignal(number)
    emulator = Emulator()
    serve(emulator, host="127.0.0.1", console=Console(file=_Telling(number)))
    assert signal.getsignal(number) is before
    assert _refuses_connections(emulator.url)


def test_signals_are_given_back_when_it_cannot_start():
    """The same goes for a port that is taken."""
    before = signal.getsignal(signal.SIGINT)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError):
        serve(Emulator(port=taken.getsockname()[1]), host="127.0.0.1", console=Console(file=io.StringIO()))
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)])
def test_it_warns_when_others_can_reach_it(host, warned):
    """Its keys are public, so an open address deserves a warning."""
    file = _Telling(signal.SIGINT)
    serve(Emulator(host=host), host=host, console=Console(file=file, width=200))
    assert ("keys that everybody knows" in file.getvalue()) is warned


def test_users_can_be_added(printed):
    """A user from the command line signs in, with a second factor if there is a code."""
    _, text = printed("--user", "ada@example.com:a pass phrase", "--user", "grace@example.com:another:123456")
    settings = {"api_url": _url(text), "tenant_id": "tnt_local", "publishable_key": "pk_test_local"}
    with HelloJohn(**settings) as hj:
        assert hj.auth.sign_in("ada@example.com", "a pass phrase").user.email == "ada@example.com"
        with pytest.raises(MfaRequired) as caught:
            hj.auth.sign_in("grace@example.com", "another")
        assert hj.auth.verify_mfa(caught.value.challenge, "123456").user.email == "grace@example.com"


def test_a_malformed_user_is_refused(run):
    """A user without a password is an error that shows the form."""
    result = run("emulator", "--user", "ada@example.com")
    assert result.exit_code == 1
    assert "email:password" in result.output


def test_requests_are_logged(printed):
    """The terminal shows the method, path and status of each request, and no secret."""
    process, text = printed()
    with HelloJohn(api_url=_url(text), tenant_id="tnt_local", publishable_key="pk_test_local") as hj:
        hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        token = hj.auth.access_token()
    line = next(line for line in iter(process.stdout.readline, "") if "sign-in" in line)
    assert re.fullmatch(r"POST /v1/auth/sign-in  200  \d+ ms\n", line)
    assert token not in line


@pytest.mark.skipif(os.name != "posix", reason="only on POSIX is a pipe without a reader a broken one")
def test_answers_do_not_need_a_reader_of_the_log(printed):
    """When the reader of the output has ended, as after ``| head -1``, requests are answered as before."""
    process, text = printed()
    process.stdout.close()
    answers = [httpx.get(f"{_url(text)}/resource", trust_env=False).status_code for _ in range(3)]
    process.send_signal(signal.SIGINT)
    assert (answers, process.wait(30), process.stderr.read()) == ([401, 401, 401], 0, "")


def test_the_introduction_is_one_write():
    """A reader that ends after the first line, such as ``head -1``, does not end the service."""
    file = _Telling(signal.SIGINT)
    serve(Emulator(), host="127.0.0.1", console=Console(file=file))
    assert "API is at http://" in file.writes[0]
    assert "Ctrl-C" in file.writes[0]


class _Full(io.StringIO):
    """A console's file on a disk that is full."""

    def flush(self):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_line_that_cannot_be_printed_is_left_out():
    """The log of a disk that is full misses lines, and the service goes on."""
    request_log(Console(file=_Full()))(RequestLine("GET", "/resource", 200, 1.0))


def test_a_path_in_the_log_moves_no_cursor():
    """A web page can make a browser ask for any address, and its characters would act on the terminal."""
    file = io.StringIO()
    request_log(Console(file=file))(RequestLine("GET", "/\x1b[2J", 404, 1.0))
    assert file.getvalue() == "GET /\\x1b[2J  404  1 ms\n"
