"""Writes the answers of v2, and the cookies that come with them. Pure."""

from typing import Final

from starlette.responses import RedirectResponse, Response

from hellojohn._secret import Secret
from hellojohn.emulator.responses import json_response
from hellojohn.emulator.v2.authorization import SESSION_LIFE
from hellojohn.emulator.v2.challenges import DEVICE_LIFE
from hellojohn.emulator.v2.errors import JSON_HEADERS, NO_STORE
from hellojohn.emulator.v2.names import digest
from hellojohn.emulator.v2.records import Client
from hellojohn.emulator.v2.rules import Due, Grant

SESSION_COOKIE: Final = "sid"
DEVICE_COOKIE: Final = "__Host-hj-trusted"
_FOUND: Final = 302


def answer(value: dict[str, object], *, status: int = 200) -> Response:
    """Return a JSON answer that no cache keeps."""
    return json_response(value, status=status, headers=JSON_HEADERS)


def nothing() -> Response:
    """Return 204."""
    return Response(status_code=204, headers=NO_STORE)


def redirect(url: str) -> Response:
    """Send the browser to another address. The address is sent letter by letter."""
    response = RedirectResponse("/", _FOUND, NO_STORE)
    response.headers["Location"] = url
    response.headers["Content-Type"] = "text/html; charset=utf-8"
    return response


def signed_in(result: Grant | Due, **more: object) -> Response:
    """Return the answer to a sign-in: tokens, or the second factor that is due. Both are 200."""
    if isinstance(result, Grant):
        return answer({**more, **tokens(result)})
    return answer(
        {
            "mfa_required": True,
            "mfa_token": result.token.reveal(),
            "amr": ["pwd"],
            "available_factors": result.available,
            "preferred_factor": result.preferred,
        }
    )


def tokens(grant: Grant) -> dict[str, object]:
    """Return a pair of tokens as JSON. It names neither the user nor the session."""
    return {
        "access_token": grant.access_token.reveal(),
        "token_type": "Bearer",
        "expires_in": grant.expires_in,
        "refresh_token": grant.refresh_token.reveal(),
    }


def client_json(client: Client) -> dict[str, object]:
    """Return a client as an administrator sees it, with the hash of its secret."""
    shown: dict[str, object] = {
        "id": "",
        "name": client.name or client.id,
        "client_id": client.id,
        "type": client.type,
        "auth_profile": client.auth_profile,
    }
    optional: dict[str, object] = {
        "redirect_uris": list(client.redirect_uris),
        "providers": list(client.providers),
        "scopes": list(client.scopes),
        "grant_types": list(client.grants),
        "secret_hash": None if client.secret is None else digest(client.secret).hex(),
        "require_email_verification": client.verified_only,
        "access_token_ttl": client.access_token_ttl,
        "refresh_token_ttl": client.refresh_token_ttl,
    }
    return {**shown, **{name: value for name, value in optional.items() if value}}


def set_session_cookie(response: Response, cookie: Secret) -> None:
    """Sign the browser in at the server's own address."""
    response.set_cookie(
        SESSION_COOKIE,
        cookie.reveal(),
        max_age=SESSION_LIFE,
        expires=SESSION_LIFE,
        httponly=True,
        samesite="lax",
    )


def end_session_cookie(response: Response) -> None:
    """Sign the browser out."""
    response.set_cookie(SESSION_COOKIE, "", max_age=0, expires=0, httponly=True, samesite="lax")


def set_device_cookie(response: Response, token: Secret) -> None:
    """Let the browser sign in without a second factor. The cookie is ``Secure``, also on plain http."""
    response.set_cookie(
        DEVICE_COOKIE, token.reveal(), max_age=DEVICE_LIFE, httponly=True, secure=True, samesite="strict"
    )
