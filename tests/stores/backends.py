"""A keyring backend in memory, with the limits and the habits of real ones."""

import time

import keyring.errors

SECRET_SERVICE = "keyring.backends.SecretService"
WINDOWS = "keyring.backends.Windows"
MACOS = "keyring.backends.macOS"
PLAIN = "keyrings.alt.file"
COMPANY = "company.keyring"


class Killed(BaseException):
    """Stands for a process that is killed at this point."""


class Vault:
    """Entries in memory. Make it with ``vault``.

    Attributes:
        entries: The texts by service and name.
        calls: The calls in order: ``get``, ``set``, ``delete``, and ``add`` on macOS.
        die_at: The number of calls until one raises ``error``; never if negative.
        failing: The beginning of the calls that always raise ``error``, or ``None``.
    """

    largest = 1_000_000
    deletes_first = False
    priority: float = 5

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}
        self.calls: list[str] = []
        self.die_at = -1
        self.failing: str | None = None
        self.error: BaseException = Killed()

    def get_password(self, service, username):
        """Return an entry."""
        self._count("get")
        return self.entries.get((service, username))

    def set_password(self, service, username, password):
        """Write an entry, unless it is too long."""
        self._count("set")
        if len(password.encode("utf-16-le")) > self.largest:
            raise OSError(1783, "CredWrite", "The stub received bad data.")
        if self.deletes_first:
            self.entries.pop((service, username), None)
            time.sleep(0)
            self._count("add")
        self.entries[service, username] = password

    def delete_password(self, service, username):
        """Remove an entry, or raise as real backends do."""
        self._count("delete")
        if self.entries.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError(service)

    def _count(self, call: str) -> None:
        if self.die_at == 0 or (self.failing is not None and call.startswith(self.failing)):
            raise self.error
        self.die_at -= 1
        self.calls.append(call)


def vault(module: str = SECRET_SERVICE, base: type = Vault, **habits: object) -> Vault:
    """Return a vault whose class comes from ``module``, with the habits of the backend there.

    Args:
        module: Where the store thinks that the backend comes from.
        base: The class to derive from, for backends that derive from others.
        habits: Attributes of the class, such as ``largest``.
    """
    known = {WINDOWS: {"largest": 2560}, MACOS: {"deletes_first": True}}
    return type("Keyring", (base,), {"__module__": module, **known.get(module, {}), **habits})()


def failing(error: BaseException, call: str = "") -> Vault:
    """Return a vault whose calls raise ``error``, all of them or those that begin with ``call``."""
    backend = vault()
    backend.error, backend.failing = error, call
    return backend
