"""The users of a tenant: their addresses, passwords and states.

Pure. The service holds a lock around every call.
"""

from dataclasses import replace

from hellojohn._secret import Secret
from hellojohn.emulator.records import NewUser
from hellojohn.emulator.v2.names import new_id
from hellojohn.emulator.v2.records import User


class Accounts:
    """The users, found by id, or by email in any case."""

    def __init__(self) -> None:
        """Start without users."""
        self._users: dict[str, User] = {}
        self._ids_by_email: dict[str, str] = {}

    def add(self, new: NewUser) -> User | None:
        """Add a user, or return ``None`` when the address is taken. Its form is not checked."""
        email = _normal(new.email)
        if email in self._ids_by_email:
            return None
        user = User(
            id=new_id(),
            email=email,
            password=new.password,
            history=(new.password,),
            profile=new.profile,
            access=new.access,
            verified=new.verified,
        )
        self._ids_by_email[email] = user.id
        return self.keep(user)

    def get(self, user_id: str) -> User | None:
        """Return a user by id."""
        return self._users.get(user_id)

    def find(self, email: str) -> User | None:
        """Return a user by email."""
        return self._users.get(self._ids_by_email.get(_normal(email), ""))

    def keep(self, user: User) -> User:
        """Replace a user by a changed one."""
        self._users[user.id] = user
        return user

    def set_password(self, user: User, password: Secret) -> User:
        """Replace a password."""
        return self.keep(replace(user, password=password, history=(*user.history, password)))

    def delete(self, user: User) -> None:
        """Delete a user."""
        del self._users[user.id], self._ids_by_email[user.email]


def _normal(email: str) -> str:
    return email.strip().lower()
