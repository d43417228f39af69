"""A running emulator with the tenants, clients and users that the recordings name, on a clock that stands."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx

from hellojohn._secret import Secret
from hellojohn.emulator import Emulator
from hellojohn.emulator.records import NewUser
from hellojohn.emulator.v2.records import Client, Database, User
from hellojohn.emulator.v2.server import ADMIN_PASSWORD, Server
from hellojohn.emulator.v2.service import V2Service
from hellojohn.emulator.v2.tenants import Tenant
from tests.emulator_v2.named import (
    ANA,
    CALLBACK,
    CHALLENGE,
    CLIENTS,
    MORE_SCOPES,
    NEW_PASSWORD,
    PASSWORD,
    REDIRECTS,
    STRICT,
    VERIFIER,
    WORKER_SECRET,
)


class World:
    """The state before a recording, and the values that its request mentions.

    Attributes:
        emulator: The emulator.
        http: A client that follows no redirect and keeps no cookie.
        recording: The name of the recording.
        known: The values of the placeholders in requests, by name.
    """

    def __init__(self, emulator: Emulator, http: httpx.Client, *, ana: NewUser, recording: str) -> None:
        """Add everything that the recordings name."""
        self.emulator = emulator
        self.http = http
        self.recording = recording
        service = emulator._service
        assert isinstance(service, V2Service)
        self.server: Server = service.server
        for slug in ("acme", "glob", "nodb", "strict", "ttl", "lock", "beta"):
            self._add_tenant(slug, ana)
        self.tenant("glob").issuer_mode = "global"
        self.tenant("nodb").database = Database.UNKNOWN
        self.tenant("strict").policy = STRICT
        self.tenant("ttl").access_token_ttl = 300
        self.tenant("ttl").refresh_token_ttl = 2
        self.known: dict[str, str] = {
            "password": PASSWORD,
            "new_password": NEW_PASSWORD,
            "admin_password": ADMIN_PASSWORD,
            "tenant_uuid": self.tenant("acme").id,
            "uuid": str(uuid.uuid4()),
            "code_challenge": CHALLENGE,
            "code_verifier": VERIFIER,
            "opaque": "o" * 43,
            "client_secret": WORKER_SECRET,
            "client_id:client_secret": f"worker-acme:{WORKER_SECRET}",
            "refresh_token": "A" * 43,
        }

    def _add_tenant(self, slug: str, ana: NewUser) -> None:
        tenant = self.server.add_tenant(slug)
        tenant.clients = {client.id: client for client in CLIENTS}
        tenant.clients[f"web-{slug}"] = Client(id=f"web-{slug}", scopes=MORE_SCOPES, redirect_uris=REDIRECTS)
        tenant.stored.accounts.add(ana)

    # Parts

    def tenant(self, slug: str = "acme") -> Tenant:
        """Return a tenant."""
        tenant = self.server.directory.find(slug)
        assert tenant is not None
        return tenant

    def user(self, email: str = ANA, tenant: str = "acme") -> User:
        """Return a user."""
        user = self.tenant(tenant).stored.accounts.find(email)
        assert user is not None
        return user

    def change_client(self, client: Client, tenant: str = "acme") -> None:
        """Replace a client."""
        self.tenant(tenant).clients[client.id] = client

    def switch(self, **switches: bool) -> None:
        """Change switches of the server."""
        self.emulator.configure(**switches)  # type: ignore[arg-type]

    def know(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """Remember the tokens of an answer."""
        for name in ("access_token", "refresh_token", "mfa_token"):
            if name in answer:
                self.known[name] = answer[name]
        for name in ("jwt", "jwt access_token"):
            self.known[name] = self.known.get("access_token", "")
        return answer

    def post(self, path: str, body: Mapping[str, object], **headers: str) -> Any:
        """Send JSON, and return the JSON that came back."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.http.post(path, json=body, headers=named)
        assert response.status_code < 300, response.text
        return response.json() if response.content else {}

    def advance(self, **units: float) -> None:
        """Move the clock by the arguments of a ``timedelta``."""
        self.emulator.advance(timedelta(**units))

    # What people do

    def add_user(self, email: str, tenant: str = "acme", **details: Any) -> User:
        """Add a user."""
        user = self.tenant(tenant).stored.accounts.add(
            NewUser(email=email, password=Secret(PASSWORD), **{"verified": False, **details})
        )
        assert user is not None
        return user

    def sign_in(self, email: str = ANA, client: str = "web", tenant: str = "acme") -> Mapping[str, Any]:
        """Sign a user in, and remember the tokens."""
        body = {"tenant_id": tenant, "client_id": client, "email": email, "password": PASSWORD}
        answer = self.post("/v2/auth/login", body)
        self.known["uuid"] = self.user(email, tenant).id
        return self.know(answer)

    def refresh(
        self, token: str | None = None, client: str = "web", tenant: str = "acme"
    ) -> Mapping[str, Any]:
        """Refresh a session, and remember the tokens."""
        token = token or self.known["refresh_token"]
        body = {"tenant_id": tenant, "client_id": client, "refresh_token": token}
        return self.know(self.post("/v2/auth/refresh", body))

    def refresh_by_oauth(self, client: str = "web", tenant: str = "acme") -> Mapping[str, Any]:
        """Refresh a session at the token endpoint, and remember the tokens."""
        form = {
            "grant_type": "refresh_token",
            "client_id": client,
            "refresh_token": self.known["refresh_token"],
        }
        response = self.http.post("/oauth2/token", data=form, headers={"X-Tenant-ID": tenant})
        assert response.status_code == 200, response.text
        return self.know(response.json())

    def sign_out(self, **more: str) -> None:
        """End the session of the known refresh token. A test that needs no success does not look at it."""
        body = {"tenant_id": "acme", "client_id": "web", "refresh_token": self.known["refresh_token"], **more}
        self.http.post("/v2/auth/logout", json=body, headers={"Authorization": "Bearer x"})

    def signed_out(self) -> None:
        """Sign Ana in and out."""
        self.sign_in()
        self.sign_out()

    def rotated(self) -> tuple[str, str]:
        """Sign Ana in and refresh once; return the first refresh token and the newest."""
        first = self.sign_in()["refresh_token"]
        return first, self.refresh()["refresh_token"]

    def present(self, token: str, client: str = "web") -> int:
        """Present a refresh token, and return the status of the answer."""
        body = {"tenant_id": "acme", "client_id": client, "refresh_token": token}
        return self.http.post("/v2/auth/refresh", json=body).status_code

    def become_administrator(self) -> None:
        """Sign an administrator in."""
        self.known["access_token"] = self.server.admin_tokens()[0].reveal()

    def disable(self, email: str) -> None:
        """Disable a user as an administrator does."""
        user = self.user(email)
        self.tenant().stored.accounts.keep(replace(user, disabled=True))
        self.server.rules.revoke_user(self.tenant(), user.id)

    def enable(self, email: str) -> None:
        """Enable a user as an administrator does."""
        self.tenant().stored.accounts.keep(replace(self.user(email), disabled=False))

    def rotate_keys(self, keep_old: float | None) -> None:
        """Rotate a tenant's keys."""
        self.tenant().keys.rotate(keep_old=keep_old)

    # Second factors

    def enroll(self, client: str = "web-acme") -> None:
        """Sign Ana in, and begin the enrolment of an authenticator app."""
        self.switch(mended=True)
        self.sign_in(client=client)
        self.post("/v2/mfa/totp/enroll", {}, **self.bearer())

    def confirm(self) -> None:
        """Enrol and confirm an authenticator app. Its next code is good half a minute later."""
        self.enroll()
        codes = self.post("/v2/mfa/totp/verify", {"code": self.code()}, **self.bearer())
        self.known["recovery"] = codes["recovery_codes"][0]
        self.advance(seconds=60)
        self.known["code"] = self.code()

    def challenge(self, **details: Any) -> None:
        """Confirm an app, and sign in up to the second factor."""
        self.confirm()
        self.begin(**details)

    def begin(self, tenant: str = "acme") -> None:
        """Sign in up to the second factor."""
        body = {"tenant_id": tenant, "client_id": "web-acme", "email": ANA, "password": PASSWORD}
        self.known["mfa_token"] = self.post("/v2/auth/login", body)["mfa_token"]

    def answer(self, kind: str = "totp", **fields: object) -> httpx.Response:
        """Answer the challenge."""
        body = {"mfa_token": self.known["mfa_token"], **fields}
        return self.http.post(f"/v2/mfa/{kind}/challenge", json=body, headers={"X-Tenant-ID": "acme"})

    def send_code(self) -> None:
        """Have a code mailed."""
        self.post("/v2/mfa/email/send", {"mfa_token": self.known["mfa_token"]}, X_Tenant_ID="acme")
        self.known["code"] = self.emulator.inbox.latest(ANA).code or ""

    def code(self) -> str:
        """Return the code that Ana's authenticator app shows."""
        code = self.tenant().stored.factors.current_code(self.user().id)
        assert code is not None
        return code

    def bearer(self) -> dict[str, str]:
        """Return the headers of a signed-in call about second factors."""
        return {"Authorization": f"Bearer {self.known['access_token']}", "X_Tenant_ID": "acme"}

    # Mails and browsers

    def mailed_token(self, path: str, email: str, client: str, tenant: str = "acme", **more: str) -> str:
        """Have a link mailed, and return its token."""
        self.post(path, {"tenant_id": tenant, "client_id": client, "email": email, **more})
        link = self.emulator.inbox.latest(email).link
        assert link is not None
        return httpx.URL(link).params["token"]

    def browser_session(self, **named: str) -> None:
        """Sign a browser in, and remember its cookie."""
        body = {"email": ANA, "password": PASSWORD, **named}
        headers = {"X-Tenant-ID": "acme"} if "client_id" in named else {}
        response = self.http.post("/v2/session/login", json=body, headers=headers)
        self.known["cookie sid"] = response.cookies["sid"]
        self.http.cookies.clear()

    def authorization_code(self, **more: str) -> None:
        """Sign a browser in, and remember the code that the app receives."""
        self.browser_session(tenant_id="acme")
        query = {
            "response_type": "code",
            "client_id": "native-acme",
            "redirect_uri": CALLBACK,
            "scope": "openid profile email offline_access",
            "nonce": "nn-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        cookie = {"Cookie": f"sid={self.known['cookie sid']}"}
        response = self.http.get("/oauth2/authorize", params={**query, **more}, headers=cookie)
        self.known["code"] = httpx.URL(response.headers["Location"]).params["code"]

    def redeem(self, **changed: str) -> httpx.Response:
        """Send the code to the token endpoint."""
        form = {
            "grant_type": "authorization_code",
            "code": self.known["code"],
            "redirect_uri": CALLBACK,
            "client_id": "native-acme",
            "code_verifier": VERIFIER,
        }
        kept = {name: value for name, value in {**form, **changed}.items() if value}
        return self.http.post("/oauth2/token", data=kept)

    def csrf(self) -> None:
        """Remember a CSRF token."""
        token = self.http.get("/v2/csrf").json()["csrf_token"]
        self.http.cookies.clear()
        self.known |= {"csrf_token": token, "cookie csrf_token": token}
