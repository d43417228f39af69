"""Checks of the arguments that stores are made with, and of stores where they are handed over."""

from inspect import isasyncgenfunction, iscoroutinefunction, unwrap
from typing import Any

from hellojohn._errors import ConfigurationError
from hellojohn._names import has_controls, is_visible
from hellojohn.stores._protocol import TokenStore

_LONGEST = 1e9  # seconds; Redis counts milliseconds in 64 bits


def check_store(store: Any, name: str = "store") -> TokenStore:  # noqa: ANN401 - any value may come
    """Return ``store``, the argument ``name``, if it looks like a token store.

    Raises:
        ConfigurationError: It lacks a method, has an asynchronous one, or its lease is not a time in seconds.
    """
    problem = _problem_of(store)
    if problem is not None:
        raise ConfigurationError(f"{name} must be a TokenStore, such as FileStore(): {problem}.")
    found: TokenStore = store
    return found


def check_app(app: object, owner: str) -> str:
    """Return ``app``, the argument of ``owner``, if it can name a folder and the entries of a keyring.

    Raises:
        ConfigurationError: It is empty, not a text, a path, or contains control characters.
    """
    if isinstance(app, str) and _is_folder_name(app) and is_visible(app) and not has_controls(app):
        return app
    msg = f"{owner}: app is the app's name, a text without slashes and control characters, not {app!r}."
    raise ConfigurationError(msg)


def uncopyable(store: object, reason: str) -> TypeError:
    """Return the error for pickling or copying a store, with the reason why that cannot work."""
    return TypeError(f"{type(store).__name__} cannot be pickled or copied: {reason}.")


def is_seconds(value: object) -> bool:
    """Return whether ``value`` is a time in seconds: a number above zero that a server can count."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LONGEST


def _is_folder_name(text: str) -> bool:
    return text.strip() not in {".", ".."} and not {"/", "\\"} & {*text}


def _problem_of(store: object) -> str | None:
    if isinstance(store, type):
        return "an instance, not the class"
    for name in ("load", "save", "delete", "lock"):
        method = getattr(store, name, None)
        if not callable(method):
            return f"it has no {name}()"
        if iscoroutinefunction(method) or isasyncgenfunction(unwrap(method)):
            return f"its {name}() is asynchronous, and the SDK calls it on worker threads"
    lease = getattr(store, "lease", None)
    if lease is None or is_seconds(lease):
        return None
    return "its lease is a number of seconds above 0 and below 1e9, such as 30.0, or None"
