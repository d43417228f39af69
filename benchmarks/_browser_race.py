"""What one contender does with a browser that comes back, with strangers, and with Ctrl-C."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
from time import monotonic, sleep
from urllib.parse import parse_qs, urlencode, urlsplit

from benchmarks._browser_sign_ins import Contender
from hellojohn.emulator import Emulator

PATIENCE = 5.0
"""What a measurement waits for a contender that hangs."""

_IDLE = 20
_PERSON = 2.0  # the seconds in the browser; people take longer
_START = 60.0
_PORTS = 5  # the ports that a sign-in tries


class SignIn:
    """A sign-in that waits for its browser, in another process."""

    def __init__(self, contender: Contender, emulator: Emulator, service: str, *, times: int = 1) -> None:
        """Begin it, on a free port.

        Another process may take the port before the contender listens on it. It then begins again, on
        another port.

        Raises:
            RuntimeError: If it does not begin.
        """
        service = emulator.url if contender.package == "hellojohn" else service
        self._posts = contender.posts
        self._emulator = emulator
        for _ in range(_PORTS):
            self.port = _free_port()
            arguments = (contender.name, str(self.port), service, str(times))
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks._browser_sign_ins", *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=_environment(emulator),
            )
            self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
            threading.Thread(target=_read, args=(self.process, self._lines), daemon=True).start()
            self.url = self.next_line(_START)
            if self.url.startswith("http"):
                return
            self.end()
        raise RuntimeError(f"{contender.name} begins no sign-in: {self.url or 'it printed nothing'}")

    def end(self) -> None:
        """End its process."""
        self.process.kill()
        self.process.communicate()

    def next_line(self, patience: float = PATIENCE) -> str:
        """Return the next line of the process, or an empty text if none comes."""
        with suppress(queue.Empty):
            return self._lines.get(timeout=patience)
        return ""

    def ending(self) -> tuple[str, float]:
        """Return how it ended, and when."""
        line = self.next_line()
        if not line:
            return f"> {PATIENCE:.0f} s", monotonic()
        word, at = json.loads(line)
        return word, at

    def callback(self, *, state: str | None = None) -> bytes:
        """Return the request with which the browser comes back; ``state`` forges it."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}
        there = urlsplit(asked["redirect_uri"])
        fields = {"code": "bench", "state": asked["state"]}
        if self.url.startswith(self._emulator.url):
            back = parse_qs(urlsplit(self._emulator.authorize(self.url)).query)
            fields = {name: values[0] for name, values in back.items()}
        if state is not None:
            fields["state"] = state
        return self.request(there.path or "/", urlencode(fields), host=there.netloc)

    def request(self, path: str, fields: str = "", *, host: str = "") -> bytes:
        """Return a request of a browser."""
        end = f"Host: {host or f'127.0.0.1:{self.port}'}\r\nConnection: close\r\n"
        if fields and self._posts:
            form = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(fields)}\r\n"
            return f"POST {path} HTTP/1.1\r\n{end}{form}\r\n{fields}".encode()
        return f"GET {path}{'?' if fields else ''}{fields} HTTP/1.1\r\n{end}\r\n".encode()

    def connect(self) -> socket.socket:
        """Connect to its listener."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)


class Race:
    """The situations, one method each, with a new process for each."""

    def __init__(self, contender: Contender) -> None:
        """Race a contender."""
        self._contender = contender

    def rows(self, rounds: int = 5) -> Iterator[tuple[str, str]]:
        """Measure each row of the table."""
        yield "from the callback to the return of the call", self.returns(rounds)
        yield f"the same, behind {_IDLE} idle connections", self.idle()
        yield "a favicon, then the callback", self.after("/favicon.ico")
        yield "a forged state, then the callback", self.forged()
        yield "a second callback", self.second()
        yield "a second sign-in on the same port, at once", self.again()
        yield "Ctrl-C", self.interrupted()

    def returns(self, rounds: int) -> str:
        """Return how long the call takes once the browser is back."""
        times = [self._return_time() for _ in range(rounds)]
        return _shown(median(times))

    def idle(self) -> str:
        """Return the same, while other connections say nothing."""
        with self._begun() as begun, ExitStack() as stack:
            for _ in range(_IDLE):
                idle = stack.enter_context(socket.socket())
                idle.settimeout(0)  # some listeners accept no more than a few
                idle.connect_ex(("127.0.0.1", begun.port))
            callback = begun.callback()
            sleep(_PERSON)
            sent = monotonic()
            with suppress(OSError):
                stack.enter_context(begun.connect()).sendall(callback)
            ending, at = begun.ending()
            return _shown(at - sent) if ending == "signed in" else ending

    def after(self, path: str) -> str:
        """Return how the sign-in ends after a request that has nothing to do with it."""
        with self._begun() as begun:
            _ask(begun, begun.request(path))
            return self._end(begun)

    def forged(self) -> str:
        """Return how it ends after a callback that a stranger has made up."""
        with self._begun() as begun:
            _ask(begun, begun.callback(state="forged"))
            return self._end(begun)

    def second(self) -> str:
        """Return the answer to a second callback, on a connection that was open before the first."""
        with self._begun() as begun, begun.connect() as first, begun.connect() as second:
            callback = begun.callback()
            first.sendall(callback)
            _status(first)
            with suppress(OSError):
                second.sendall(callback)
            return _status(second)

    def again(self) -> str:
        """Return how a second sign-in in the same process ends."""
        with self._begun(times=2) as begun:
            self._end(begun)
            line = begun.next_line()
            if not line.startswith("http"):
                return str(json.loads(line)[0]) if line else f"> {PATIENCE:.0f} s"
            begun.url = line
            return self._end(begun)

    def interrupted(self) -> str:
        """Return how long Ctrl-C takes while the call waits for the browser."""
        with self._begun() as begun:
            sleep(_PERSON)
            sent = monotonic()
            begun.process.send_signal(signal.SIGINT)
            ending, at = begun.ending()
            return _shown(at - sent) if ending == "interrupted" else ending

    def _return_time(self) -> float:
        with self._begun() as begun, begun.connect() as connection:
            callback = begun.callback()
            sleep(_PERSON)
            sent = monotonic()
            connection.sendall(callback)
            return begun.ending()[1] - sent

    def _end(self, begun: SignIn) -> str:
        with suppress(OSError):
            _ask(begun, begun.callback())
        return begun.ending()[0]

    @contextmanager
    def _begun(self, *, times: int = 1) -> Iterator[SignIn]:
        with Emulator() as emulator, _token_service() as service:
            begun = SignIn(self._contender, emulator, service, times=times)
            try:
                yield begun
            finally:
                begun.end()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _read(process: subprocess.Popen[str], lines: "queue.SimpleQueue[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line.strip())


def _environment(emulator: Emulator) -> dict[str, str]:
    key, tenant = emulator.publishable_key, emulator.tenant_id
    return {**os.environ, "HELLOJOHN_PUBLISHABLE_KEY": key, "HELLOJOHN_TENANT_ID": tenant}


def _ask(begun: SignIn, request: bytes) -> str:
    with begun.connect() as connection:
        connection.sendall(request)
        return _status(connection)


def _status(connection: socket.socket) -> str:
    try:
        head = connection.recv(65_536)
    except TimeoutError:
        return "no answer"
    except OSError:
        head = b""
    return head.split()[1].decode() if head else "connection closed"


def _shown(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


@contextmanager
def _token_service() -> Iterator[str]:
    """Run a token endpoint that accepts every code."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"access_token": "bench", "token_type": "Bearer", "expires_in": 3_600}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
