"""The settings of a client: an argument, else its environment variable, else the default.

Checked once, here.
"""

import ipaddress
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from urllib.parse import SplitResult, quote, urlsplit

from hellojohn._clock import Clock
from hellojohn._duration import parse_duration
from hellojohn._errors import ConfigurationError
from hellojohn._limits import LONGEST_ACCOUNT
from hellojohn._names import has_controls
from hellojohn._secret import Secret

T = TypeVar("T")

DEFAULT_API_URL = "https://api.hellojohn.dev"
APIS = ("v1", "v2")
_HOST = re.compile(r"[a-z0-9._:-]+")
_VERSION = re.compile(r"/v[12]$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a client, complete and checked.

    Attributes:
        api: The dialect: ``"v1"`` or ``"v2"``.
        api_url: The service, without a trailing slash and without a version, such as ``https://host``.
        tenant_id: The tenant.
        client_id: The client's id, which v2 needs.
        publishable_key: The public key for sign-in and sign-up, if there is one.
        secret_key: The server-side key, if there is one.
        remember_me_duration: What ``remember_me=True`` asks for, as it goes over the wire.
        session_duration: What ``remember_me=False`` asks for, as it goes over the wire.
        idle_timeout: The tenant's idle timeout, if it is known.
        background_refresh: Whether to refresh ahead of expiry.
        webhook_secret: The secret that webhooks are signed with, if there is one.
        jwks_max_age: How long keys verify tokens while they cannot be fetched again.
        access_token_ttl: The longest life of an access token: how long revocations are kept.
        clock: Seconds since the epoch.
    """

    api: str
    api_url: str
    tenant_id: str
    client_id: str | None
    publishable_key: Secret | None
    secret_key: Secret | None
    remember_me_duration: str | timedelta
    session_duration: str | timedelta
    idle_timeout: timedelta | None
    background_refresh: bool
    webhook_secret: Secret | None
    jwks_max_age: timedelta
    access_token_ttl: timedelta
    clock: Clock

    @property
    def place(self) -> str:
        """The tenant and the service, as the keys of a store name them. Another service has other keys."""
        return f"@{quote(self.tenant_id, safe='')}@{self.api_url.removeprefix('https://')}"


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
    webhook_secret: Secret | None = None,
    jwks_max_age: str | timedelta = "24h",
    access_token_ttl: str | timedelta = "24h",  # noqa: S107 - a duration
    clock: Clock | None = None,
    others: Iterable[Callable[[], object]] = (),
) -> Settings:
    """Check every setting and fill in the environment's values and the defaults.

    ``others`` are checks of the client's other arguments, so that one error names all problems.

    Raises:
        ConfigurationError: Settings are missing or malformed. The message names all of them, each with its
            argument and its environment variable.
    """
    problems: list[str] = []

    def checked(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except ConfigurationError as error:
            problems.append(str(error))
            return None

    def duration(value: str | timedelta, name: str) -> str | timedelta:
        parse_duration(value, name=name)
        return value

    known = {
        "api": checked(lambda: _read_api(api)),
        "tenant_id": checked(lambda: _required("tenant_id", tenant_id)),
        "client_id": checked(
            lambda: _required("client_id", client_id) if api == "v2" else _read_text("client_id", client_id)
        ),
        "publishable_key": checked(lambda: _read_key("publishable_key", publishable_key, wrong="sk_")),
        "secret_key": checked(lambda: _read_key("secret_key", secret_key, wrong="pk_")),
        "api_url": checked(lambda: _read_api_url(api_url)),
        "remember_me_duration": checked(lambda: duration(remember_me_duration, "remember_me_duration")),
        "session_duration": checked(lambda: duration(session_duration, "session_duration")),
        "idle_timeout": checked(
            lambda: None if idle_timeout is None else parse_duration(idle_timeout, name="idle_timeout")
        ),
        "background_refresh": checked(lambda: check_flag(background_refresh, "background_refresh")),
        "webhook_secret": checked(lambda: _read_secret("webhook_secret", webhook_secret)),
        "jwks_max_age": checked(lambda: parse_duration(jwks_max_age, name="jwks_max_age")),
        "access_token_ttl": checked(lambda: parse_duration(access_token_ttl, name="access_token_ttl")),
        "clock": checked(lambda: _read_clock(clock)),
    }
    for check in others:
        checked(check)
    if problems:
        raise ConfigurationError("\n".join(problems))
    return Settings(**known)  # type: ignore[arg-type] # each value was read by the function of its field


def check_account(name: object) -> str:
    """Return an account's name.

    Raises:
        ConfigurationError: It is not a text of 1 to 256 characters without control characters.
    """
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_ACCOUNT or has_controls(name):
        raise ConfigurationError(
            f"account must be a text of 1 to {LONGEST_ACCOUNT} characters without control characters."
        )
    return str.__str__(name)  # of an enum, its text and not its name


def check_flag(value: object, name: str) -> bool:
    """Return ``value`` if it is a bool: anything else could mean either.

    Raises:
        ConfigurationError: It is not a bool.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False.")
    return value


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by name or by number."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def how_to_set(name: str) -> str:
    """Return how to give a setting."""
    return f"pass {name}=... or set HELLOJOHN_{name.upper()}"


def _read_api(value: object) -> str:
    if value not in APIS:
        raise ConfigurationError('api must be "v1", the cloud API, or "v2", the open-source server.')
    return str(value)


def _required(name: str, value: str | None) -> str:
    found = _read_text(name, value)
    if found is None:
        raise ConfigurationError(f"{name} is missing: {how_to_set(name)}.")
    return found


def _read_text(name: str, value: str | None) -> str | None:
    found = os.environ.get(f"HELLOJOHN_{name.upper()}") or None if value is None else value
    if found is not None and not (isinstance(found, str) and Secret(found).is_sendable()):
        raise ConfigurationError(
            f"{name} must be a text without spaces or control characters: {how_to_set(name)}."
        )
    return found


def _read_secret(name: str, value: Secret | None) -> Secret | None:
    key = value or Secret(os.environ.get(f"HELLOJOHN_{name.upper()}", ""))
    if value is None and not key.reveal():
        return None
    if not key.is_sendable():
        raise ConfigurationError(
            f"{name} must be a text without spaces or control characters: {how_to_set(name)}."
        )
    return key


def _read_key(name: str, value: Secret | None, *, wrong: str) -> Secret | None:
    key = _read_secret(name, value)
    if key is not None and key.reveal().startswith(wrong):
        raise ConfigurationError(f"{name} holds the other kind of key ({wrong}...): {how_to_set(name)}.")
    return key


def _read_clock(clock: Clock | None) -> Clock:
    if clock is None:
        # Looked up at each call, so that tools such as freezegun can replace it.
        return lambda: time.time()  # noqa: PLW0108
    now: object = clock() if callable(clock) else None
    if isinstance(now, bool) or not isinstance(now, int | float):
        raise ConfigurationError("clock must be a function that returns seconds since the epoch.")
    return clock


def _read_api_url(value: str | None) -> str:
    parts = _split(_read_text("api_url", value) or DEFAULT_API_URL)
    if parts is None:
        raise ConfigurationError(
            f"api_url must be an https URL such as {DEFAULT_API_URL}, or http on this machine, without user,"
            f" query or fragment: {how_to_set('api_url')}."
        )
    path = _VERSION.sub("", parts.path.rstrip("/")).rstrip("/")
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{path}"


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
