"""The last good keys in the app's store, so that a process that starts during an outage can verify.

Keys are public, but a program that can write to the store can add keys. Use a store that only the service can
write.
"""

import json
from typing import NamedTuple, cast

from hellojohn._limits import CLOCK_SLACK
from hellojohn._logs import logger_of
from hellojohn._secret import Secret
from hellojohn._wire.reading import fields, json_object
from hellojohn.stores._capabilities import saver
from hellojohn.stores._protocol import TokenStore
from hellojohn.verify._jwks import Jwk, KeyDocument, usable_keys

_VERSION = 1
_log = logger_of("hellojohn.verify")


class KeptKeys(NamedTuple):
    """Keys from a store.

    Attributes:
        document: The keys.
        age: For how many seconds they have been kept, by the wall clock.
        tenant_uuid: The tenant's UUID, if it was kept with them.
    """

    document: KeyDocument
    age: float
    tenant_uuid: str | None


def load_keys(store: TokenStore, url: str, *, now: float, max_age: float) -> KeptKeys | None:
    """Return the keys that were kept for ``url``, if they are there, readable and not too old."""
    try:
        text = store.load(_name(url))
        kept = None if text is None else _read(text, url, now)
    except Exception as error:  # noqa: BLE001 - a cache that fails, or cannot be used, is as good as an empty one
        _log.warning("The kept keys of %s cannot be loaded: %s.", url, type(error).__name__)
        return None
    if text is not None and kept is None:
        _log.warning("The kept keys of %s cannot be read and are ignored.", url)
    return kept if kept is not None and kept.age < max_age else None


def save_keys(
    store: TokenStore, url: str, jwks: tuple[Jwk, ...], tenant_uuid: str | None, *, now: float, max_age: float
) -> bool:
    """Keep the keys of ``url`` and return whether that worked. A failure is logged."""
    members = {"v": _VERSION, "url": url, "fetched_at": now, "tenant_uuid": tenant_uuid, "keys": jwks}
    try:
        saver(store)(_name(url), Secret(json.dumps(members)), max_age)
    except Exception as error:  # noqa: BLE001 - a store that fails must not stop the verification
        _log.warning("The keys of %s cannot be kept: %s.", url, type(error).__name__)
        return False
    return True


def _name(url: str) -> str:
    return f"keys@{url}"


def _read(text: str, url: str, now: float) -> KeptKeys | None:
    members = fields(json_object(text.encode("utf-8", "replace")))
    fetched_at, listed, uuid = (members.get(name) for name in ("fetched_at", "keys", "tenant_uuid"))
    if members.get("v") != _VERSION or members.get("url") != url or not isinstance(listed, list):
        return None
    # A time in the future says nothing about the age: the clock was wrong then, or is wrong now.
    if (
        isinstance(fetched_at, bool)
        or not isinstance(fetched_at, int | float)
        or fetched_at > now + CLOCK_SLACK
    ):
        return None
    document = usable_keys(cast("list[object]", listed))
    age = max(now - fetched_at, 0.0)
    return None if document is None else KeptKeys(document, age, uuid if isinstance(uuid, str) else None)
