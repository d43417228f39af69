"""Faults of the environment: found before anything is sent, with the name of the variable in the message."""

import sys

import certifi
import pytest

from hellojohn._errors import ConfigurationError
from hellojohn._http import Sender
from hellojohn._wire import ApiResponse
from tests.http.senders import MARK, POST, sending
from tests.loopback import Peer, answer

HTTPS = "https://api.test"


def assert_fault(*words: str, url: str = HTTPS, **settings) -> None:
    """Assert that preparing and sending fail alike, with these words, and show no secret."""
    sender = Sender(url, **settings)
    for call in (sender.prepare, lambda: sender.send(POST)):
        with pytest.raises(ConfigurationError) as caught:
            call()
        assert all(word in str(caught.value) for word in words), caught.value
        assert MARK not in str(caught.value)
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize("entry", ["fd00::/8", "::/0", "2001:db8::/32", "::1/128"])
@pytest.mark.parametrize("around", ["{}", "localhost,{}", " {} ,127.0.0.1", "{},fe80::/10"])
def test_ipv6_range_names_no_proxy(monkeypatch, variable, entry, around):
    """Kubernetes and others write such ranges, and httpx does not read them."""
    monkeypatch.setenv(variable, around.format(entry))
    assert_fault(variable, f"'{entry}'", "range of IPv6 addresses")


@pytest.mark.parametrize("entry", ["host:port", "[::1]", "[fd00::/8]", "http://host:x", "a\x7fb"])
def test_entry_that_is_not_a_host_names_no_proxy(monkeypatch, entry):
    """The entry is quoted, because a list may be long."""
    monkeypatch.setenv("NO_PROXY", f"localhost,{entry}")
    assert_fault("NO_PROXY holds", "cannot read")


@pytest.mark.parametrize(
    "no_proxy",
    ["", "*", "::1", "10.0.0.0/8", ".example.com", "host:80", "http://host", "fd00::/8,*"],
)
def test_usual_entries_of_no_proxy_are_accepted(monkeypatch, no_proxy):
    """What httpx reads is not the sender's to refuse."""
    monkeypatch.setenv("NO_PROXY", no_proxy)
    Sender(HTTPS).prepare()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "all_proxy"])
@pytest.mark.parametrize(
    "address", ["gopher://user:{}@127.0.0.1", "http://user:{}@host:port", "http://user:{}@[::1", "{}:port:1"]
)
def test_unusable_proxy_names_its_variable(monkeypatch, variable, address):
    """It may be one that this request does not need: httpx reads them all."""
    monkeypatch.setenv(variable, address.format(MARK))
    assert_fault(variable, "must be the address of a proxy")


@pytest.mark.parametrize("variable", ["ALL_PROXY", "https_proxy"])
def test_socks_proxy_without_its_package_names_both(monkeypatch, variable):
    """The fix is a line to paste."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv(variable, f"socks5://user:{MARK}@127.0.0.1:1")
    assert_fault(variable, "SOCKS", 'pip install "httpx[socks]"')


def test_socks_proxy_as_an_argument_names_its_package(monkeypatch):
    """The same, where the setting is an argument."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    assert_fault("proxy", 'pip install "httpx[socks]"', proxy=f"socks5://user:{MARK}@127.0.0.1:1")


# Certificates


@pytest.fixture
def files(tmp_path):
    """Return paths to files without certificates."""
    (tmp_path / "empty.pem").touch()
    (tmp_path / "text.pem").write_text("not a certificate")
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n")
    return {name: str(tmp_path / name) for name in ("missing.pem", "empty.pem", "text.pem", "broken.pem")} | {
        "a folder": str(tmp_path)
    }


@pytest.mark.parametrize("name", ["missing.pem", "empty.pem", "text.pem", "broken.pem", "a folder"])
def test_file_without_certificates_names_its_variable(monkeypatch, files, name):
    """``SSL_CERT_FILE`` leads nowhere, or to something else."""
    monkeypatch.setenv("SSL_CERT_FILE", files[name])
    assert_fault("SSL_CERT_FILE", files[name], "no trusted certificates")


@pytest.mark.parametrize("name", ["empty.pem", "text.pem", "broken.pem"])
def test_file_without_certificates_names_the_argument(files, name):
    """A missing one is refused when the sender is made."""
    assert_fault("verify", files[name], "no trusted certificates", verify=files[name])


@pytest.mark.parametrize("name", ["missing.pem", "text.pem"])
def test_folder_of_certificates_that_is_none_is_named(monkeypatch, files, name):
    """OpenSSL would find out in the middle of the handshake."""
    monkeypatch.setenv("SSL_CERT_DIR", files[name])
    assert_fault("SSL_CERT_DIR", files[name], "no trusted certificates")


def test_list_of_folders_is_accepted(monkeypatch, files):
    """One of them is enough."""
    monkeypatch.setenv("SSL_CERT_DIR", f"{files['missing.pem']}:{files['a folder']}")
    Sender(HTTPS).prepare()


def test_missing_file_of_certifi_is_named(monkeypatch, files):
    """A frozen program may have left it out."""
    monkeypatch.setattr(certifi, "where", lambda: files["missing.pem"])
    assert_fault("certifi", files["missing.pem"], "SSL_CERT_FILE")


def test_file_for_keys_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    """The certificates are in order, and Python loads them together with that file."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "nowhere" / "keys"))
    assert_fault("SSLKEYLOGFILE", str(tmp_path / "nowhere"), "cannot be written")


def test_certificates_are_not_needed_without_tls(monkeypatch, files):
    """A wrong variable does not keep a developer from the emulator."""
    monkeypatch.setenv("SSL_CERT_FILE", files["missing.pem"])
    with Peer(answer()) as peer, sending(peer, verify=True) as sender:
        assert isinstance(sender.send(POST), ApiResponse)


def test_own_certificates_make_the_environment_unimportant(monkeypatch, files):
    """``verify`` given as a context or as False is taken as it is."""
    monkeypatch.setenv("SSL_CERT_FILE", files["missing.pem"])
    Sender(HTTPS, verify=False).prepare()


def test_fault_that_is_mended_is_forgotten(monkeypatch, files):
    """A long-running program need not be restarted."""
    sender = Sender(HTTPS)
    monkeypatch.setenv("SSL_CERT_FILE", files["missing.pem"])
    with pytest.raises(ConfigurationError):
        sender.prepare()
    monkeypatch.delenv("SSL_CERT_FILE")
    sender.prepare()
