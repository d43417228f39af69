"""The authorization and token endpoints, and the login page that browsers are sent to."""

import base64
from typing import Final
from urllib.parse import parse_qsl, quote, unquote_plus, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from hellojohn._secret import Secret
from hellojohn.emulator.addresses import with_query
from hellojohn.emulator.pages import Form, credentials, leave_for, page
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.v2.authorization import Asked, invalid_grant
from hellojohn.emulator.v2.names import new_token
from hellojohn.emulator.v2.problems import OAuthProblem, V2Problem
from hellojohn.emulator.v2.records import FIRST_ACCESS_LIFE, Client
from hellojohn.emulator.v2.requests import Values, cookie, named_tenant, read_form
from hellojohn.emulator.v2.responses import (
    SESSION_COOKIE,
    answer,
    redirect,
    set_session_cookie,
    tokens,
)
from hellojohn.emulator.v2.rules import Grant
from hellojohn.emulator.v2.server import Server
from hellojohn.emulator.v2.tenants import Tenant
from hellojohn.emulator.v2.tokens import REFRESHED

AUTHORIZE: Final = "/oauth2/authorize"
LOGIN_PAGE: Final = "/login"
_DEVICE_COOKIE: Final = "mfa_trust"
_TITLE: Final = "Sign in"
_NEEDED: Final = {
    "authorization_code": ("code", "redirect_uri", "code_verifier"),
    "refresh_token": ("refresh_token",),
    "client_credentials": (),
}


