"""Moments of a session, and its end as an app meets it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from hellojohn import ExpiryReason, SessionExpired
from tests.behaviour.scripted import START
from tests.both_faces import settle

HOUR, DAY = 3_600.0, 86_400.0


def moment(seconds: float) -> datetime:
    """Return the time so many seconds after ``START``."""
    return datetime.fromtimestamp(START + seconds, UTC)


async def over(hj: Any, reason: ExpiryReason) -> SessionExpired:
    """Check that the session has ended for a reason; return the error."""
    with pytest.raises(SessionExpired) as caught:
        await settle(hj.auth.access_token())
    assert caught.value.reason is reason
    return caught.value
