"""What a Redis or Valkey server tells about itself, in words for ``doctor``. Sends nothing."""

from collections.abc import Callable, Mapping
from typing import Any, cast

_EVICTS = "The server drops sessions when it is full: set its maxmemory-policy to noeviction."
_FORGETS = "The server keeps nothing on disk, so its restart signs everybody out: set its appendonly to yes."
_SNAPSHOTS = "A crash of the server loses the sessions since its last snapshot: set its appendonly to yes."
_LAST_SECOND = (
    "A power failure loses the sessions of the server's last second: set its appendfsync to always."
)


def address_of(client: object) -> str:
    """Say where ``client`` connects to. Of its settings, only the four that name a place are read."""
    settings: Callable[[], Mapping[str, Any]] = getattr(client, "get_connection_kwargs", dict[str, Any])
    told = settings()
    database = f", database {told.get('db') or 0}"
    if path := told.get("path"):
        return f"{path}{database}"
    host = told.get("host")
    return f"{host}:{told.get('port')}{database}" if host else "the client's server"


def server_facts(info: object, *settings: object) -> dict[str, str]:
    """Return facts and advice.

    Args:
        info: The answer to ``INFO``, or ``None``.
        settings: The answers to ``CONFIG GET save`` and ``CONFIG GET appendfsync``, or ``None``.
    """
    told = _mapping(info)
    set_to: dict[str, Any] = {}
    for answer in settings:
        set_to |= _mapping(answer)
    advice = [_EVICTS] if _evicts(told) else []
    advice += _advice_on_persistence(told, set_to)
    facts = {
        "server": _server(told),
        "persistence": _persistence(told, set_to),
        "eviction": f"{told.get('maxmemory_policy', 'unknown')}, maxmemory {told.get('maxmemory', '?')}",
    }
    return facts | ({"advice": " ".join(advice)} if advice else {})


def _server(told: Mapping[str, Any]) -> str:
    if "valkey_version" in told:
        return f"Valkey {told['valkey_version']}"
    return f"Redis {told['redis_version']}" if "redis_version" in told else "unknown"


def _persistence(told: Mapping[str, Any], set_to: Mapping[str, Any]) -> str:
    if "aof_enabled" not in told:
        return "unknown"
    kinds = ["append-only file"] if told["aof_enabled"] else []
    if set_to.get("save"):
        kinds.append(f"snapshots ({set_to['save']})")
    return " and ".join(kinds) or ("none" if "save" in set_to else "no append-only file")


def _advice_on_persistence(told: Mapping[str, Any], set_to: Mapping[str, Any]) -> list[str]:
    """Return what to switch on; nothing where the server does not say what is."""
    if "aof_enabled" not in told or "save" not in set_to:
        return []
    if not told["aof_enabled"]:
        return [_SNAPSHOTS if set_to["save"] else _FORGETS]
    return [_LAST_SECOND] if set_to.get("appendfsync", "always") != "always" else []


def _evicts(told: Mapping[str, Any]) -> bool:
    """Return whether sessions may be dropped: any policy takes what expires, as they do."""
    policy = told.get("maxmemory_policy", "noeviction")
    return policy != "noeviction" and told.get("maxmemory") != 0


def _mapping(answer: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", answer) if isinstance(answer, Mapping) else {}