class OAuthRoutes:
    """The handlers. Each takes a request, and returns an answer or raises ``ApiProblem``."""

    def __init__(self, server: Server) -> None:
        """Serve this server."""
        self._server = server
        self._authorization = server.authorization

    # In the browser

    def authorize(self, request: Request) -> Response:
        """Send the browser to the app with a code, or to the login page.

        An error that goes back to the app carries no state. Most errors do not go back: the browser shows
        them. ``prompt`` counts only as ``none``.
        """
        asked = self._authorization.check(request.query_params)
        if not set(asked.scope.split()) <= set(asked.client.scopes):
            return _to_app(asked, "invalid_scope", "scope not allowed")
        user = self._authorization.user_of(cookie(request, SESSION_COOKIE), asked.tenant)
        if user is None and "none" in request.query_params.get("prompt", "").split():
            return _to_app(asked, "login_required", "login required")
        if user is None:
            url = self._server.issuer.url
            return_to = f"{url}{AUTHORIZE}?{request.url.query}"
            return redirect(f"{url}{LOGIN_PAGE}?return_to={quote(return_to, safe='')}")
        demanded = asked.tenant.data.factors.are_demanded(user)
        if demanded and not self._server.challenges.is_remembered(user, cookie(request, _DEVICE_COOKIE)):
            # The server opens no challenge under this token: nothing can be done with it.
            return answer({"status": "mfa_required", "mfa_token": new_token().reveal()})
        return redirect(self._authorization.grant(asked, user))

    def login_page(self, request: Request) -> Response:
        """Show the login page that a deployer would make."""
        return self._page(request.query_params.get("return_to", ""))

    def submit_login(self, request: Request) -> Response:
        """Sign the browser in, and send it on to where it came from."""
        fields = read_form(request)
        return_to, email = fields.text("return_to"), fields.text("email")
        try:
            asked = self._asked(return_to)
            user = self._server.rules.authenticate(asked.tenant, email, fields.secret("password"))
        except ApiProblem as problem:
            return self._page(return_to, email=email, problem=problem)
        response = leave_for(return_to)
        set_session_cookie(response, self._authorization.open_session(asked.tenant.slug, user))
        return response

    def approve(self, url: str, email: str) -> str:
        """Do the browser's part of a sign-in, and return the address that it ends on.

        Raises:
            V2Problem: The server refuses the address, or the user is unknown.
        """
        asked = self._asked(url)
        user = asked.tenant.data.accounts.find(email)
        if user is None:
            raise V2Problem("user_not_found")
        return self._authorization.grant(asked, user)

    # The token endpoint

    def token(self, request: Request) -> Response:
        """Return tokens for a code, a refresh token, or a client's own secret."""
        form = read_form(request)
        client_id, secret = _client_of(request, form)
        grant_type = form.text("grant_type")
        handlers = {
            "authorization_code": self._redeem,
            "refresh_token": self._refresh,
            "client_credentials": self._client_credentials,
        }
        if grant_type not in handlers:
            raise _unsupported()
        needed = _NEEDED[grant_type]
        if not client_id or not all(form.text(name) for name in needed):
            raise OAuthProblem("invalid_request", "Missing or invalid parameters")
        found = self._find_client(request, client_id)
        if found is None:
            raise _invalid_client()
        tenant, client = found
        if grant_type not in client.grants and grant_type != "client_credentials":
            raise _unsupported()
        return handlers[grant_type](request, tenant, client, form, secret)

    def _redeem(
        self, _request: Request, _tenant: Tenant, client: Client, form: Values, _secret: Secret
    ) -> Response:
        redeemed = self._authorization.redeem(
            form.secret("code"),
            client_id=client.id,
            redirect_uri=form.text("redirect_uri"),
            verifier=form.secret("code_verifier"),
        )
        grant = Grant(redeemed.access_token, redeemed.refresh_token, redeemed.expires_in)
        return answer({**tokens(grant), "id_token": redeemed.id_token.reveal(), "scope": redeemed.scope})

    def _refresh(
        self, request: Request, tenant: Tenant, client: Client, form: Values, _secret: Secret
    ) -> Response:
        """Replace a refresh token. The new access token has no scopes."""
        try:
            used = self._server.rules.usable(tenant, client.id, form.token("refresh_token"))
        except V2Problem:
            raise invalid_grant() from None
        by_id = named_tenant(request) == tenant.id
        usual, refresh_life = tenant.ttls(client)
        life = usual if by_id else client.access_token_ttl or FIRST_ACCESS_LIFE
        access = self._server.issuer.for_oauth(
            tenant, subject=used.user.id, client_id=client.id, ttl=life, amr=REFRESHED, by_id=by_id, scp=[]
        )
        refresh = self._server.rules.rotate(tenant, used.token, refresh_life)
        return answer(tokens(Grant(access, refresh, life - 1)))

    def _client_credentials(
        self, request: Request, tenant: Tenant, client: Client, form: Values, secret: Secret
    ) -> Response:
        """Return a token for the client itself. Scopes are granted all or not at all."""
        if client.type != "confidential":
            raise _unsupported()
        if client.secret is None or secret != client.secret:
            raise _invalid_client()
        scopes = form.text("scope").split() or list(client.scopes)
        if not set(scopes) <= set(client.scopes):
            raise OAuthProblem("invalid_scope", "Requested scope is invalid or not allowed")
        life, text = client.access_token_ttl or FIRST_ACCESS_LIFE, " ".join(scopes)
        access = self._server.issuer.for_oauth(
            tenant,
            subject=client.id,
            client_id=client.id,
            ttl=life,
            amr=("client",),
            by_id=named_tenant(request) == tenant.id,
            scope=text,
            scp=text,
        )
        return answer(
            {"access_token": access.reveal(), "token_type": "Bearer", "expires_in": life - 1, "scope": text}
        )

    def _find_client(self, request: Request, client_id: str) -> tuple[Tenant, Client] | None:
        """Return a client of the tenant that the request names, or else of the first that has it."""
        tenant = self._server.directory.find(named_tenant(request))
        client = None if tenant is None else tenant.client(client_id)
        if tenant is not None and client is not None:
            return tenant, client
        return self._server.directory.with_client(client_id)

    def _asked(self, url: str) -> Asked:
        """Check the authorization request in an address."""
        parts = urlsplit(url)
        here = urlsplit(self._server.issuer.url)
        if (parts.scheme, parts.netloc, parts.path) != (here.scheme, here.netloc, AUTHORIZE):
            raise V2Problem("BAD_REQUEST")
        return self._authorization.check(dict(parse_qsl(parts.query)))

    def _page(self, return_to: str, *, email: str = "", problem: ApiProblem | None = None) -> Response:
        hidden = {"return_to": return_to}
        form = Form(action=LOGIN_PAGE, button=_TITLE, inputs=credentials(email), hidden=hidden)
        said = None if problem is None else problem.message
        status = 200 if problem is None else problem.status
        return page(_TITLE, "Sign in as one of the emulator's users.", form=form, problem=said, status=status)


def _client_of(request: Request, form: Values) -> tuple[str, Secret]:
    """Return the client and its secret, from Basic authentication or from the form."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client_id, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
        except ValueError:
            return "", Secret("")
        return unquote_plus(client_id), Secret(unquote_plus(secret))
    return form.text("client_id"), form.secret("client_secret")


def _to_app(asked: Asked, error: str, description: str) -> Response:
    return redirect(with_query(asked.redirect_uri, error=error, error_description=description))


def _unsupported() -> OAuthProblem:
    return OAuthProblem("unsupported_grant_type", "Grant type not supported")


def _invalid_client() -> OAuthProblem:
    return OAuthProblem("invalid_client", "Client authentication failed")
