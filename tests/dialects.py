"""Tests that run on both dialects of the service, and the different names for the same things there.

A test whose behaviour touches the dialect is marked with ``both_dialects``. The others run on v1 only.
"""

from typing import Final, Literal

import pytest

from hellojohn import Session
from hellojohn.emulator import Emulator

Api = Literal["v1", "v2"]

both_dialects = pytest.mark.parametrize("api", ["v1", "v2"])

on_both_emulators = pytest.mark.parametrize("emulator", ["v1", "v2"], indirect=True)
"""The same where ``api`` is the name of something else."""

A_NEW_SECOND: Final = "2s"
"""Move the clock so far for other tokens: v2's tokens of one second can be the same text."""

_ROUTES: Final = {
    "v1": {
        "sign-in": "auth/sign-in",
        "refresh": "token/refresh",
        "sign-out": "auth/sign-out",
        "second factor": "mfa/verify",
        "code": "auth/oauth/{provider}/callback",
    },
    "v2": {
        "sign-in": "auth/login",
        "refresh": "auth/refresh",
        "sign-out": "auth/logout",
        "second factor": "mfa/totp/challenge",
        "code": "oauth2/token",
    },
}


def route(emulator: Emulator, call: str) -> str:
    """Return the route that a call of the client uses, for ``calls``, ``hold`` and ``fail``."""
    return _ROUTES[emulator.api][call]


def active(emulator: Emulator) -> list[str]:
    """Return the sessions that live at the service, by the names that ``name_of`` gives them."""
    living = [session for session in emulator.sessions() if session.status == "active"]
    return [session.id if emulator.api == "v1" else session.user_id or "" for session in living]


def name_of(session: Session) -> str:
    """Return the id of a session, or of its user where the service names no sessions."""
    return session.id or session.user.id
