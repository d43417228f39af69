"""The arguments of a sign-in with a browser."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hellojohn._errors import ConfigurationError
from hellojohn._limits import LONGEST_TIMEOUT
from hellojohn._models import SessionOptions


class BrowserOptions(NamedTuple):
    """How to sign in with a browser."""

    provider: str | None
    remember_me: bool | None
    session_options: SessionOptions | Mapping[str, Any] | None
    ports: Sequence[int]
    timeout: float
    scopes: Sequence[str]
    open_browser: Callable[[str], object]
    prompt: Callable[[str], object]
    paste: Callable[[], str] | None

    def check(self) -> None:
        """Check what no other code does.

        Raises:
            ConfigurationError: An argument is malformed.
        """
        timeout: object = self.timeout
        is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
        if not is_number or not 0 < self.timeout <= LONGEST_TIMEOUT:  # nan is not in between
            raise ConfigurationError("timeout must be seconds above 0 and at most a day.")
        for name in ("open_browser", "prompt", "paste"):
            call: object = getattr(self, name)
            if not callable(call) and not (name == "paste" and call is None):
                raise ConfigurationError(f"{name} must be a function, not {type(call).__name__}.")


def checked_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    """Return the scopes. Not every server reads them, and one that does checks each name.

    Raises:
        ConfigurationError: They are no list.
    """
    given: object = scopes
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigurationError('scopes must be a list of names, such as ["openid", "email"].')
    return tuple(scopes)
