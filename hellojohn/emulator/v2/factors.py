"""Second factors of a tenant's users: authenticator apps, codes by mail or message, and recovery codes.

Times come from the injected clock. The service holds a lock around every call.
"""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from hellojohn._secret import Secret
from hellojohn.emulator.v2.names import new_code
from hellojohn.emulator.v2.problems import V2Problem
from hellojohn.emulator.v2.records import User

KINDS: Final = ("totp", "sms", "email")
CODE_LIFE: Final = 300
_STEP: Final = 30
_DIGITS: Final = 6
_RECOVERY_CODES: Final = 10
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_HOUR: Final = 3_600.0
_MOST_RECOVERY_FAILURES: Final = 10
_MOST_SENT_CODES: Final = 5
_MOST_WRONG_CODES: Final = 5


@dataclass(slots=True)
class _App:
    """An authenticator app."""

    secret: Secret
    fixed_code: Secret | None = None
    confirmed: bool = False
    last_step: int = -1


@dataclass(slots=True)
class _Sent:
    """A code that was sent."""

    code: Secret
    expires_at: float
    wrong: int = 0


@dataclass(slots=True)
class _Mine:
    """What one user has."""

    app: _App | None = None
    installed: tuple[str, ...] = ()
    recovery: list[Secret] = field(default_factory=list[Secret])
    preferred: str | None = None
    sent: dict[str, _Sent] = field(default_factory=dict[str, _Sent])
    sent_at: list[float] = field(default_factory=list[float])
    recovery_failed_at: list[float] = field(default_factory=list[float])


