"""Facts about a Redis or Valkey server in words, from its answers and its client. Sends nothing."""

from collections.abc import Callable, Mapping
from typing import Any, cast

_EVICTS = "The server drops sessions when it is full: set its maxmemory-policy to noeviction."
_FORGETS = "The server keeps nothing on disk, so its restart signs everybody out: set its appendonly to yes."
_SNAPSHOTS = "A crash of the server loses the sessions since its last snapshot: set its appendonly to yes."
_LAST_SECOND = (
    "A power failure loses the sessions of the server's last second: set its appendfsync to always."
)


def address_of(client: object) -> str:
    """Return the place and the database that ``client`` connects to, in words."""
    settings = _settings_of(client)
    database = f", database {settings.get('db') or 0}"
    if path := settings.get("path"):
        return f"{path}{database}"
    host = settings.get("host")
    return f"{host}:{settings.get('port')}{database}" if host else "the client's server"


def place_of(client: object) -> str | None:
    """Return the path of the socket or the host that ``client`` connects to, if it is known."""
    settings = _settings_of(client)
    place: object = settings.get("path") or settings.get("host")
    return place if isinstance(place, str) else None


def server_facts(info: object, *settings: object) -> dict[str, str]:
    """Return facts and advice.

    Args:
        info: The answer to ``INFO``, or ``None``.
        settings: The answers to ``CONFIG GET save`` and ``CONFIG GET appendfsync``, or ``None``.
    """
    known = _mapping(info)
    set_to: dict[str, Any] = {}
    for setting in settings:
        set_to |= _mapping(setting)
    advice = [_EVICTS] if _evicts(known) else []
    advice += _advice_on_persistence(known, set_to)
    facts = {
        "server": _server(known),
        "persistence": _persistence(known, set_to),
        "eviction": f"{known.get('maxmemory_policy', 'unknown')}, maxmemory {known.get('maxmemory', '?')}",
    }
    return facts | ({"advice": " ".join(advice)} if advice else {})


def _server(known: Mapping[str, Any]) -> str:
    if "valkey_version" in known:
        return f"Valkey {known['valkey_version']}"
    return f"Redis {known['redis_version']}" if "redis_version" in known else "unknown"


def _persistence(known: Mapping[str, Any], set_to: Mapping[str, Any]) -> str:
    if "aof_enabled" not in known:
        return "unknown"
    kinds = ["append-only file"] if known["aof_enabled"] else []
    if set_to.get("save"):
        kinds.append(f"snapshots ({set_to['save']})")
    return " and ".join(kinds) or ("none" if "save" in set_to else "no append-only file")


def _advice_on_persistence(known: Mapping[str, Any], set_to: Mapping[str, Any]) -> list[str]:
    """Return the settings to switch on; none where the server does not report its settings."""
    if "aof_enabled" not in known or "save" not in set_to:
        return []
    if not known["aof_enabled"]:
        return [_SNAPSHOTS if set_to["save"] else _FORGETS]
    return [_LAST_SECOND] if set_to.get("appendfsync", "always") != "always" else []


def _evicts(known: Mapping[str, Any]) -> bool:
    """Return whether sessions may be dropped: every other policy drops keys that expire, as sessions do."""
    policy = known.get("maxmemory_policy", "noeviction")
    return policy != "noeviction" and known.get("maxmemory") != 0


def _settings_of(client: object) -> Mapping[str, Any]:
    """Return the settings of a client's connections. They hold secrets: read only places from them."""
    settings: Callable[[], Mapping[str, Any]] = getattr(client, "get_connection_kwargs", dict[str, Any])
    return settings()


def _mapping(answer: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", answer) if isinstance(answer, Mapping) else {}
