"""The clients, users and values that the recordings name."""

import base64
import hashlib

from hellojohn._secret import Secret
from hellojohn.emulator.records import NewUser, Profile
from hellojohn.emulator.v2.policy import PasswordPolicy
from hellojohn.emulator.v2.records import Client

START = 1_700_000_000.0
PASSWORD = "Correct-Horse-9-Battery"
NEW_PASSWORD = "Other-Horse-10-Battery"
ANA = "ana@example.test"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CALLBACK = "http://127.0.0.1:8765/callback"
REDIRECTS = (CALLBACK, "http://localhost:3000/callback")
SCOPES = ("openid", "profile", "email", "profile:read")
MORE_SCOPES = (*SCOPES, "offline_access")
REPORTS = ("reports:read", "reports:write")
STRICT = PasswordPolicy(min_length=12, uppercase=True, symbol=True)
STRICTER = PasswordPolicy(min_length=14, uppercase=True, symbol=True, history=3)
WORKER_SECRET = "worker-secret"

CLIENTS = (
    Client(id="web", scopes=SCOPES, redirect_uris=("http://localhost:3000/callback",)),
    Client(id="web2", scopes=("openid",)),
    Client(id="verify", scopes=SCOPES, verified_only=True),
    Client(id="social", providers=("google",)),
    Client(id="noprov", providers=()),
    Client(id="short", access_token_ttl=2, refresh_token_ttl=3),
    Client(id="brief", refresh_token_ttl=3),
    Client(id="one", access_token_ttl=1, refresh_token_ttl=60),
    Client(id="gone"),
    Client(id="uniq"),
    Client(id="conf", type="confidential", secret=Secret("conf-secret")),
    Client(id="m2m", type="confidential", auth_profile="m2m", secret=Secret("m2m-secret")),
    Client(id="plu", post_logout_redirect_uris=("https://app.example.test/bye",)),
    Client(id="web-acme", scopes=MORE_SCOPES, redirect_uris=REDIRECTS),
    Client(id="native-acme", scopes=MORE_SCOPES, auth_profile="native", redirect_uris=REDIRECTS),
    Client(id="strict-acme", scopes=MORE_SCOPES, verified_only=True),
    Client(id="web-consent", scopes=MORE_SCOPES, redirect_uris=REDIRECTS),
    Client(
        id="worker-acme",
        type="confidential",
        auth_profile="m2m",
        secret=Secret(WORKER_SECRET),
        scopes=REPORTS,
        redirect_uris=(),
    ),
    Client(
        id="ssr-acme",
        type="confidential",
        auth_profile="web_ssr",
        secret=Secret("ssr-secret"),
        scopes=MORE_SCOPES,
    ),
)


def users(file: str) -> NewUser:
    """Return Ana as a file of recordings knows her."""
    if file == "sessions":
        return NewUser(email=ANA, password=Secret(PASSWORD), verified=False)
    return NewUser(email=ANA, password=Secret(PASSWORD), profile=Profile("Ana Example"), verified=True)
