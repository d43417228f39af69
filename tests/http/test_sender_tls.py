"""TLS: held to the deadline, and a certificate that does not verify."""

import ssl

from hellojohn._http import Sender
from hellojohn._wire import ApiResponse, Delivery
from tests.http.senders import LATE, POST, REFRESH, SOON, UNTRUSTING, assert_lost, over_tls, trickle
from tests.loopback import Peer, answer


def test_tls_is_held_to_the_deadline(certificate):
    """The limit goes with the connection through the handshake."""
    trusting = ssl.create_default_context(cafile=certificate)
    with Peer(over_tls(certificate, answer())) as peer:
        sender = Sender(f"https://localhost:{peer.port}/v1", verify=trusting)
        assert isinstance(sender.send(POST, deadline=LATE), ApiResponse)
        peer.handler = over_tls(certificate, lambda stream: trickle(stream, b"HTTP/1.1 ", b"2", peer.leave))
        sender.close()
        assert_lost(sender.send(REFRESH, deadline=SOON), Delivery.UNKNOWN, "ReadTimeout")
        peer.leave.set()
        sender.close()


def test_stalled_handshake_is_not_sent():
    """Nothing of the request is said before TLS stands."""
    with Peer(lambda connection: peer.leave.wait(LATE)) as peer:
        sender = Sender(f"https://127.0.0.1:{peer.port}", verify=UNTRUSTING)
        assert_lost(sender.send(POST, deadline=SOON), Delivery.NOT_SENT, "ConnectTimeout")
        peer.leave.set()


def test_untrusted_certificate_is_not_sent(certificate):
    """The reason is quoted, because the user can do something about it."""
    with Peer(over_tls(certificate, answer())) as peer:
        lost = Sender(f"https://localhost:{peer.port}").send(POST)
    assert_lost(lost, Delivery.NOT_SENT, "ConnectError", "CERTIFICATE_VERIFY_FAILED")


def test_plain_server_behind_https_is_not_sent():
    """A handshake with a server that speaks no TLS fails before the request."""
    with Peer(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as peer:
        lost = Sender(f"https://127.0.0.1:{peer.port}", verify=UNTRUSTING).send(POST)
    assert_lost(lost, Delivery.NOT_SENT, "ConnectError")


def test_file_of_certificates_is_trusted(certificate, monkeypatch):
    """As an argument and in the environment."""
    with Peer(over_tls(certificate, answer())) as peer:
        url = f"https://localhost:{peer.port}"
        for verify in (str(certificate), True):
            sender = Sender(url, verify=verify)
            assert isinstance(sender.send(POST), ApiResponse)
            sender.close()
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


def test_folder_of_certificates_is_read(certificate, tmp_path, monkeypatch):
    """An empty folder trusts no server, as an argument and in the environment."""
    with Peer(over_tls(certificate, answer())) as peer:
        url = f"https://localhost:{peer.port}"
        for setting in ({"verify": str(tmp_path)}, {}):
            sender = Sender(url, **setting)
            assert_lost(sender.send(POST), Delivery.NOT_SENT, "CERTIFICATE_VERIFY_FAILED")
            sender.close()
            monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
