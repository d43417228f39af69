"""The reading of settings, value by value: addresses, hosts, account names and keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hellojohn._config import DEFAULT_API_URL, check_account, is_loopback, read_settings
from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret

MARKER = "marker-secret"


def settings(**changes):
    """Read settings that are complete but for the changes."""
    return read_settings(**{"tenant_id": "tnt_1", "publishable_key": Secret("pk_1"), **changes})


@pytest.mark.parametrize(
    ("given", "base", "host"),
    [
        (None, DEFAULT_API_URL, "api.hellojohn.dev"),
        ("https://API.Example.com", "https://api.example.com", "api.example.com"),
        ("https://example.com:8443/auth/v1/", "https://example.com:8443/auth", "example.com:8443/auth"),
        ("https://example.com/v2", "https://example.com", "example.com"),
        ("https://example.com/v12", "https://example.com/v12", "example.com/v12"),
        ("http://localhost:3000/v1", "http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_address_has_one_form(monkeypatch, given, base, host):
    """One service has one name in the store, however its address is written."""
    monkeypatch.delenv("HELLOJOHN_API_URL", raising=False)
    read = settings(api_url=given)
    assert (read.api_url, read.place) == (base, f"@tnt_1@{host}")


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
    """A name that only looks local would carry tokens over the network in cleartext."""
    assert is_loopback(host) is is_this_machine


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_clear_error(text):
    """A text is read as an address, or the error names the argument and the variable."""
    try:
        outcome = settings(api_url=text).api_url
    except ConfigurationError as error:
        outcome = str(error)
    assert outcome.startswith(("https://", "http://")) or (
        "api_url" in outcome and "HELLOJOHN_API_URL" in outcome
    )


@given(st.text(max_size=300))
def test_any_text_is_an_account_or_a_clear_error(name):
    """A printable text of 1 to 256 characters is an account's name; a control character is refused."""
    try:
        outcome = check_account(name)
    except ConfigurationError as error:
        outcome = str(error)
    if 0 < len(name) <= 256 and name.isprintable():
        assert outcome == name
    elif outcome == name:  # with joiners or combining marks
        assert not any(ord(char) < 32 or ord(char) == 127 for char in name)
    else:
        assert "1 to 256 characters" in outcome


@pytest.mark.parametrize("key", [f"{MARKER} x", f"{MARKER}\n", f"sk_{MARKER}", ""])
def test_no_message_shows_a_key(key):
    """A wrong key is named by its argument and not repeated."""
    with pytest.raises(ConfigurationError, match="publishable_key") as caught:
        settings(publishable_key=Secret(key))
    assert MARKER not in str(caught.value)


@pytest.mark.parametrize("name", ["publishable_key", "secret_key"])
def test_keys_come_from_the_environment(monkeypatch, name):
    """An argument goes before the variable, and an empty variable counts as unset."""
    variable, prefix = f"HELLOJOHN_{name.upper()}", name[0] + "k_"
    monkeypatch.setenv(variable, f"{prefix}env")
    assert getattr(settings(**{name: None}), name) == Secret(f"{prefix}env")
    assert getattr(settings(**{name: Secret(f"{prefix}arg")}), name) == Secret(f"{prefix}arg")
    monkeypatch.setenv(variable, "")
    assert getattr(settings(**{name: None}), name) is None


def test_an_api_that_only_verifies_has_no_key(monkeypatch):
    """The tenant is enough: a key is asked for by the first call that needs it."""
    for name in ("PUBLISHABLE_KEY", "SECRET_KEY"):
        monkeypatch.delenv(f"HELLOJOHN_{name}", raising=False)
    read = read_settings(tenant_id="tnt_1")
    assert (read.publishable_key, read.secret_key) == (None, None)
