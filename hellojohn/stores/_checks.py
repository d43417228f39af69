"""Checks that something looks like a token store, where it is handed over and not where it first fails."""

from inspect import iscoroutinefunction
from typing import Any

from hellojohn._errors import ConfigurationError
from hellojohn.stores._protocol import TokenStore


def check_store(store: Any, name: str = "store") -> TokenStore:  # noqa: ANN401 - anything may come, that is why it is checked
    """Return ``store``, the argument ``name``, if it looks like a token store.

    Raises:
        ConfigurationError: It lacks a method, or has an asynchronous one.
    """
    problem = _problem_of(store)
    if problem is not None:
        raise ConfigurationError(f"{name} must be a TokenStore, such as FileStore(): {problem}.")
    found: TokenStore = store
    return found


def _problem_of(store: object) -> str | None:
    if isinstance(store, type):
        return "an instance, not the class"
    for name in ("load", "save", "delete", "lock"):
        method = getattr(store, name, None)
        if not callable(method):
            return f"it has no {name}()"
        if iscoroutinefunction(method):
            return f"its {name}() is asynchronous, and the SDK calls it on threads of its own"
    return None
