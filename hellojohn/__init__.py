"""Sign in to HelloJohn, stay signed in, and know when it is over.

``HelloJohn`` and ``AsyncHelloJohn`` are the clients; everything public can be imported from here.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from hellojohn._version import __version__

if TYPE_CHECKING:
    from hellojohn._public import *  # noqa: F403
    from hellojohn.stores import EncryptedStore, FileStore, KeyringStore, RedisStore, default_store

__all__ = [
    "AccountDisabled",
    "AccountLocked",
    "ApiError",
    "AsyncAuth",
    "AsyncHelloJohn",
    "Auth",
    "AuthEvent",
    "AuthEventType",
    "ConfigurationError",
    "Conflict",
    "Diagnosis",
    "EncryptedStore",
    "ExpiryReason",
    "FileStore",
    "HelloJohn",
    "HelloJohnError",
    "InvalidCredentials",
    "KeyringStore",
    "MemoryStore",
    "MfaChallenge",
    "MfaRequired",
    "NotFound",
    "NotSignedIn",
    "PermissionDenied",
    "RateLimited",
    "RedisStore",
    "ServiceUnavailable",
    "Session",
    "SessionExpired",
    "SessionOptions",
    "SignInRequired",
    "StoreCorrupt",
    "StoreError",
    "StoreLocked",
    "StoreUnavailable",
    "TokenExpired",
    "TokenInvalid",
    "TokenStore",
    "UnknownKey",
    "User",
    "ValidationFailed",
    "WrongAudience",
    "WrongIssuer",
    "__version__",
    "default_store",
]


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """Load the client, or a store and what it needs, when it is first asked for: importing costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    public = import_module("hellojohn._public")
    home = public if hasattr(public, name) else import_module("hellojohn.stores")
    found = globals()[name] = getattr(home, name)
    found.__module__ = __name__
    return found
