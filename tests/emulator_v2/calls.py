"""An app that calls the emulated server over plain HTTP, without the SDK."""

from dataclasses import dataclass
from typing import Any

import httpx
import jwt

from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from tests.emulator_v2.named import CALLBACK, CHALLENGE, VERIFIER


@dataclass
class App:
    """An app that calls the server as its only client does."""

    emulator: Emulator
    http: httpx.Client

    def post(self, path: str, body: dict[str, object], **headers: str) -> httpx.Response:
        """Send JSON with the tenant and the client. A header's name is written with underscores."""
        ids = {"tenant_id": self.emulator.tenant_id, "client_id": self.emulator.client_id}
        return self.http.post(path, json={**ids, **body}, headers=named(headers))

    def sign_in(self, email: str = DEMO_EMAIL, password: str = DEMO_PASSWORD, **headers: str) -> Any:
        """Sign a user in, and return the answer's JSON."""
        return self.post("/v2/auth/login", {"email": email, "password": password}, **headers).json()

    def refresh(self, token: str) -> httpx.Response:
        """Refresh a session."""
        return self.post("/v2/auth/refresh", {"refresh_token": token})

    def sign_out(self, token: str) -> httpx.Response:
        """Sign out."""
        return self.post("/v2/auth/logout", {"refresh_token": token}, Authorization="Bearer x")

    def get(self, path: str, token: str = "", **query: str) -> httpx.Response:
        """Send a GET with an access token."""
        headers = {"X-Tenant-ID": self.emulator.tenant_id, **bearer(token)}
        return self.http.get(path, params=query, headers=headers)

    def mfa(self, path: str, token: str = "", **body: object) -> httpx.Response:
        """Make a call about second factors."""
        headers = {"X_Tenant_ID": self.emulator.tenant_id, **bearer(token)}
        return self.post(f"/v2/mfa/{path}", body, **headers)

    def admin(self, method: str, path: str, body: object = None, *, key: str | None = None) -> httpx.Response:
        """Make an administrator's call."""
        headers = {"X-API-Key": self.emulator.secret_key if key is None else key}
        url = f"/v2/admin/tenants/{self.emulator.tenant_id}/{path}"
        return self.http.request(method, url, json=body, headers=headers)

    def authorization_url(self, **changed: str) -> str:
        """Return the address that an app sends the browser to."""
        query = {
            "response_type": "code",
            "client_id": self.emulator.client_id or "",
            "redirect_uri": CALLBACK,
            "scope": "openid profile",
            "state": "st-1",
            "nonce": "nn-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return str(httpx.URL(f"{self.emulator.url}/oauth2/authorize", params={**query, **changed}))

    def redeem(self, code: str) -> httpx.Response:
        """Send a code to the token endpoint."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "client_id": self.emulator.client_id or "",
            "code_verifier": VERIFIER,
        }
        return self.http.post("/oauth2/token", data=form)

    def service_token(self, client_id: str, secret: str, **form: str) -> httpx.Response:
        """Ask for a service token."""
        data = {"grant_type": "client_credentials", **form}
        return self.http.post("/oauth2/token", data=data, auth=(client_id, secret))


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries an access token, if there is one."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def named(headers: dict[str, str]) -> dict[str, str]:
    """Return headers under their real names."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


def refusal(response: httpx.Response) -> tuple[int, str, str | None]:
    """Return the status, the code and the detail of a refusal."""
    body = response.json()
    return response.status_code, body["code"], body.get("detail")


def claims(token: str) -> dict[str, Any]:
    """Return the claims of a token."""
    return jwt.decode(token, options={"verify_signature": False})
