"""Writes the documented JSON shapes of v1. Pure; it knows no request and no rule."""

from typing import Final, Literal

from hellojohn.emulator.responses import timestamp
from hellojohn.emulator.v1.factors import otpauth_uri
from hellojohn.emulator.v1.records import Factor, Grant, Session, User
from hellojohn.emulator.v1.tokens import AccessToken

Shape = Literal["nested", "flat"]
SENT: Final[dict[str, object]] = {"message": "If there is an account, a mail is on its way."}


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
        "email_verified": user.verified,
        "created_at": timestamp(user.created_at),
    }


def session_json(session: Session, *, tenant_id: str) -> dict[str, object]:
    """Return a session as the API shows one."""
    user_agent = session.device.user_agent
    return {
        "id": session.id,
        "user_id": session.user_id,
        "tenant_id": tenant_id,
        "status": session.status.value,
        "user_agent": user_agent,
        "ip_address": session.device.ip_address,
        "country": None,
        "device_type": None if user_agent is None else _device_type(user_agent),
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


def factor_json(factor: Factor) -> dict[str, object]:
    """Return a second factor as the API shows one."""
    shown: dict[str, object] = {
        "id": factor.id,
        "user_id": factor.user_id,
        "type": factor.type,
        "name": factor.name,
        "status": factor.status,
        "created_at": timestamp(factor.created_at),
    }
    if factor.last_used_at is not None:
        shown["last_used_at"] = timestamp(factor.last_used_at)
    return shown


def enrollment_json(factor: Factor, user: User) -> dict[str, object]:
    """Return the answer to the beginning of an enrolment."""
    shown: dict[str, object] = {"factor_id": factor.id, "type": factor.type, "status": factor.status}
    if factor.secret is not None:
        shown["totp"] = {"secret": factor.secret.reveal(), "uri": otpauth_uri(factor, user.email)}
    if factor.type == "email_otp":
        name, _, domain = user.email.partition("@")
        shown["email"] = f"{name[:1]}***@{domain}"
    if factor.type == "sms":
        shown["phone_number"] = f"***{(factor.to or '')[-4:]}"
    return shown


def _device_type(user_agent: str) -> str:
    return "mobile" if "Mobile" in user_agent else "desktop"