class Factors:
    """The second factors of every user."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start without any."""
        self._clock = clock
        self._users: dict[str, _Mine] = {}

    # The factors of a user

    def install(self, user: User, *, code: Secret | None, kinds: tuple[str, ...]) -> None:
        """Give a user second factors: an app that always shows ``code``, and kinds whose codes are sent."""
        mine = self._of(user.id)
        mine.installed = kinds
        if code is not None:
            mine.app = _App(_new_secret(), fixed_code=code, confirmed=True)

    def available(self, user: User) -> list[str]:
        """Return the factors that the user can give. A verified address is one."""
        mine = self._of(user.id)
        has = {
            "totp": mine.app is not None and mine.app.confirmed,
            "sms": "sms" in mine.installed,
            "email": user.verified,
        }
        return [kind for kind in KINDS if has[kind]]

    def preferred(self, user: User) -> str:
        """Return the factor to ask for first."""
        available, wanted = self.available(user), self._of(user.id).preferred
        if wanted in available:
            return wanted
        return available[0] if available else ""

    def prefer(self, user: User, kind: str) -> None:
        """Change the factor to ask for first."""
        self._of(user.id).preferred = kind

    def are_demanded(self, user: User) -> bool:
        """Return whether the user cannot sign in with the password alone."""
        mine = self._of(user.id)
        return bool(mine.installed) or (mine.app is not None and mine.app.confirmed)

    def current_code(self, user_id: str) -> str | None:
        """Return the code that the user's app shows now, or ``None`` without an app."""
        app = self._of(user_id).app
        return None if app is None else _code(app, self._step()).reveal()

    # The authenticator app

    def enroll(self, user_id: str) -> Secret:
        """Give the user a new app, and return its secret. An app that was confirmed stays so."""
        mine = self._of(user_id)
        mine.app = _App(_new_secret(), confirmed=mine.app is not None and mine.app.confirmed)
        return mine.app.secret

    def confirm(self, user_id: str, code: Secret) -> list[Secret] | None:
        """Confirm the app with a code; return recovery codes the first time, and ``None`` later.

        Raises:
            V2Problem: No app was enrolled, or the code is wrong.
        """
        mine = self._of(user_id)
        app = self._app(user_id)
        if not self.is_right(user_id, "totp", code):
            raise V2Problem("invalid_mfa_code")
        first, app.confirmed = not app.confirmed, True
        return self.new_recovery_codes(user_id) if first and not mine.recovery else None

    def disable(self, user_id: str) -> None:
        """Take the app and the recovery codes away."""
        mine = self._of(user_id)
        mine.app, mine.recovery, mine.installed = None, [], ()

    def need_app(self, user_id: str) -> None:
        """Refuse a user without a confirmed app."""
        if not self._app(user_id).confirmed:
            raise V2Problem("mfa_not_initialized")

    # Codes

    def send(self, user_id: str, kind: str) -> Secret:
        """Return a new code to be sent.

        Raises:
            V2Problem: There were too many in the last hour.
        """
        mine, now = self._of(user_id), self._clock()
        mine.sent_at = [when for when in mine.sent_at if now - when < _HOUR]
        if len(mine.sent_at) >= _MOST_SENT_CODES:
            raise V2Problem("RATE_LIMIT_EXCEEDED", "Email MFA rate limit exceeded")
        mine.sent_at.append(now)
        mine.sent[kind] = _Sent(new_code(), now + CODE_LIFE)
        return mine.sent[kind].code

    def is_right(self, user_id: str, kind: str, code: Secret) -> bool:
        """Use up a code, and return whether it was right."""
        return self._is_shown(user_id, code) if kind == "totp" else self._was_sent(user_id, kind, code)

    def is_recovery_code(self, user_id: str, code: Secret) -> bool:
        """Use up a recovery code, and return whether it was right.

        Raises:
            V2Problem: There were too many wrong ones in the last hour.
        """
        mine, now = self._of(user_id), self._clock()
        mine.recovery_failed_at = [when for when in mine.recovery_failed_at if now - when < _HOUR]
        if len(mine.recovery_failed_at) >= _MOST_RECOVERY_FAILURES:
            raise V2Problem("RATE_LIMIT_EXCEEDED")
        if code in mine.recovery:
            mine.recovery.remove(code)
            return True
        mine.recovery_failed_at.append(now)
        return False

    def new_recovery_codes(self, user_id: str) -> list[Secret]:
        """Return new recovery codes. The old ones stop working."""
        codes = [
            Secret("".join(secrets.choice(_ALPHABET) for _ in range(10))) for _ in range(_RECOVERY_CODES)
        ]
        self._of(user_id).recovery = list(codes)
        return codes

    def _is_shown(self, user_id: str, code: Secret) -> bool:
        app = self._of(user_id).app
        if app is None:
            return False
        if app.fixed_code is not None:
            return code == app.fixed_code
        now = self._step()
        for step in (now - 1, now, now + 1):
            if step > app.last_step and code == _code(app, step):
                app.last_step = step
                return True
        return False

    def _was_sent(self, user_id: str, kind: str, code: Secret) -> bool:
        sent = self._of(user_id).sent.get(kind)
        if sent is None or self._clock() >= sent.expires_at or sent.wrong >= _MOST_WRONG_CODES:
            return False
        if code != sent.code:
            sent.wrong += 1
            return False
        del self._of(user_id).sent[kind]
        return True

    def _app(self, user_id: str) -> _App:
        app = self._of(user_id).app
        if app is None:
            raise V2Problem("mfa_not_initialized")
        return app

    def _step(self) -> int:
        return int(self._clock()) // _STEP

    def _of(self, user_id: str) -> _Mine:
        return self._users.setdefault(user_id, _Mine())


def _new_secret() -> Secret:
    return Secret(base64.b32encode(secrets.token_bytes(20)).decode())


def _code(app: _App, step: int) -> Secret:
    if app.fixed_code is not None:
        return app.fixed_code
    totp = TOTP(base64.b32decode(app.secret.reveal()), _DIGITS, SHA1(), _STEP, enforce_key_length=False)  # noqa: S303 - apps know no other
    return Secret(totp.generate(step * _STEP).decode())
