"""Keyring backends for tests: in memory, with the limits and the habits of real ones."""

import time

import keyring.errors


class Killed(BaseException):
    """The process was killed here, as far as the store can tell."""


class Vault:
    """Entries in memory, replaced in one step; ``die_at`` counts the calls until one fails."""

    priority = 5
    largest = 1_000_000

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}
        self.calls: list[str] = []
        self.die_at = -1
        self.error: BaseException = Killed()

    def get_password(self, service, username):
        """Return an entry."""
        self._count("get")
        return self.entries.get((service, username))

    def set_password(self, service, username, password):
        """Write an entry, if it is not too long."""
        self._count("set")
        if len(password.encode("utf-16-le")) > self.largest:
            raise OSError(1783, "CredWrite", "The stub received bad data.")
        self._replace((service, username), password)

    def delete_password(self, service, username):
        """Remove an entry, or raise as real backends do."""
        self._count("delete")
        if self.entries.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError(service)

    def _replace(self, place, password):
        self.entries[place] = password

    def _count(self, call: str) -> None:
        if self.die_at == 0:
            raise self.error
        self.die_at -= 1
        self.calls.append(call)


class SecretService(Vault):
    """Takes long entries."""

    __module__ = "keyring.backends.SecretService"


class WinVault(Vault):
    """Takes 2,560 bytes of UTF-16 an entry."""

    __module__ = "keyring.backends.Windows"
    largest = 2560


class Keychain(Vault):
    """Deletes an entry before it writes the new one, as macOS does."""

    __module__ = "keyring.backends.macOS"

    def _replace(self, place, password):
        self.entries.pop(place, None)
        time.sleep(0)
        self._count("add")
        self.entries[place] = password


class PlaintextKeyring(Vault):
    """Keeps a plain file."""

    __module__ = "keyrings.alt.file"
    priority = 5


class Failing(Vault):
    """Raises the error it is given."""

    def __init__(self, error: Exception, *, only: str = "") -> None:
        super().__init__()
        self.error, self.only = error, only

    def _count(self, call: str) -> None:
        if call.startswith(self.only):
            raise self.error
