"""The system keyring as named entries: which backend is suitable, what its errors mean. Knows no session."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from hellojohn._errors import StoreLocked, StoreUnavailable
from hellojohn._loading import loading
from hellojohn._secret import Secret

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

T = TypeVar("T")

_WINDOWS = "keyring.backends.Windows"
_LONG = {f"keyring.backends.{name}" for name in ("SecretService", "kwallet", "libsecret", "macOS")}
# These replace an entry in one step. macOS deletes the old one first, and other backends may do so.
_ATOMIC = {_WINDOWS, *_LONG} - {"keyring.backends.macOS"}
# GNOME Keyring, when it is read while it writes, may take its own new file for a foreign one and lock itself.
_BY_TURNS = {f"keyring.backends.{name}" for name in ("SecretService", "libsecret")}
_LIMIT, _SMALLEST_LIMIT = 1200, 300  # UTF-16 units; Windows takes 1,280
_LOCKED = {"KeyringLocked", "LockedException", "PromptDismissedException"}
_LINUX = "install and start a secret service (GNOME Keyring, KWallet or KeePassXC)"


class Backend(Protocol):
    """The part of a keyring backend that is used here."""

    def get_password(self, service: str, username: str) -> str | None:
        """Return the text of an entry, or ``None``."""
        ...

    def set_password(self, service: str, username: str, password: str) -> None:
        """Write an entry."""
        ...

    def delete_password(self, service: str, username: str) -> None:
        """Remove an entry."""
        ...


class Entries:
    """The entries of one app in one backend.

    Attributes:
        limit: UTF-16 units that an entry takes, or ``None`` if no limit is known.
        may_split: Whether texts may have to be split.
    """

    def __init__(self, backend: Backend, app: str, turn: Callable[[], AbstractContextManager[None]]) -> None:
        """Use ``backend`` for ``app``; each call is in a ``turn`` where the backend needs that."""
        module = type(backend).__module__
        bases = {kind.__module__ for kind in type(backend).__mro__}
        self._known_limit = _LIMIT if _WINDOWS in bases else None
        self.limit = self._known_limit
        self.may_split = module not in _LONG
        self._atomic = bool(bases & _ATOMIC)
        self._turn = turn if bases & _BY_TURNS else nullcontext[None]
        self._backend = backend
        self._app = app

    @property
    def backend(self) -> str:
        """The backend's name."""
        return f"{type(self._backend).__module__}.{type(self._backend).__name__}"

    @property
    def secure(self) -> bool:
        """Whether the backend keeps secrets."""
        return _asked(lambda: _is_secure(cast("KeyringBackend", self._backend)))

    def get(self, name: str) -> str | None:
        """Return the text of an entry, or ``None``."""
        text = self._get(name)
        if text is None and not self._atomic:
            text = self._get(_spare(name)) or self._get(name)
        return text

    def put(self, name: str, text: Secret) -> None:
        """Write an entry; the old text or the new one can be read at every moment."""
        if self._atomic:
            self._set(name, text)
            return
        self._set(_spare(name), text)
        self._set(name, text)
        self._drop(_spare(name))

    def drop(self, name: str) -> None:
        """Remove an entry; a missing one is not an error."""
        if not self._atomic:
            self._drop(_spare(name))
        self._drop(name)

    def lower_limit(self, units: int) -> bool:
        """Lower the limit after a text of so many UTF-16 units was refused; return whether that may help.

        A backend does not say that a text is too long for it, so shorter entries are tried.
        """
        limit = _LIMIT if self.limit is None else self.limit // 2
        while limit > units:
            limit //= 2
        if self.may_split and limit >= _SMALLEST_LIMIT:
            self.limit = limit
            return True
        self.limit = self._known_limit  # the length was not the reason
        return False

    def _get(self, name: str) -> str | None:
        with self._turn():
            return _asked(lambda: self._backend.get_password(self._place(name), name))

    def _set(self, name: str, text: Secret) -> None:
        with self._turn():
            _asked(lambda: self._backend.set_password(self._place(name), name, text.reveal()))

    def _drop(self, name: str) -> None:
        # A backend reports a missing entry with the same error as an entry that it cannot delete.
        with suppress(StoreUnavailable), self._turn():
            _asked(lambda: self._backend.delete_password(self._place(name), name))
            return
        if self._get(name) is not None:
            msg = f"The system keyring does not delete the entry {name!r}. Delete it in the keyring's app."
            raise StoreUnavailable(msg)

    def _place(self, name: str) -> str:
        # Each entry has its own service: on Windows, the entries of one service replace each other.
        return f"{self._app}/{name}"


def secure_backend(*, allow_insecure: bool) -> Backend:
    """Return the backend that the keyring library has chosen, if it keeps secrets.

    Raises:
        StoreUnavailable: None of them does. The message says how to get one.
    """
    found = _asked(_candidates)
    fit = found if allow_insecure else _asked(lambda: [backend for backend in found if _is_secure(backend)])
    if fit:
        return cast("Backend", fit[0])
    names = ", ".join(type(backend).__module__ for backend in found) or "none"
    install = _LINUX if sys.platform.startswith("linux") else "use the keyring of this system"
    msg = (
        f"No system keyring keeps secrets here (found: {names}): {install}, or keep sessions in a FileStore,"
        " encrypted by an EncryptedStore. KeyringStore(..., allow_insecure=True) accepts any keyring."
    )
    raise StoreUnavailable(msg)


def _candidates() -> "list[KeyringBackend]":
    with loading:
        import keyring  # noqa: PLC0415 - an extra
        from keyring.backends import chainer, fail, null  # noqa: PLC0415

        chosen = keyring.get_keyring()
    found: list[KeyringBackend] = [chosen]
    if isinstance(chosen, chainer.ChainerBackend):
        found = list(chosen.backends)
    return [backend for backend in found if not isinstance(backend, fail.Keyring | null.Keyring)]


def _is_secure(backend: "KeyringBackend") -> bool:
    plain = "plaintext" in type(backend).__name__.lower() or type(backend).__module__.startswith(
        "keyrings.alt"
    )
    return not plain and backend.priority >= 1


def _spare(name: str) -> str:
    return f"{name}.new"


def _asked(action: Callable[[], T]) -> T:
    """Call a backend, and replace its errors: their messages may hold the text that was to be saved."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001 - backends raise the errors of the system below them
        kinds = [kind.__name__ for kind in type(error).__mro__]
    if _LOCKED.intersection(kinds):
        msg = "The system keyring is locked. Unlock it, then try again, or keep sessions in a FileStore."
        raise StoreLocked(msg)
    msg = f"The system keyring failed ({kinds[0]}). Check that its service runs in the user's session."
    raise StoreUnavailable(msg)
