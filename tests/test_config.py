"""Settings: which of argument, variable and default counts, and what is refused where the client is made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hellojohn._config import DEFAULT_API_URL, check_account, is_loopback, read_settings
from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret

MARKER = "marker-secret"


def _settings(**changes):
    return read_settings(**{"tenant_id": "tnt_1", "publishable_key": Secret("pk_1"), **changes})


@pytest.mark.parametrize(
    ("given", "base", "host"),
    [
        (None, f"{DEFAULT_API_URL}/v1", "api.hellojohn.dev"),
        ("https://API.Example.com", "https://api.example.com/v1", "api.example.com"),
        ("https://example.com:8443/auth/v1/", "https://example.com:8443/auth/v1", "example.com:8443/auth"),
        ("http://localhost:3000/v1", "http://localhost:3000/v1", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000/v1", "http://[::1]:3000"),
    ],
)
def test_an_address_is_brought_into_one_form(given, base, host):
    """However it is written, the same service has the same name in the store."""
    settings = _settings(api_url=given)
    assert (settings.api_url, settings.place) == (base, f"@tnt_1@{host}")


@pytest.mark.parametrize(
    ("host", "is_this_machine"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("app.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("notlocalhost", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
    ],
)
def test_cleartext_is_for_this_machine_only(host, is_this_machine):
    """A name that only looks local would carry tokens over the network in the clear."""
    assert is_loopback(host) is is_this_machine


@given(st.text(max_size=30))
def test_no_address_crashes_the_reader(text):
    """Junk is a ``ConfigurationError`` that names the argument and the variable."""
    try:
        outcome = _settings(api_url=text).api_url
    except ConfigurationError as error:
        outcome = str(error)
    good = outcome.startswith(("https://", "http://")) and outcome.endswith("/v1")
    assert good or ("api_url" in outcome and "HELLOJOHN_API_URL" in outcome)


@given(st.text(max_size=300))
def test_an_accounts_name_is_a_short_printable_text(name):
    """It becomes part of file names, Redis keys and log lines."""
    if 0 < len(name) <= 256 and name.isprintable():
        assert check_account(name) == name
    else:
        with pytest.raises(ConfigurationError, match="1 to 256 printable"):
            check_account(name)


@pytest.mark.parametrize("key", [f"{MARKER} x", f"{MARKER}\n", f"sk_{MARKER}", ""])
def test_no_message_shows_a_key(key):
    """A wrong key is named by its argument, not repeated into a log."""
    with pytest.raises(ConfigurationError, match="publishable_key") as caught:
        _settings(publishable_key=Secret(key))
    assert MARKER not in str(caught.value)


def test_one_key_is_enough(monkeypatch):
    """A back end that only manages sessions has no public key, an app no secret one."""
    monkeypatch.delenv("HELLOJOHN_PUBLISHABLE_KEY", raising=False)
    assert _settings(publishable_key=None, secret_key=Secret("sk_1")).publishable_key is None
    assert _settings().secret_key is None
