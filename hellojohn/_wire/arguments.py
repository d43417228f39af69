"""Check the arguments of a request before it is sent. No message repeats a value.

A value of the wrong type is the developer's mistake: ``ConfigurationError``. A value that is empty, too long
or malformed may come from a person or a browser: ``ValidationFailed``, as if the service had refused it.
"""

import ipaddress
import json
import re
from collections.abc import Mapping
from typing import cast
from urllib.parse import parse_qs, quote, urlsplit

from hellojohn._details import Device
from hellojohn._errors import ConfigurationError, MfaChallenge, ValidationFailed
from hellojohn._limits import (
    LONGEST_CAPTCHA,
    LONGEST_CHALLENGE,
    LONGEST_CODE,
    LONGEST_EMAIL,
    LONGEST_ID,
    LONGEST_LINK,
    LONGEST_METADATA,
    LONGEST_PASSWORD,
    LONGEST_USER_AGENT,
)
from hellojohn._secret import Secret

_ID = re.compile(r"[!-~]+")
_SCHEME = re.compile(r"https?|[a-z0-9+-]+(\.[a-z0-9+-]+)+")  # a private scheme is a reversed domain: RFC 8252


def checked(value: object, *, name: str, longest: int) -> str:
    """Return ``value`` if it is a text of 1 to ``longest`` characters.

    Raises:
        ConfigurationError: It is not a text.
        ValidationFailed: It is empty or too long.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be text, not {type(value).__name__}.")
    _check_length(len(value), name=name, longest=longest)
    return value


def checked_secret(value: Secret, *, name: str, longest: int) -> Secret:
    """Return ``value`` if it wraps a text of 1 to ``longest`` characters.

    Raises:
        ConfigurationError: It does not wrap a text.
        ValidationFailed: The text is empty or too long.
    """
    kind: type[object] = type(cast("object", value.reveal()))
    if not issubclass(kind, str):
        raise ConfigurationError(f"{name} must be text, not {kind.__name__}.")
    _check_length(len(value.reveal()), name=name, longest=longest)
    return value


def checked_email(value: object) -> str:
    """Return an email address. The service decides whether it is valid."""
    return checked(value, name="email", longest=LONGEST_EMAIL)


def checked_password(value: Secret, *, name: str = "password") -> Secret:
    """Return a password."""
    return checked_secret(value, name=name, longest=LONGEST_PASSWORD)


def checked_code(value: Secret) -> Secret:
    """Return a second factor's code without the white space that people type between its groups."""
    checked_secret(value, name="code", longest=LONGEST_CODE)
    return checked_secret(Secret("".join(value.reveal().split())), name="code", longest=LONGEST_CODE)


def checked_captcha(value: Secret) -> Secret:
    """Return the token from the captcha in a form."""
    return checked_secret(value, name="captcha_token", longest=LONGEST_CAPTCHA)


def checked_metadata(value: Mapping[str, object]) -> Mapping[str, object]:
    """Return a copy of ``value`` if it can be sent as a JSON object.

    Raises:
        ConfigurationError: It is not a mapping, or it holds something that JSON cannot express.
        ValidationFailed: It is too large.
    """
    text = _as_json(value)
    if text is None:
        raise ConfigurationError("metadata must be a mapping that JSON can express: texts, numbers, lists.")
    if len(text) > LONGEST_METADATA:
        raise ValidationFailed(f"metadata is too long: at most {LONGEST_METADATA} characters as JSON.")
    return cast("Mapping[str, object]", json.loads(text))


def checked_challenge(challenge: MfaChallenge) -> Secret:
    """Return the id of a challenge, which is as good as a token.

    Raises:
        ConfigurationError: It is not the challenge of an ``MfaRequired``.
    """
    if not isinstance(challenge, MfaChallenge) or not isinstance(challenge.id, str):
        raise ConfigurationError("challenge.id must be text: pass the challenge of an MfaRequired error.")
    if not 0 < len(challenge.id) <= LONGEST_CHALLENGE:
        raise ConfigurationError(
            "challenge.id is empty or too long: pass the challenge of an MfaRequired error."
        )
    factors: tuple[object, ...] = (*challenge.factors, challenge.preferred_factor or "")
    if not all(isinstance(factor, str) for factor in factors):
        raise ConfigurationError(
            "challenge.factors must be texts: pass the challenge of an MfaRequired error."
        )
    return Secret(challenge.id)


def checked_id(value: object, *, name: str) -> str:
    """Return an id for a path, quoted. An id that would change the path is refused."""
    text = checked(value, name=name, longest=LONGEST_ID)
    if not _ID.fullmatch(text) or text in {".", ".."}:
        raise ValidationFailed(f"{name} is not an id.")
    return quote(text, safe="")


def checked_address(value: object, *, name: str) -> str:
    """Return the address of a page or an app to which a browser is sent."""
    text = checked(value, name=name, longest=LONGEST_LINK)
    if not _is_address(text):
        raise ValidationFailed(f"{name} must be a whole http or https address without spaces.")
    return text


def checked_link(value: Secret) -> Secret:
    """Return the token of a mailed link, given as the whole link or as the token alone.

    Raises:
        ConfigurationError: It is not a text.
        ValidationFailed: It is empty or too long, or it is a link without a token.
    """
    checked_secret(value, name="token_or_url", longest=LONGEST_LINK)
    token = _token_of_link(value)
    if token is None:
        raise ValidationFailed("The link has no token: pass the whole address of the link in the mail.")
    return checked_secret(token, name="token_or_url", longest=LONGEST_LINK)


def required_key(key: Secret | None, *, name: str, call: str) -> Secret:
    """Return a key that ``call`` needs.

    Raises:
        ConfigurationError: The client was made without it.
    """
    if key is None:
        variable = f"HELLOJOHN_{name.upper()}"
        raise ConfigurationError(f"{call} needs {name}: pass {name}=... to the client or set {variable}.")
    return key


def device_headers(device: Device | None) -> dict[str, str]:
    """Return the headers that describe a browser to the service.

    Values that do not fit into a header are left out: they come from the browser, or from a test client.
    """
    if device is None:
        return {}
    user_agent = (device.user_agent or "")[:LONGEST_USER_AGENT]
    headers = {
        "User-Agent": "".join(char if " " <= char <= "~" else "?" for char in user_agent).strip(),
        "X-Forwarded-For": _ip_address(device.ip_address or ""),
    }
    return {name: value for name, value in headers.items() if value}


def _check_length(length: int, *, name: str, longest: int) -> None:
    if not length:
        raise ValidationFailed(f"{name} is empty.")
    if length > longest:
        raise ValidationFailed(f"{name} is too long: {length} characters, at most {longest} are allowed.")


def _as_json(value: object) -> str | None:
    if not isinstance(value, Mapping):
        return None
    try:
        return json.dumps(dict(cast("Mapping[object, object]", value)), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        is_web = parts.scheme in {"http", "https"}
        named = bool(parts.hostname) if is_web else _SCHEME.fullmatch(parts.scheme) is not None
    except ValueError:
        return False
    return named and _ID.fullmatch(text) is not None and parts.username is None


def _token_of_link(value: Secret) -> Secret | None:
    """Return the token, if there is one. It does not raise, because its frame holds the plain text."""
    text = value.reveal().strip()
    if "://" not in text:
        return Secret(text)
    try:
        parts = urlsplit(text)
        found = parse_qs(parts.query) | parse_qs(parts.fragment.rpartition("?")[2])
    except ValueError:
        return None
    tokens = found.get("token")
    return None if tokens is None else Secret(tokens[0])


def _ip_address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    return "" if getattr(address, "scope_id", None) else str(address)
