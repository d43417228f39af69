"""The store for an app that leaves the choice to the SDK."""

from hellojohn._errors import ConfigurationError, StoreError, StoreLocked
from hellojohn._logs import logger_of
from hellojohn.stores.file import FileStore
from hellojohn.stores.keyring import KeyringStore

logger = logger_of("hellojohn")


def default_store(app: str) -> KeyringStore | FileStore:
    """Return the system's keyring where a secure one works, else private files; log which and why at INFO.

    The keyring is tried by reading, and nothing is written. It may ask the user to unlock it. If it stays
    locked, files do not replace it: it may be open at the next start, and the sessions in files out of sight.

    Args:
        app: The app's name: that of the keyring's entries, or of the folder of the files.

    Raises:
        ConfigurationError: ``app`` is not a name, or this user has neither a keyring nor a folder for files.
        StoreLocked: The keyring is locked. Unlock it, or choose ``FileStore(app=app)`` yourself.
    """
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
    files = FileStore(app=app)
    logger.info("Sessions of %s are kept in private files in %s: %s", app, files.path, reason)
    return files
