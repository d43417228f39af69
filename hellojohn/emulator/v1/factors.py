"""Second factors: authenticator apps, codes by mail or text message, and recovery codes.

Times come from the injected clock. ``rules`` holds the lock around every call.
"""

import base64
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from hellojohn._secret import Secret
from hellojohn.emulator.mail import Inbox, Mail
from hellojohn.emulator.records import NewUser
from hellojohn.emulator.v1.names import new_id
from hellojohn.emulator.v1.problems import V1Problem
from hellojohn.emulator.v1.records import Factor, User

TYPES: Final = ("totp", "email_otp", "sms")
RECOVERY: Final = "backup_codes"
_STEP: Final = 30
_DIGITS: Final = 6
_CODE_LIFE: Final = 300.0
_RECOVERY_CODES: Final = 8
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_ANY_PHONE: Final = "+15550100"
_NAMES: Final = {"totp": "Authenticator App", "email_otp": "Email", "sms": "Text message"}


class Factors:
    """The second factors of every user."""

    def __init__(self, clock: Callable[[], float], inbox: Inbox) -> None:
        """Start without any."""
        self._clock = clock
        self._inbox = inbox
        self._factors: dict[str, Factor] = {}
        self._sent: dict[str, tuple[Secret, float]] = {}
        self._recovery: dict[str, list[Secret]] = {}

    # Enrolment

    def enroll(self, user: User, kind: str, *, name: str | None = None, to: str | None = None) -> Factor:
        """Begin an enrolment. A code that is needed for it is sent at once.

        Raises:
            V1Problem: The kind of factor is unknown, or a telephone number is missing.
        """
        factor = self._keep(self._make(user, kind, name=name, to=to))
        if factor.to is not None:
            self._send(factor)
        return factor

    def install(self, user: User, new: NewUser) -> None:
        """Give a new user the second factors asked for, active at once.

        Raises:
            V1Problem: The kind of factor is unknown.
        """
        fixed = () if new.mfa_code is None else ("totp",)
        for kind in (*fixed, *new.factors):
            factor = self._make(user, kind, name=None, to=_ANY_PHONE)
            code = new.mfa_code if kind == "totp" else None
            self._keep(replace(factor, status="active", fixed_code=code))

    def confirm(self, user_id: str, factor_id: str, code: Secret) -> Factor:
        """Finish an enrolment with a first code. A new authenticator app replaces the old one.

        Raises:
            V1Problem: The factor is unknown, or the code is wrong.
        """
        factor = self.get(user_id, factor_id)
        self._use(factor, code)
        for old in self._active(user_id):
            if old.type == factor.type and old.id != factor.id:
                del self._factors[old.id]
        return self._keep(replace(self._factors[factor_id], status="active"))

    def remove(self, user_id: str, factor_id: str) -> None:
        """Remove a factor. Without one, the user has no recovery codes either.

        Raises:
            V1Problem: The factor is unknown.
        """
        del self._factors[self.get(user_id, factor_id).id]
        if not self._active(user_id):
            self._recovery.pop(user_id, None)

    def new_recovery_codes(self, user_id: str) -> list[Secret]:
        """Return new recovery codes. The old ones stop working."""
        codes = [Secret(f"{_letters(4)}-{_letters(4)}") for _ in range(_RECOVERY_CODES)]
        self._recovery[user_id] = list(codes)
        return codes

    def get(self, user_id: str, factor_id: str) -> Factor:
        """Return a factor of a user.

        Raises:
            V1Problem: The factor is unknown.
        """
        factor = self._factors.get(factor_id)
        if factor is None or factor.user_id != user_id:
            raise V1Problem("not_found", "There is no such factor.")
        return factor

    def of(self, user_id: str) -> list[Factor]:
        """Return the factors of a user, also those whose enrolment is not finished."""
        return [factor for factor in self._factors.values() if factor.user_id == user_id]

    # Signing in

    def available(self, user_id: str) -> list[str]:
        """Return the factors that can answer a challenge: their types, recovery codes last."""
        types = list(dict.fromkeys(factor.type for factor in self._active(user_id)))
        return [*types, RECOVERY] if types and self._recovery.get(user_id) else types

    def send(self, user_id: str, name: str | None) -> Factor:
        """Send a code, and return the factor that it is for.

        Args:
            user_id: Who signs in.
            name: The factor's id or type; ``None`` for the first that takes codes by mail or message.

        Raises:
            V1Problem: The factor is unknown, or it takes no codes by mail or message.
        """
        for factor in self._active(user_id):
            if factor.to is not None and name in (None, factor.id, factor.type):
                self._send(factor)
                return factor
        raise V1Problem("validation_failed", "factor_id names no factor whose codes are sent.")

    def check(self, user_id: str, name: str, code: Secret) -> None:
        """Use up a code.

        Args:
            user_id: Who signs in.
            name: The factor's id or type, or ``backup_codes``.
            code: The code.

        Raises:
            V1Problem: The code is wrong or was used.
        """
        if name == RECOVERY:
            self._use_recovery(user_id, code)
            return
        named = [factor for factor in self._active(user_id) if name in (factor.id, factor.type)]
        if not named:
            raise V1Problem("invalid_mfa_code")
        self._use(named[0], code)

    def current_code(self, user_id: str) -> str:
        """Return the code that the user's authenticator app shows now.

        Raises:
            V1Problem: The user has no authenticator app.
        """
        apps = [factor for factor in self.of(user_id) if factor.type == "totp"]
        if not apps:
            raise V1Problem("not_found", "The user has no authenticator app.")
        return self._code(apps[-1], int(self._clock()) // _STEP).reveal()

    def _make(self, user: User, kind: str, *, name: str | None, to: str | None) -> Factor:
        if kind not in TYPES:
            raise V1Problem("validation_failed", f"A second factor is one of {', '.join(TYPES)}.")
        if kind == "sms" and to is None:
            raise V1Problem("validation_failed", "phone_number is missing.")
        return Factor(
            id=new_id("fac"),
            user_id=user.id,
            type=kind,
            name=name or _NAMES[kind],
            status="pending",
            created_at=self._clock(),
            secret=Secret(base64.b32encode(secrets.token_bytes(20)).decode()) if kind == "totp" else None,
            to={"email_otp": user.email, "sms": to}.get(kind),
        )

    def _active(self, user_id: str) -> list[Factor]:
        return [factor for factor in self.of(user_id) if factor.status == "active"]

    def _use(self, factor: Factor, code: Secret) -> None:
        step = self._matching_step(factor, code) if factor.type == "totp" else self._sent_step(factor, code)
        if step is None:
            raise V1Problem("invalid_mfa_code")
        self._keep(replace(factor, last_step=step, last_used_at=self._clock()))

    def _matching_step(self, factor: Factor, code: Secret) -> int | None:
        if factor.fixed_code is not None:
            return factor.last_step if code == factor.fixed_code else None
        now = int(self._clock()) // _STEP
        steps = [step for step in (now - 1, now, now + 1) if step > factor.last_step]
        return next((step for step in steps if code == self._code(factor, step)), None)

    def _sent_step(self, factor: Factor, code: Secret) -> int | None:
        expected, ends = self._sent.get(factor.id, (None, 0.0))
        if code != expected or self._clock() >= ends:
            return None
        del self._sent[factor.id]
        return factor.last_step

    def _use_recovery(self, user_id: str, code: Secret) -> None:
        codes = self._recovery.get(user_id, [])
        if code not in codes:
            raise V1Problem("invalid_mfa_code")
        codes.remove(code)

    def _code(self, factor: Factor, step: int) -> Secret:
        if factor.fixed_code is not None:
            return factor.fixed_code
        key = base64.b32decode(_secret_of(factor))
        totp = TOTP(key, _DIGITS, SHA1(), _STEP, enforce_key_length=False)  # noqa: S303 - RFC 6238 names it
        return Secret(totp.generate(step * _STEP).decode())

    def _send(self, factor: Factor) -> None:
        code = f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}}"
        self._sent[factor.id] = (Secret(code), self._clock() + _CODE_LIFE)
        mail = Mail(to=factor.to or "", subject="Your sign-in code", code=code, sent_at=self._clock())
        self._inbox.deliver(mail)

    def _keep(self, factor: Factor) -> Factor:
        self._factors[factor.id] = factor
        return factor


def otpauth_uri(factor: Factor, email: str) -> str:
    """Return the address that an authenticator app reads from a QR code."""
    label = quote(f"HelloJohn:{email}", safe=":")
    return f"otpauth://totp/{label}?secret={_secret_of(factor)}&issuer=HelloJohn"


def _secret_of(factor: Factor) -> str:
    return "" if factor.secret is None else factor.secret.reveal()


def _letters(count: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))
