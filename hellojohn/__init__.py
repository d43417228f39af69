"""Sign in to HelloJohn, stay signed in, and know when it is over.

``HelloJohn`` and ``AsyncHelloJohn`` are the clients; everything public can be imported from here.
"""

from typing import TYPE_CHECKING

from hellojohn._auth import AsyncAuth, Auth
from hellojohn._client import AsyncHelloJohn, HelloJohn
from hellojohn._errors import (
    AccountDisabled,
    AccountLocked,
    ApiError,
    ConfigurationError,
    Conflict,
    ExpiryReason,
    HelloJohnError,
    InvalidCredentials,
    MfaChallenge,
    MfaRequired,
    NotFound,
    NotSignedIn,
    PermissionDenied,
    RateLimited,
    ServiceUnavailable,
    SessionExpired,
    SignInRequired,
    StoreCorrupt,
    StoreError,
    StoreLocked,
    StoreUnavailable,
    TokenExpired,
    TokenInvalid,
    UnknownKey,
    ValidationFailed,
    WrongAudience,
    WrongIssuer,
)
from hellojohn._models import AuthEvent, AuthEventType, Session, SessionOptions, User
from hellojohn._version import __version__
from hellojohn.stores import MemoryStore, TokenStore

if TYPE_CHECKING:
    from hellojohn.stores import FileStore

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
    "ExpiryReason",
    "FileStore",
    "HelloJohn",
    "HelloJohnError",
    "InvalidCredentials",
    "MemoryStore",
    "MfaChallenge",
    "MfaRequired",
    "NotFound",
    "NotSignedIn",
    "PermissionDenied",
    "RateLimited",
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
]


def __getattr__(name: str) -> object:
    """Load a store, and what it needs, when it is first asked for."""
    from hellojohn import stores  # noqa: PLC0415 - this module is not complete before

    if name not in stores.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(stores, name)
    found.__module__ = __name__
    return found


for _name in __all__:
    if hasattr(globals().get(_name), "__module__"):
        globals()[_name].__module__ = __name__
