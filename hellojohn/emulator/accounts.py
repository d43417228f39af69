"""Who there is and who may sign in: users, passwords and second factors.

Pure, with the clock injected, and not safe to share between threads by itself: ``rules`` holds the lock. It
knows no session.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from hellojohn._secret import Secret
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.records import AccountState, Challenge, Device, Profile, User

FACTOR: Final = "totp"
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_LONGEST_EMAIL = 254
_CHALLENGE_LIFE = 300.0


class Accounts:
    """The users of a tenant, found by id or, whatever its case, by email."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start with nobody."""
        self._clock = clock
        self._users: dict[str, User] = {}
        self._ids_by_email: dict[str, str] = {}
        self._challenges: dict[str, Challenge] = {}

    def add(self, email: str, password: Secret, *, profile: Profile, mfa_code: Secret | None) -> User:
        """Add a user.

        Raises:
            ApiProblem: The email is not one, or it is taken.
        """
        if len(email) > _LONGEST_EMAIL or not _EMAIL.fullmatch(email):
            raise ApiProblem("invalid_email")
        if email.casefold() in self._ids_by_email:
            raise ApiProblem("email_already_exists")
        user = User(name("usr"), email, password, profile, mfa_code, self._clock())
        self._users[user.id] = user
        self._ids_by_email[email.casefold()] = user.id
        return user

    def get(self, user_id: str) -> User:
        """Return a user by id.

        Raises:
            ApiProblem: There is no such user.
        """
        if user_id not in self._users:
            raise ApiProblem("not_found", "There is no such user.")
        return self._users[user_id]

    def set_state(self, email: str, state: AccountState) -> None:
        """Lock or disable an account, or let it in again.

        Raises:
            ApiProblem: There is no such user.
        """
        user = self.get(self._ids_by_email.get(email.casefold(), ""))
        self._users[user.id] = replace(user, state=state)

    def authenticate(self, email: str, password: Secret) -> User:
        """Return the user whose password this is.

        Raises:
            ApiProblem: The credentials are wrong, or the account may not sign in.
        """
        user = self._users.get(self._ids_by_email.get(email.casefold(), ""))
        if user is None or user.password != password:
            raise ApiProblem("invalid_credentials")
        _check_state(user)
        return user

    def challenge(self, user: User, *, duration: str | None, device: Device) -> ApiProblem:
        """Return the refusal that asks for a user's second factor, and remember the sign-in it puts off."""
        challenge_id = name("chl")
        self._challenges[challenge_id] = Challenge(user.id, duration, device, self._clock() + _CHALLENGE_LIFE)
        return ApiProblem("mfa_required", challenge_id=challenge_id, available_factors=[FACTOR])

    def answer(self, challenge_id: str, factor: str, code: Secret) -> Challenge:
        """Return the sign-in that waited for its second factor. A challenge serves once.

        Raises:
            ApiProblem: The challenge is over, the factor or the code is wrong, or the account may not sign in.
        """
        challenge = self._challenges.get(challenge_id)
        if challenge is None or self._clock() >= challenge.expires_at:
            raise ApiProblem("mfa_challenge_expired")
        user = self._users[challenge.user_id]
        if factor != FACTOR or user.mfa_code != code:
            raise ApiProblem("invalid_mfa_code")
        _check_state(user)
        return self._challenges.pop(challenge_id)


def name(prefix: str) -> str:
    """Make an id."""
    return f"{prefix}_{secrets.token_hex(12)}"


def _check_state(user: User) -> None:
    if user.state is AccountState.LOCKED:
        raise ApiProblem("account_locked")
    if user.state is AccountState.DISABLED:
        raise ApiProblem("account_disabled")
