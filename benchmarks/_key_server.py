"""A key server that can be slow, fail or hang, a clock to move, and tokens: all for one contender's process.

``travel`` replaces the clocks before a contender's library is imported, so that the library uses the new
ones.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.algorithms import RSAAlgorithm

AUDIENCE = "tnt_bench"
_DAYS = 10 * 86_400
_passed = [0.0]


def travel() -> None:
    """Let ``advance`` move the clocks of this process."""
    wall, monotonic = time.time, time.monotonic
    time.time = lambda: wall() + _passed[0]
    time.monotonic = lambda: monotonic() + _passed[0]


def advance(seconds: float) -> None:
    """Let time pass."""
    _passed[0] += seconds


class Signer:
    """An RSA key of the service: every contender verifies RS256."""

    def __init__(self, kid: str) -> None:
        """Make a key."""
        self.kid = kid
        self.key = generate_private_key(65_537, 2_048)

    def jwk(self) -> dict[str, Any]:
        """Return the public key."""
        public = json.loads(RSAAlgorithm.to_jwk(self.key.public_key()))
        return {**public, "kid": self.kid, "alg": "RS256", "use": "sig"}

    def sign(self, issuer: str, *, kid: str | None = None) -> str:
        """Return a token that lives for days."""
        now = int(time.time() - _passed[0])
        claims = {
            "sub": "usr_1",
            "iss": issuer,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + _DAYS,
            "sid": "ses_1",
        }
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": kid or self.kid})


class KeyServer:
    """Serves one key set under every path.

    Attributes:
        keys: The keys that are published.
        takes: Seconds for an answer.
        status: The status of an answer.
        fetches: How many requests have come.
    """

    def __init__(self, *keys: dict[str, Any]) -> None:
        """Listen on a free port."""
        self.keys: list[dict[str, Any]] = list(keys)
        self.takes = 0.0
        self.status = 200
        self.fetches = 0
        self.end = threading.Event()
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        with self._lock:
            self.fetches += 1
        self.end.wait(self.takes)
        body = json.dumps({"keys": self.keys}).encode()
        try:
            request.send_response(self.status)
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)
        except OSError:
            return  # the contender has given up


@contextmanager
def key_server(*keys: dict[str, Any]) -> Iterator[KeyServer]:
    """Run a key server."""
    running = KeyServer(*keys)
    thread = threading.Thread(target=running.server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield running
    finally:
        running.end.set()
        running.server.shutdown()
        running.server.server_close()
