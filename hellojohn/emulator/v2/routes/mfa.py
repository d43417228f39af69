"""Second factors: answering a challenge, and changing the factors of a signed-in user.

Every call needs the tenant in a header or in the query; in the body it is not looked for.
"""

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hellojohn._secret import Secret
from hellojohn.emulator.mail import Mail
from hellojohn.emulator.v2.factors import CODE_LIFE, KINDS
from hellojohn.emulator.v2.problems import V2Problem
from hellojohn.emulator.v2.records import Database, User
from hellojohn.emulator.v2.requests import Values, need_tenant, read_json
from hellojohn.emulator.v2.responses import answer, set_device_cookie, signed_in
from hellojohn.emulator.v2.routes.account import AccountRoutes
from hellojohn.emulator.v2.server import Server
from hellojohn.emulator.v2.tenants import Tenant

ANY_PHONE: Final = "+15550100"
_PASSWORD_AND_CODE: Final = "password and code/recovery required"  # noqa: S105 - a sentence


class MfaRoutes:
    """The handlers. Each takes a request, and returns an answer or raises ``ApiProblem``."""

    def __init__(self, server: Server, account: AccountRoutes) -> None:
        """Serve this server."""
        self._server = server
        self._account = account

    # Signing in

    def challenge(self, kind: str) -> Callable[[Request], Response]:
        """Return the handler that takes the code of a kind of factor."""

        def handler(request: Request) -> Response:
            tenant = need_tenant(request, self._server.directory)
            fields = read_json(request)
            token = fields.token("mfa_token")
            code, recovery = _codes(fields)
            if not token.reveal() or (code is None and recovery is None):
                raise V2Problem("MISSING_FIELDS", _PASSWORD_AND_CODE)
            user, grant = self._server.rules.answer(tenant, token, kind, code=code, recovery=recovery)
            response = signed_in(grant)
            if fields.flag("remember_device"):
                set_device_cookie(response, self._server.challenges.remember_device(user.id))
            return response

        return handler

    def send(self, kind: str) -> Callable[[Request], Response]:
        """Return the handler that sends a code for a kind of factor."""

        def handler(request: Request) -> Response:
            tenant = need_tenant(request, self._server.directory)
            token = read_json(request).token("mfa_token")
            if not token.reveal():
                raise V2Problem("MISSING_FIELDS", "mfa_token and code are required")
            challenge = self._server.challenges.get(tenant, token)
            user = tenant.user(challenge.user_id)
            if user is None:
                raise V2Problem("store_error")
            if kind not in tenant.data.factors.available(user):
                raise V2Problem("mfa_sms_unavailable" if kind == "sms" else "mfa_email_not_available")
            self._deliver(tenant, user, kind)
            return answer({"sent": True, "expires_in": CODE_LIFE}, status=202)

        return handler

    # The factors of a signed-in user

    def factors(self, request: Request) -> Response:
        """Return the factors that the user can give. While the database is away, this says so."""
        tenant, user = self._need_user(request)
        factors = tenant.data.factors
        preferred = factors.preferred(user)
        shown: dict[str, object] = {"available_factors": factors.available(user)}
        return answer({**shown, "preferred_factor": preferred} if preferred else shown)

    def prefer(self, request: Request) -> Response:
        """Change the factor that sign-in asks for first."""
        tenant, user = self._need_user(request)
        kind = read_json(request).text("factor")
        if not kind:
            raise V2Problem("MISSING_FIELDS", "factor is required")
        if kind not in KINDS:
            raise V2Problem("invalid_mfa_factor")
        if kind not in tenant.data.factors.available(user):
            raise V2Problem("mfa_factor_not_available")
        tenant.data.factors.prefer(user, kind)
        return answer({"updated": True, "preferred_factor": kind})

    def enroll(self, request: Request) -> Response:
        """Give the user a new authenticator app. An old one stops working at once."""
        mended = self._server.rules.switches.mended
        tenant, user = self._need_user(request, away="store_error" if mended else "crypto_failed")
        if not mended:
            raise V2Problem("crypto_failed")
        secret = tenant.data.factors.enroll(user.id).reveal()
        query = f"algorithm=SHA1&digits=6&issuer=HelloJohn&period=30&secret={secret}"
        return answer({"secret_base32": secret, "otpauth_url": f"otpauth://totp/HelloJohn:?{query}"})

    def confirm(self, request: Request) -> Response:
        """Confirm the app with a code. The first time, the answer has recovery codes."""
        tenant, user = self._need_user(request, away="mfa_not_initialized")
        code = read_json(request).secret("code")
        if not code.reveal():
            raise V2Problem("MISSING_FIELDS", "code is required")
        codes = tenant.data.factors.confirm(user.id, code)
        return answer({"enabled": True} if codes is None else {"enabled": True, **_shown(codes)})

    def disable(self, request: Request) -> Response:
        """Take the app away."""
        tenant, user = self._need_proof(request)
        tenant.data.factors.disable(user.id)
        return answer({"disabled": True})

    def new_recovery_codes(self, request: Request) -> Response:
        """Return new recovery codes."""
        tenant, user = self._need_proof(request)
        return answer({"rotated": True, **_shown(tenant.data.factors.new_recovery_codes(user.id))})

    def _need_user(self, request: Request, *, away: str = "store_error") -> tuple[Tenant, User]:
        """Return the user of the access token; ``away`` is the refusal while the database is away."""
        tenant = need_tenant(request, self._server.directory)
        claims = self._account.need_user(request).claims
        if tenant.database is not Database.READY:
            raise V2Problem(away)
        user = tenant.user(str(claims["sub"]))
        if user is None:
            raise V2Problem("user_not_found")
        return tenant, user

    def _need_proof(self, request: Request) -> tuple[Tenant, User]:
        """Return the user after a look at the password and a second factor."""
        tenant, user = self._need_user(request, away="user_not_found")
        fields = read_json(request)
        password, (code, recovery) = fields.secret("password"), _codes(fields)
        if not password.reveal() or (code is None and recovery is None):
            raise V2Problem("MISSING_FIELDS", _PASSWORD_AND_CODE)
        if password != user.password:
            raise V2Problem("invalid_password")
        factors = tenant.data.factors
        factors.need_app(user.id)
        if recovery is not None:
            is_right = factors.is_recovery_code(user.id, recovery)
        else:
            is_right = code is not None and factors.is_right(user.id, "totp", code)
        if not is_right:
            raise V2Problem("invalid_mfa_code")
        return tenant, user

    def _deliver(self, tenant: Tenant, user: User, kind: str) -> None:
        code = tenant.data.factors.send(user.id, kind)
        to = ANY_PHONE if kind == "sms" else user.email
        now = self._server.clock()
        self._server.inbox.deliver(
            Mail(to=to, subject="Your verification code", code=code.reveal(), sent_at=now)
        )


def _codes(fields: Values) -> tuple[Secret | None, Secret | None]:
    """Return the code and the recovery code, as far as they are there."""
    code, recovery = fields.secret("code"), fields.secret("recovery")
    return code if code.reveal() else None, recovery if recovery.reveal() else None


def _shown(codes: list[Secret]) -> dict[str, object]:
    return {"recovery_codes": [code.reveal() for code in codes]}
