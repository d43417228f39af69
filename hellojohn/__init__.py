"""Sign in to HelloJohn, stay signed in, and know when the session is over.

``HelloJohn`` and ``AsyncHelloJohn`` are the clients. Every public name can be imported from here.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from hellojohn._version import __version__

if TYPE_CHECKING:
    from hellojohn._auth import *  # noqa: F403
    from hellojohn._client import *  # noqa: F403
    from hellojohn._details import *  # noqa: F403
    from hellojohn._doctor import *  # noqa: F403
    from hellojohn._errors import *  # noqa: F403
    from hellojohn._mfa import *  # noqa: F403
    from hellojohn._models import *  # noqa: F403
    from hellojohn._oauth import *  # noqa: F403
    from hellojohn._policy import *  # noqa: F403
    from hellojohn.admin import *  # noqa: F403
    from hellojohn.stores import *  # noqa: F403
    from hellojohn.verify import *  # noqa: F403

__all__ = [
    "AccountDisabled",
    "AccountLocked",
    "Admin",
    "ApiError",
    "AsyncAdmin",
    "AsyncAuth",
    "AsyncConfig",
    "AsyncHelloJohn",
    "AsyncMfa",
    "AsyncRevocations",
    "AsyncSessions",
    "Auth",
    "AuthEvent",
    "AuthEventType",
    "ChallengeExpired",
    "Config",
    "ConfigurationError",
    "Conflict",
    "Device",
    "Diagnosis",
    "EmailNotVerified",
    "EncryptedStore",
    "ExpiryReason",
    "FileStore",
    "HelloJohn",
    "HelloJohnError",
    "InvalidCredentials",
    "KeyringStore",
    "KeysUnavailable",
    "LockedValue",
    "MemoryStore",
    "Mfa",
    "MfaChallenge",
    "MfaFactor",
    "MfaRequired",
    "NotFound",
    "NotSignedIn",
    "NotSupported",
    "OAuthRequest",
    "PasswordPolicy",
    "PermissionDenied",
    "PolicyWarning",
    "RateLimited",
    "RedisStore",
    "Revocations",
    "ServiceUnavailable",
    "Session",
    "SessionExpired",
    "SessionInfo",
    "SessionOptions",
    "SessionPolicy",
    "Sessions",
    "SignInRequired",
    "SignInSuperseded",
    "StoreCorrupt",
    "StoreError",
    "StoreLocked",
    "StoreUnavailable",
    "TokenClaims",
    "TokenExpired",
    "TokenInvalid",
    "TokenRefusal",
    "TokenRevoked",
    "TokenStore",
    "TotpEnrollment",
    "UnknownKey",
    "User",
    "ValidationFailed",
    "Verification",
    "WebhookEvent",
    "WebhookInvalid",
    "WrongAudience",
    "WrongIssuer",
    "WrongTenant",
    "__version__",
    "default_store",
]

# Where the names are, in the order in which they are looked for: what costs more to load comes later.
_MODULES = (
    "_errors",
    "_models",
    "_details",
    "_client",
    "_auth",
    "_doctor",
    "_mfa",
    "_oauth",
    "_policy",
    "admin",
    "stores",
    "verify",
)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """Load a public name when it is first used, so that importing the package costs next to nothing."""
    if name in __all__:
        for module in _MODULES:
            home = import_module(f"hellojohn.{module}")
            if hasattr(home, name):
                found = globals()[name] = getattr(home, name)
                found.__module__ = __name__
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
