"""The token of a remembered device, which spares a user the second factor. It is kept beside the session.

A store that fails costs the user a second factor and nothing else, so its errors are only logged.
"""

from collections.abc import Callable

from hellojohn._errors import StoreError
from hellojohn._limits import KEPT_DEVICE
from hellojohn._logs import logger_of
from hellojohn._secret import Secret
from hellojohn._session.failures import guarded
from hellojohn.stores._capabilities import saver
from hellojohn.stores._protocol import TokenStore

logger = logger_of("hellojohn")


class RememberedDevices:
    """The device tokens in one store, one for each account."""

    def __init__(self, store: TokenStore) -> None:
        """Use ``store``."""
        self._store = store
        self._save = saver(store)

    def load(self, key: str) -> Secret | None:
        """Return the token of an account, if there is one."""
        try:
            text = guarded("load", lambda: self._store.load(_key(key)))
        except StoreError as error:
            logger.warning("The token of the remembered device was not read: %s", str(error))
            return None
        token = None if text is None else Secret(text)
        return token if token is not None and token.is_sendable() else None

    def save(self, key: str, token: Secret) -> None:
        """Keep the token of an account."""
        _try(lambda: self._save(_key(key), token, KEPT_DEVICE))

    def forget(self, key: str) -> None:
        """Delete the token of an account."""
        _try(lambda: self._store.delete(_key(key)))


def _key(key: str) -> str:
    return f"{key}#device"


def _try(call: Callable[[], None]) -> None:
    try:
        guarded("save", call)
    except StoreError as error:
        logger.warning("The token of the remembered device was not written: %s", str(error))
