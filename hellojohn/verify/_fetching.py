"""Gets the documents that a key set needs, or says why not. Blocks: call it on a worker thread.

On v1 there is one document, the keys. The open-source server (v2) signs with the tenant's UUID where clients
know its slug, so there the tenant's UUID is asked for as well, once.
"""

import math
import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from hellojohn._errors import ConfigurationError
from hellojohn._limits import (
    KEY_FETCH_DEADLINE,
    KEY_SOFT_LIFE,
    SHORTEST_KEY_SOFT_LIFE,
)
from hellojohn._wire.reading import fields, json_object
from hellojohn.verify._jwks import KeyDocument, read_keys, require_cryptography

Fetch = Callable[[str, float], tuple[int, Mapping[str, str], bytes]]
"""Gets a URL within so many seconds and returns status, headers and body. It may raise anything."""

_OK = 200
_NOT_THERE = (400, 403, 404, 405, 410)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SECONDS = re.compile(r"[0-9]{1,9}")
_MAX_AGE = re.compile(r"max-age\s*=\s*\"?([0-9]{1,12})")


class Fetched(NamedTuple):
    """The result of a fetch.

    Attributes:
        document: The keys.
        soft_life: For how many seconds they are fresh.
        tenant_uuid: The tenant's UUID, if it was asked for and the server knows one.
    """

    document: KeyDocument
    soft_life: float
    tenant_uuid: str | None


class FetchFailed(Exception):
    """No usable document came.

    Attributes:
        retry_after: Seconds that the server asks to wait; 0 if it does not ask.
        status: The status of the answer, if one came.
    """

    def __init__(self, detail: str, retry_after: float = 0.0, status: int = 0) -> None:
        """Keep what failed. ``detail`` holds nothing that the server sent."""
        super().__init__(detail)
        self.retry_after = retry_after
        self.status = status


def fetch_keys(fetch: Fetch, url: str, tenant_url: str | None) -> Fetched:
    """Get the keys, and the tenant's UUID where ``tenant_url`` leads to it.

    Raises:
        FetchFailed: No usable answer came.
        ConfigurationError: The settings or the installation keep keys from being fetched at all.
    """
    require_cryptography()
    headers, body = _get(fetch, url)
    document = read_keys(body)
    if document is None:
        raise FetchFailed("the answer holds no usable key")
    uuid = None if tenant_url is None else _tenant_uuid(fetch, tenant_url)
    return Fetched(document, soft_life(headers), uuid)


def soft_life(headers: Mapping[str, str]) -> float:
    """Return for how many seconds keys are fresh: 300, or less if ``Cache-Control`` says so, at least 30."""
    control = _header(headers, "cache-control").lower()
    if "no-store" in control or "no-cache" in control:
        return SHORTEST_KEY_SOFT_LIFE
    match = _MAX_AGE.search(control)
    return (
        KEY_SOFT_LIFE if match is None else min(max(float(match[1]), SHORTEST_KEY_SOFT_LIFE), KEY_SOFT_LIFE)
    )


def is_uuid(text: str) -> bool:
    """Return whether ``text`` is a UUID."""
    return _UUID.fullmatch(text) is not None


def _tenant_uuid(fetch: Fetch, url: str) -> str | None:
    try:
        _, body = _get(fetch, url)
    except FetchFailed as error:
        if error.status in _NOT_THERE:
            return None
        raise
    named = fields(json_object(body)).get("tenant_id")
    return named if isinstance(named, str) and is_uuid(named) else None


def _get(fetch: Fetch, url: str) -> tuple[Mapping[str, str], bytes]:
    try:
        status, headers, body = fetch(url, KEY_FETCH_DEADLINE)
    except ConfigurationError:
        raise
    except Exception as error:  # noqa: BLE001 - any of them may hold a password of a proxy
        detail = f"no answer, {type(error).__name__}"
    else:
        if status == _OK:
            return headers, body
        raise FetchFailed(f"status {status}", retry_after(headers), status)
    raise FetchFailed(detail)


def retry_after(headers: Mapping[str, str]) -> float:
    """Return how many seconds the server asks to wait, 0 if it does not."""
    text = _header(headers, "retry-after").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    date = _header(headers, "date")
    try:
        then = parsedate_to_datetime(text).timestamp()
        now = parsedate_to_datetime(date).timestamp() if date else time.time()
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    wait = then - now
    return max(wait, 0.0) if math.isfinite(wait) else 0.0


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "")
