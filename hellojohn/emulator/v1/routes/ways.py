"""Magic links, passwords, address verification, and sign-in through a provider."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hellojohn.emulator.requests import Fields, device, read_fields, read_query, refuse
from hellojohn.emulator.responses import json_response
from hellojohn.emulator.v1.credentials import Credentials
from hellojohn.emulator.v1.grants import Grants, session_duration
from hellojohn.emulator.v1.links import LinkKind
from hellojohn.emulator.v1.responses import SENT
from hellojohn.emulator.v1.rules import Rules
from hellojohn.emulator.v1.ways import Ways

LOGIN_PAGE = "/login"
_AUTHORIZE = (
    *("redirect_uri", "state", "code_challenge", "code_challenge_method"),
    *("connection_id", "organization_id", "tenant_id", "publishable_key"),
)


class WayRoutes:
    """The handlers. Each takes a request, and returns an answer or raises ``ApiProblem``."""

    def __init__(self, rules: Rules, ways: Ways, credentials: Credentials, grants: Grants) -> None:
        """Serve these rules."""
        self._rules = rules
        self._ways = ways
        self._credentials = credentials
        self._grants = grants

    def send_magic_link(self, request: Request) -> Response:
        """Send a link that signs in."""
        return self._send(request, LinkKind.MAGIC_LINK)

    def verify_magic_link(self, request: Request) -> Response:
        """Sign in with the token of a link."""
        self._credentials.need_publishable_key(request)
        fields = read_fields(request, "token", "session_options")
        grant = self._ways.enter_by_link(
            fields.secret("token"), duration=session_duration(fields), device=device(request)
        )
        return self._grants.signed_in(grant)

    def forgot_password(self, request: Request) -> Response:
        """Send a link that sets a new password."""
        return self._send(request, LinkKind.PASSWORD_RESET)

    def reset_password(self, request: Request) -> Response:
        """Set a new password with the token of a link. The user has to sign in afterwards."""
        self._credentials.need_publishable_key(request)
        fields = read_fields(request, "token", "new_password")
        self._ways.reset_password(fields.secret("token"), fields.secret("new_password"))
        return Response(status_code=204)

    def change_password(self, request: Request) -> Response:
        """Change the signed-in user's password."""
        claims = self._credentials.need_user(request)
        fields = read_fields(request, "current_password", "new_password")
        self._ways.change_password(
            str(claims["session_id"]), fields.secret("current_password"), fields.secret("new_password")
        )
        return Response(status_code=204)

    def send_email_verification(self, request: Request) -> Response:
        """Send a link that verifies an address: the signed-in user's, or the one that is named."""
        self._credentials.need_tenant(request)
        if self._credentials.is_publishable_key(request):
            return self._send(request, LinkKind.EMAIL_VERIFICATION)
        claims = self._credentials.need_user(request)
        redirect_to = read_fields(request, "redirect_to").optional_url("redirect_to")
        user = self._rules.user(str(claims["sub"]))
        self._ways.send_to(user, LinkKind.EMAIL_VERIFICATION, redirect_to=redirect_to)
        return json_response(SENT)

    def verify_email(self, request: Request) -> Response:
        """Verify an address with the token of a link."""
        self._credentials.need_publishable_key(request)
        self._ways.verify_email(read_fields(request, "token").secret("token"))
        return Response(status_code=204)

    def authorize(self, request: Request) -> Response:
        """Begin a sign-in through a provider: send the browser to the login page, the provider's."""
        fields = read_query(request, *_AUTHORIZE)
        flow_id = self.start_oauth(request.path_params["provider"], fields)
        return RedirectResponse(f"{LOGIN_PAGE}?{urlencode({'flow': flow_id})}", 302)

    def start_oauth(self, provider: str, fields: Fields) -> str:
        """Begin a sign-in with the fields of an ``authorize`` address, and return its id."""
        redirect_uri = fields.optional_url("redirect_uri")
        if redirect_uri is None:
            refuse("redirect_uri is missing.")
        if fields.text("code_challenge_method") != "S256":
            refuse("code_challenge_method must be S256.")
        return self._ways.start_oauth(
            provider,
            redirect_uri=redirect_uri,
            state=fields.text("state"),
            challenge=fields.text("code_challenge"),
        )

    def oauth_callback(self, request: Request) -> Response:
        """Sign in with the code that the browser brought back."""
        self._credentials.need_publishable_key(request)
        fields = read_fields(request, "code", "code_verifier", "redirect_uri", "session_options")
        grant = self._ways.exchange(
            request.path_params["provider"],
            fields.secret("code"),
            verifier=fields.secret("code_verifier"),
            redirect_uri=fields.text("redirect_uri"),
            duration=session_duration(fields),
            device=device(request),
        )
        return self._grants.signed_in(grant)

    def _send(self, request: Request, kind: LinkKind) -> Response:
        self._credentials.need_publishable_key(request)
        fields = read_fields(request, "email", "redirect_to")
        self._ways.send(kind, fields.text("email"), redirect_to=fields.optional_url("redirect_to"))
        return json_response(SENT)
