"""A port that a test names before anything listens on it."""

import random
import socket
from itertools import count

_FIRST, _PORTS = 20_000, 12_000
"""Ports that no system gives out by itself, neither to a listener on port 0 nor to a connection."""

_turns = count(random.SystemRandom().randrange(_PORTS))


def free_port() -> int:
    """Return a free port that this process has not asked for before."""
    while True:
        port = _FIRST + next(_turns) % _PORTS
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
