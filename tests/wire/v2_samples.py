"""Answers of the open-source server, written by hand in the shapes that it uses."""

from typing import Any

from hellojohn._models import User
from hellojohn._secret import Secret
from hellojohn._wire import ApiResponse, SignedIn
from hellojohn._wire.v2 import V2
from tests.wire.samples import ISSUED, reply, token

USER_ID = "7d2d8f0e-3f6c-4a53-9d0e-1c5a7f9b2c11"
ACCESS_TOKEN = token(
    aud="web", amr=["pwd"], iat=ISSUED, exp=ISSUED + 900, iss="https://auth.example.com/t/acme", sub=USER_ID
)
API_KEY = Secret("hj_t_acme_0123")
SIGNED_IN = {
    "access_token": ACCESS_TOKEN,
    "token_type": "Bearer",
    "expires_in": 899,
    "refresh_token": "rt_1",
}
MFA_REQUIRED = {
    "mfa_required": True,
    "mfa_token": "mfa_1",
    "amr": ["pwd"],
    "available_factors": ["totp", "email"],
    "preferred_factor": "email",
}
MESSAGES = {
    "BAD_REQUEST": "The request has invalid syntax or missing parameters.",
    "UNAUTHORIZED": "Unauthorized. Authentication is required.",
}
ADA = SignedIn(Secret(ACCESS_TOKEN), User(USER_ID))

v2 = V2("acme", "web", API_KEY, base_url="https://auth.example.com")


def refused(code: str, detail: str | None = None, *, status: int = 401, **headers: str) -> ApiResponse:
    """Return an error in the server's shape."""
    body: dict[str, Any] = {"code": code, "message": MESSAGES.get(code, "Words.")}
    if detail is not None:
        body["detail"] = detail
    return reply(status, body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def oauth_refused(error: str, description: str, *, status: int = 400) -> ApiResponse:
    """Return an error of the OAuth routes."""
    return reply(status, {"error": error, "error_description": description})
