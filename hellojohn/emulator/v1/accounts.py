"""The users of a tenant: their addresses, passwords and states.

Pure, with the clock injected. ``rules`` holds the lock around every call. It knows no session.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from hellojohn._secret import Secret
from hellojohn.emulator.records import AccountState, NewUser
from hellojohn.emulator.v1.names import new_id
from hellojohn.emulator.v1.problems import V1Problem
from hellojohn.emulator.v1.records import User

_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_LONGEST_EMAIL: Final = 254
_SHORTEST_PASSWORD: Final = 8


class Accounts:
    """The users, found by id, or by email in any case."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start without users."""
        self._clock = clock
        self._users: dict[str, User] = {}
        self._ids_by_email: dict[str, str] = {}

    def add(self, new: NewUser) -> User:
        """Add a user.

        Raises:
            V1Problem: The email is malformed or taken.
        """
        if len(new.email) > _LONGEST_EMAIL or not _EMAIL.fullmatch(new.email):
            raise V1Problem("invalid_email")
        if new.email.casefold() in self._ids_by_email:
            raise V1Problem("email_already_exists")
        user = User(
            id=new_id("usr"),
            email=new.email,
            password=new.password,
            profile=new.profile,
            access=new.access,
            created_at=self._clock(),
            verified=new.verified,
        )
        self._users[user.id] = user
        self._ids_by_email[user.email.casefold()] = user.id
        return user

    def get(self, user_id: str) -> User:
        """Return a user by id.

        Raises:
            V1Problem: The user is unknown.
        """
        if user_id not in self._users:
            raise V1Problem("not_found", "There is no such user.")
        return self._users[user_id]

    def exists(self, user_id: str) -> bool:
        """Return whether a user was added and not deleted."""
        return user_id in self._users

    def find(self, email: str) -> User | None:
        """Return a user by email, or ``None``."""
        return self._users.get(self._ids_by_email.get(email.casefold(), ""))

    def named(self, email: str) -> User:
        """Return a user by email.

        Raises:
            V1Problem: The user is unknown.
        """
        return self.get(self._ids_by_email.get(email.casefold(), ""))

    def is_disabled(self, user_id: str) -> bool:
        """Return whether a user exists and is disabled."""
        user = self._users.get(user_id)
        return user is not None and user.state is AccountState.DISABLED

    def set_state(self, email: str, state: AccountState) -> User:
        """Lock, disable or enable an account.

        Raises:
            V1Problem: The user is unknown.
        """
        return self._keep(replace(self.named(email), state=state))

    def set_password(self, user_id: str, password: Secret) -> User:
        """Replace a password."""
        return self._keep(replace(self.get(user_id), password=password))

    def verify(self, user_id: str) -> User:
        """Note that the user receives mail at the address."""
        return self._keep(replace(self.get(user_id), verified=True))

    def delete(self, email: str) -> User:
        """Delete a user.

        Raises:
            V1Problem: The user is unknown.
        """
        user = self.named(email)
        del self._users[user.id], self._ids_by_email[user.email.casefold()]
        return user

    def authenticate(self, email: str, password: Secret) -> User:
        """Return the user with this email and password.

        Raises:
            V1Problem: The credentials are wrong, or the account may not sign in.
        """
        user = self.find(email)
        if user is None or user.password != password:
            raise V1Problem("invalid_credentials")
        check_state(user)
        return user

    def _keep(self, user: User) -> User:
        self._users[user.id] = user
        return user


def check_state(user: User) -> None:
    """Refuse a user who may not sign in."""
    if user.state is AccountState.LOCKED:
        raise V1Problem("account_locked")
    if user.state is AccountState.DISABLED:
        raise V1Problem("account_disabled")


def check_password(password: Secret) -> None:
    """Refuse a password that is too weak to be set."""
    if len(password.reveal()) < _SHORTEST_PASSWORD:
        raise V1Problem("password_too_weak")
