"""A real HTTP server on the loopback interface: it keeps what reached it, and answers by a test's script."""

import gzip
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Seen:
    """One request as it came off the wire. ``body`` is ``None`` when it broke off."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def token(self) -> str | None:
        """What the ``Authorization`` header carried."""
        return self.headers.get("authorization")

    @property
    def digest(self) -> str:
        """A fingerprint of the body, and of the headers that describe it."""
        described = [
            self.headers.get(name, "") for name in ("content-type", "content-length", "transfer-encoding")
        ]
        return hashlib.sha256(repr((self.body, described)).encode()).hexdigest()


@dataclass(frozen=True)
class Say:
    """One answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)


EARLY = "x-early"
"""A request with this header is answered before its body is read, and the connection is closed."""

Script = Callable[[Seen], Say]

UNAUTHORIZED = Say(401, b'{"error": {"code": "invalid_token"}}', {"WWW-Authenticate": "Bearer"})


def to(location: str, status: int = 307) -> Say:
    """Answer with a redirect."""
    return Say(status, b"moved", {"Location": location})


def zipped(say: Say) -> Say:
    """Compress an answer."""
    return Say(say.status, gzip.compress(say.body), {**say.headers, "Content-Encoding": "gzip"})


class Backend:
    """Answers by ``script``.

    Attributes:
        script: What to answer; a test may replace it at any time.
        seen: Every request, in the order in which they were complete.
        connections: How many connections were opened.
        released: A script that stalls waits for it; set when the server stops.
    """

    def __init__(self, script: Script | None = None) -> None:
        """Listen on a free port."""
        self.script: Script = script or (lambda seen: Say())
        self.seen: list[Seen] = []
        self.connections = 0
        self.released = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def port(self) -> int:
        """The port."""
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        """The origin."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def tokens(self) -> list[str | None]:
        """What each request carried in its ``Authorization`` header."""
        return [seen.token for seen in self.seen]

    def __enter__(self) -> Self:
        """Serve."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    """Hands requests to its backend."""

    daemon_threads = True

    def __init__(self, backend: "Backend") -> None:
        self.backend = backend
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.backend.connections += 1

    def log_message(self, *args: Any) -> None:
        """Log nothing."""

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def __getattr__(self, name: str) -> Any:
        """Answer any method."""
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        backend = self.server.backend
        seen = Seen(self.command, self.path, headers, None)
        early = EARLY in headers
        if not early:
            seen = replace(seen, body=self._body(headers))
        say = backend.script(seen)
        backend.seen.append(seen)
        self.close_connection = self.close_connection or early or seen.body is None
        self._reply(say)

    def _body(self, headers: Mapping[str, str]) -> bytes | None:
        if headers.get("transfer-encoding") == "chunked":
            with suppress(ValueError, EOFError):
                return b"".join(self._chunks())
            return None
        length = int(headers.get("content-length", "0"))
        body = self.rfile.read(length)
        return body if len(body) == length else None

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._line(), 16):
            yield self.rfile.read(size)
            self._line()
        self._line()

    def _line(self) -> bytes:
        line = self.rfile.readline(1_000)
        if not line:
            raise EOFError
        return line

    def _reply(self, say: Say) -> None:
        self.send_response(say.status)
        for name, value in say.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(say.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(say.body)
        self.wfile.flush()
