"""Settings: an argument wins over its environment variable, that over the default. Checked once, here."""

import ipaddress
import os
import re
import time
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import SplitResult, quote, urlsplit

from hellojohn._duration import parse_duration
from hellojohn._errors import ConfigurationError
from hellojohn._models import Clock
from hellojohn._secret import Secret

DEFAULT_API_URL = "https://api.hellojohn.dev"
_HOST = re.compile(r"[a-z0-9._:-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a client was told, complete and checked.

    Attributes:
        api_url: The API's base, without a trailing slash and with its version, such as ``https://host/v1``.
        tenant_id: The tenant.
        publishable_key: The public key for sign-in and sign-up, if there is one.
        secret_key: The server-side key, if there is one.
        remember_me_duration: What ``remember_me=True`` asks for.
        session_duration: What ``remember_me=False`` asks for.
        idle_timeout: The tenant's idle timeout, if known.
        background_refresh: Whether to refresh ahead of expiry.
        clock: Seconds since the epoch.
    """

    api_url: str
    tenant_id: str
    publishable_key: Secret | None
    secret_key: Secret | None
    remember_me_duration: timedelta
    session_duration: timedelta
    idle_timeout: timedelta | None
    background_refresh: bool
    clock: Clock

    @property
    def place(self) -> str:
        """The tenant and the API, as the store's keys name them: whoever writes another has another key."""
        api = self.api_url.removeprefix("https://").removesuffix("/v1")
        return f"@{quote(self.tenant_id, safe='')}@{api}"


def read_settings(
    *,
    tenant_id: str | None = None,
    publishable_key: Secret | None = None,
    secret_key: Secret | None = None,
    client_id: str | None = None,
    api_url: str | None = None,
    api: str = "v1",
    remember_me_duration: str | timedelta = "30d",
    session_duration: str | timedelta = "24h",
    idle_timeout: str | timedelta | None = None,
    background_refresh: bool = True,
    clock: Clock = time.time,
) -> Settings:
    """Check every setting and fill in what the environment and the defaults say.

    Raises:
        ConfigurationError: One is missing or malformed; the message names the argument and the variable.
    """
    if api != "v1":
        raise ConfigurationError("api must be 'v1': this version of hellojohn speaks the v1 API only.")
    if client_id is not None:
        raise ConfigurationError(
            "client_id belongs to the v2 API, which this version does not speak: drop it."
        )
    publishable = _read_key(publishable_key, "publishable_key", wrong="sk_")
    secret = _read_key(secret_key, "secret_key", wrong="pk_")
    if publishable is None and secret is None:
        raise ConfigurationError(f"publishable_key is missing: {_how('publishable_key')}.")
    return Settings(
        api_url=_read_api_url(api_url),
        tenant_id=_read_tenant(tenant_id),
        publishable_key=publishable,
        secret_key=secret,
        remember_me_duration=parse_duration(remember_me_duration, name="remember_me_duration"),
        session_duration=parse_duration(session_duration, name="session_duration"),
        idle_timeout=None if idle_timeout is None else parse_duration(idle_timeout, name="idle_timeout"),
        background_refresh=check_flag(background_refresh, "background_refresh"),
        clock=_read_clock(clock),
    )


def check_account(name: object) -> str:
    """Return an account's name.

    Raises:
        ConfigurationError: It is not a text of 1 to 256 printable characters.
    """
    if not isinstance(name, str) or not 0 < len(name) <= 256 or not name.isprintable():  # noqa: PLR2004
        raise ConfigurationError("account must be a text of 1 to 256 printable characters.")
    return name


def check_flag(value: object, name: str) -> bool:
    """Return ``value`` if it is a bool.

    Raises:
        ConfigurationError: It is anything else, which might stand for either.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False.")
    return value


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine by name or number."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _how(name: str) -> str:
    return f"pass {name}=... or set HELLOJOHN_{name.upper()}"


def _read_text(value: str | None, name: str) -> str | None:
    found = os.environ.get(f"HELLOJOHN_{name.upper()}") or None if value is None else value
    if found is not None and not (isinstance(found, str) and Secret(found).is_sendable()):
        raise ConfigurationError(f"{name} must be a text without spaces or control characters: {_how(name)}.")
    return found


def _read_tenant(value: str | None) -> str:
    tenant = _read_text(value, "tenant_id")
    if tenant is None:
        raise ConfigurationError(f"tenant_id is missing: {_how('tenant_id')}.")
    return tenant


def _read_key(value: Secret | None, name: str, *, wrong: str) -> Secret | None:
    key = value or Secret(os.environ.get(f"HELLOJOHN_{name.upper()}", ""))
    if value is None and not key.reveal():
        return None
    if not key.is_sendable():
        raise ConfigurationError(f"{name} must be a text without spaces or control characters: {_how(name)}.")
    if key.reveal().startswith(wrong):
        raise ConfigurationError(f"{name} holds the other kind of key ({wrong}...): {_how(name)}.")
    return key


def _read_clock(clock: Clock) -> Clock:
    now: object = clock() if callable(clock) else None
    if isinstance(now, bool) or not isinstance(now, int | float):
        raise ConfigurationError("clock must be a function that returns seconds since the epoch.")
    return clock


def _read_api_url(value: str | None) -> str:
    parts = _split(_read_text(value, "api_url") or DEFAULT_API_URL)
    if parts is None:
        raise ConfigurationError(
            f"api_url must be an https URL such as {DEFAULT_API_URL}, or http on this machine, without user,"
            f" query or fragment: {_how('api_url')}."
        )
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{path}/v1"


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        return parts if _is_good_url(parts) else None
    except ValueError:
        return None


def _is_good_url(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    return _HOST.fullmatch(host) is not None and safe and plain and (parts.port is None or parts.port > 0)
