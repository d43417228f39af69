"""The tenant's database, which a test takes away and brings back."""

import subprocess
from contextlib import ExitStack
from typing import Protocol

from hellojohn.emulator import Emulator


class Database(Protocol):
    """A database that can be stopped."""

    def stop(self) -> None:
        """Stop it."""
        ...

    def start(self) -> None:
        """Start it, unless it runs."""
        ...


class CommandedDatabase:
    """A database that a command stops and starts: the command is run with ``stop`` or ``start``."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._is_running = True

    def stop(self) -> None:
        """Stop it."""
        subprocess.run([self._command, "stop"], check=True, timeout=60)
        self._is_running = False

    def start(self) -> None:
        """Start it, unless it runs."""
        if not self._is_running:
            subprocess.run([self._command, "start"], check=True, timeout=60)
            self._is_running = True


class EmulatedDatabase:
    """The emulator's database."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._outage = ExitStack()

    def stop(self) -> None:
        """Stop it."""
        self._outage.enter_context(self._emulator.database_away())

    def start(self) -> None:
        """Start it, unless it runs."""
        self._outage.close()
