"""Writes answers: the documented JSON shapes, and the errors. Pure; it knows no request and no rule."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.records import Grant, Session, User
from hellojohn.emulator.tokens import AccessToken

Shape = Literal["nested", "flat"]
RATE_LIMIT: Final = 60


def signed_in(grant: Grant, token: AccessToken, *, shape: Shape) -> dict[str, object]:
    """Return the answer to a sign-in or a sign-up, in either documented shape."""
    session = grant.session
    if shape == "flat":
        return {**refreshed(grant, token), "session_id": session.id}
    return {
        "user": user_json(grant.user),
        "session": {
            "id": session.id,
            "access_token": token.text.reveal(),
            "refresh_token": grant.refresh_token.reveal(),
            "access_token_expires_at": timestamp(token.expires_at),
            "refresh_token_expires_at": timestamp(session.expires_at),
        },
    }


def refreshed(grant: Grant, token: AccessToken) -> dict[str, object]:
    """Return the answer to a refresh."""
    return {
        "access_token": token.text.reveal(),
        "refresh_token": grant.refresh_token.reveal(),
        "expires_in": token.ttl,
    }


def user_json(user: User) -> dict[str, object]:
    """Return a user as the API shows one."""
    return {
        "id": user.id,
        "email": user.email,
        "name": user.profile.name,
        "username": user.profile.username,
        "metadata": dict(user.profile.metadata),
        "email_verified": True,
        "created_at": timestamp(user.created_at),
    }


def session_json(session: Session, *, tenant_id: str) -> dict[str, object]:
    """Return a session as the API shows one."""
    return {
        "id": session.id,
        "user_id": session.user_id,
        "tenant_id": tenant_id,
        "status": session.status.value,
        "user_agent": session.device.user_agent,
        "ip_address": session.device.ip_address,
        "country": None,
        "device_type": None,
        "created_at": timestamp(session.created_at),
        "last_active_at": timestamp(session.last_active_at),
        "expires_at": timestamp(session.expires_at),
    }


def page_json(
    data: list[dict[str, object]], *, total: int, limit: int, cursor: str | None
) -> dict[str, object]:
    """Return one page of a list."""
    pagination = {"total": total, "limit": limit, "has_more": cursor is not None, "next_cursor": cursor}
    return {"data": data, "pagination": pagination}


def error_json(refusal: ApiProblem, *, request_id: str) -> dict[str, object]:
    """Return an error in the shape most of the API uses."""
    return {
        "error": {
            "code": refusal.code,
            "message": refusal.message,
            "status": refusal.status,
            "request_id": request_id,
            **refusal.details,
        }
    }


def rate_limited_json(retry_after: float | str | None) -> dict[str, object]:
    """Return the error in the shape the rate limiter uses."""
    wait = retry_after if isinstance(retry_after, int | float) else None
    return {
        "error": "rate_limit_exceeded",
        "message": "Too many requests. Wait and try again.",
        "retry_after": wait,
    }


def rate_limit_headers(retry_after: float | str | None, *, now: float) -> dict[str, str]:
    """Return the rate limiter's headers."""
    wait = retry_after if isinstance(retry_after, int | float) else 0
    return {
        "X-RateLimit-Limit": str(RATE_LIMIT),
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int(now + wait)),
    }


def encode(value: Mapping[str, object]) -> bytes:
    """Return JSON that is ASCII, so that any text a client sent can be sent back."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def timestamp(when: float) -> str:
    """Return ISO 8601 in UTC with milliseconds."""
    text = datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
