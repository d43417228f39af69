"""Shared by the tests of the sender: an environment without proxies, and a certificate."""

import os
import socket
import threading
from datetime import UTC, datetime, timedelta

import pytest

from hellojohn._http._exchange import Exchange


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Remove the proxies and certificates that this machine sets."""
    names = [name for name in os.environ if name.lower().endswith("_proxy")]
    for name in [*names, "SSL_CERT_FILE", "SSL_CERT_DIR"]:
        monkeypatch.delenv(name, raising=False)


class Received:
    """Counts the bytes that the sender has taken from its sockets."""

    def __init__(self) -> None:
        """Begin at none."""
        self._bytes = 0
        self._changed = threading.Condition()

    def note(self, data: bytes) -> None:
        """Count more."""
        with self._changed:
            self._bytes += len(data)
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Wait until the sender has ``count`` bytes: Linux may drop unread bytes when a reset arrives."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._bytes >= count, 10)


@pytest.fixture
def received(monkeypatch):
    """Return the count of bytes that the sender has received."""
    counted, note = Received(), Exchange.note_received

    def note_and_count(exchange, data):
        note(exchange, data)
        counted.note(data)

    monkeypatch.setattr(Exchange, "note_received", note_and_count)
    return counted


@pytest.fixture
def resolve(monkeypatch):
    """Return a function that gives the host ``api.test`` its addresses."""
    real = socket.getaddrinfo

    def give(*addresses: str) -> None:
        def found(host, port, *args, **kwargs):
            if host != "api.test":
                return real(host, port, *args, **kwargs)
            return [entry for address in addresses for entry in real(address, port, type=socket.SOCK_STREAM)]

        monkeypatch.setattr(socket, "getaddrinfo", found)

    yield give
    monkeypatch.undo()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Return a file with a certificate for localhost and its key."""
    from cryptography import x509  # noqa: PLC0415 - the need of one fixture
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        made.public_bytes(encoding) + key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    )
    return path
