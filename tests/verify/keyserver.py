"""A key server on the loopback interface that can be slow, hang, fail or serve odd keys; and signers."""

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

JWKS = "/.well-known/jwks.json"


class Signer:
    """A private key that signs tokens."""

    def __init__(self, kid: str, algorithm: str = "EdDSA") -> None:
        self.kid = kid
        self.algorithm = algorithm
        self.key: Any = (
            Ed25519PrivateKey.generate() if algorithm == "EdDSA" else generate_private_key(65_537, 2_048)
        )

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key."""
        kind: Any = OKPAlgorithm if self.algorithm == "EdDSA" else RSAAlgorithm
        return {
            **json.loads(kind.to_jwk(self.key.public_key())),
            "kid": self.kid,
            "alg": self.algorithm,
            "use": "sig",
        }

    def sign(self, claims: Mapping[str, Any], *, headers: Mapping[str, Any] | None = None) -> str:
        """Return a token."""
        return jwt.encode(
            dict(claims), self.key, algorithm=self.algorithm, headers={"kid": self.kid, **(headers or {})}
        )


class KeyServer:
    """Serves documents by path.

    Attributes:
        documents: The body for each path.
        headers: Additional headers of every answer.
        status: The status of every answer.
        failing: Another status for some paths.
        gate: While it is clear, requests hang.
        fetches: The paths that were asked for.
    """

    def __init__(self, *keys: Mapping[str, Any]) -> None:
        self.documents: dict[str, bytes] = {}
        self.headers: dict[str, str] = {}
        self.status = 200
        self.failing: dict[str, int] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.fetches: list[str] = []
        self._arrived = threading.Condition()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.publish(*keys)

    @property
    def url(self) -> str:
        """The server's origin."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def publish(self, *keys: Mapping[str, Any], path: str = JWKS) -> None:
        """Serve these keys from now on."""
        self.documents[path] = json.dumps({"keys": keys}).encode()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        with self._arrived:
            self.fetches.append(request.path)
            self._arrived.notify_all()
        assert self.gate.wait(20)
        body = self.documents.get(request.path)
        status = self.failing.get(request.path, 404 if body is None else self.status)
        request.send_response_only(status)
        for name, value in {**self.headers, "Content-Length": str(len(body or b""))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body or b"")

    def wait_for_fetches(self, count: int) -> None:
        """Wait until so many fetches have arrived."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.fetches) >= count, 10)

    def __enter__(self) -> Self:
        """Serve."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
