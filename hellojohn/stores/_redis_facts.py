"""What a Redis or Valkey server tells about itself, in words for ``doctor``. Sends nothing."""

from collections.abc import Callable, Mapping
from typing import Any, cast

_EVICTS = "The server drops sessions when it is full: set its maxmemory-policy to noeviction."
_FORGETS = "The server keeps nothing on disk, so its restart signs everybody out: switch its persistence on."


def address_of(client: object) -> str:
    """Say where ``client`` connects to. Of its settings, only the four that name a place are read."""
    settings: Callable[[], Mapping[str, Any]] = getattr(client, "get_connection_kwargs", dict[str, Any])
    told = settings()
    database = f", database {told.get('db') or 0}"
    if path := told.get("path"):
        return f"{path}{database}"
    host = told.get("host")
    return f"{host}:{told.get('port')}{database}" if host else "the client's server"


def server_facts(info: object, save: object) -> dict[str, str]:
    """Return facts and advice.

    Args:
        info: The answer to ``INFO``, or ``None``.
        save: The answer to ``CONFIG GET save``, or ``None``.
    """
    told = _mapping(info)
    persistence = _persistence(told, _mapping(save))
    advice = [_EVICTS] if _evicts(told) else []
    if persistence == "none":
        advice.append(_FORGETS)
    facts = {
        "server": _server(told),
        "persistence": persistence,
        "eviction": f"{told.get('maxmemory_policy', 'unknown')}, maxmemory {told.get('maxmemory', '?')}",
    }
    return facts | ({"advice": " ".join(advice)} if advice else {})


def _server(told: Mapping[str, Any]) -> str:
    if "valkey_version" in told:
        return f"Valkey {told['valkey_version']}"
    return f"Redis {told['redis_version']}" if "redis_version" in told else "unknown"


def _persistence(told: Mapping[str, Any], save: Mapping[str, Any]) -> str:
    if "aof_enabled" not in told:
        return "unknown"
    kinds = ["append-only file"] if told["aof_enabled"] else []
    if save.get("save"):
        kinds.append(f"snapshots ({save['save']})")
    return " and ".join(kinds) or ("none" if "save" in save else "no append-only file")


def _evicts(told: Mapping[str, Any]) -> bool:
    """Return whether sessions may be dropped: any policy takes what expires, as they do."""
    policy = told.get("maxmemory_policy", "noeviction")
    return policy != "noeviction" and told.get("maxmemory") != 0


def _mapping(answer: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", answer) if isinstance(answer, Mapping) else {}
