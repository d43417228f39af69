"""The store for an app that does not want to choose."""

import logging

from hellojohn._errors import ConfigurationError, StoreError, StoreLocked
from hellojohn.stores.file import FileStore
from hellojohn.stores.keyring import KeyringStore

logger = logging.getLogger("hellojohn")


def default_store(app: str) -> KeyringStore | FileStore:
    """Return the system's keyring where a secure one works, else private files; log which and why at INFO.

    The keyring is tried by reading, and nothing is written. It may ask the user to unlock it. One that stays
    locked is not replaced by files: at the next start it may be open, and their sessions would be out of use.

    Args:
        app: The app's name: the keyring's service, or the folder of the files.

    Raises:
        ConfigurationError: ``app`` is no name.
        StoreLocked: The keyring is locked. Unlock it, or choose ``FileStore(app=app)`` yourself.
    """
    files = FileStore(app=app)
    try:
        store = KeyringStore(app)
        store.load("probe")
    except StoreLocked:
        raise
    except (ConfigurationError, StoreError) as error:
        reason = str(error)
    else:
        logger.info("Sessions of %s are kept in the system keyring (%s): it is secure.", app, store.backend)
        return store
    logger.info("Sessions of %s are kept in private files in %s: %s", app, files.path, reason)
    return files
