"""Second factors: answering a challenge, and the factors of a user."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from hellojohn.emulator.requests import read_fields
from hellojohn.emulator.responses import json_response, timestamp
from hellojohn.emulator.v1 import responses
from hellojohn.emulator.v1.credentials import Credentials
from hellojohn.emulator.v1.grants import Grants
from hellojohn.emulator.v1.records import User
from hellojohn.emulator.v1.rules import Rules


class MfaRoutes:
    """The handlers. Each takes a request, and returns an answer or raises ``ApiProblem``."""

    def __init__(
        self, rules: Rules, credentials: Credentials, grants: Grants, *, clock: Callable[[], float]
    ) -> None:
        """Serve these rules."""
        self._clock = clock
        self._rules = rules
        self._credentials = credentials
        self._grants = grants

    def verify(self, request: Request) -> Response:
        """Finish a sign-in with its second factor."""
        self._credentials.need_tenant(request)
        fields = read_fields(request, "challenge_id", "factor_id", "code", "remember_device")
        verified = self._rules.answer_challenge(
            fields.text("challenge_id"),
            fields.text("factor_id"),
            fields.secret("code"),
            remember_device=fields.flag("remember_device"),
        )
        return self._grants.signed_in(verified.grant, device_token=verified.device_token)

    def send(self, request: Request) -> Response:
        """Send the code of a second factor by mail or text message."""
        self._credentials.need_tenant(request)
        fields = read_fields(request, "challenge_id", "factor_id")
        factor = self._rules.send_code(fields.text("challenge_id"), fields.optional_text("factor_id"))
        return json_response({"factor_id": factor.id, "type": factor.type, "expires_in": 300}, status=202)

    def list_factors(self, request: Request) -> Response:
        """Return every factor of a user."""
        user = self._user(request)
        with self._rules.lock:
            factors = self._rules.factors.of(user.id)
        shown = [responses.factor_json(factor) for factor in factors]
        return json_response({"data": shown, "total": len(shown)})

    def enroll(self, request: Request) -> Response:
        """Begin an enrolment."""
        user = self._user(request)
        fields = read_fields(request, "type", "name", "phone_number")
        with self._rules.lock:
            factor = self._rules.factors.enroll(
                user,
                fields.text("type"),
                name=fields.optional_text("name"),
                to=fields.optional_text("phone_number"),
            )
        return json_response(responses.enrollment_json(factor, user), status=201)

    def confirm(self, request: Request) -> Response:
        """Finish an enrolment with its first code."""
        user = self._user(request)
        code = read_fields(request, "code").secret("code")
        with self._rules.lock:
            factor = self._rules.factors.confirm(user.id, request.path_params["factor_id"], code)
            self._rules.emit("mfa.enrolled", user)
        return json_response(responses.factor_json(factor))

    def remove(self, request: Request) -> Response:
        """Remove a factor."""
        user = self._user(request)
        with self._rules.lock:
            self._rules.factors.remove(user.id, request.path_params["factor_id"])
            self._rules.emit("mfa.removed", user)
        return Response(status_code=204)

    def new_recovery_codes(self, request: Request) -> Response:
        """Return new recovery codes. The old ones stop working."""
        user = self._user(request)
        with self._rules.lock:
            codes = self._rules.factors.new_recovery_codes(user.id)
        shown = [code.reveal() for code in codes]
        return json_response({"codes": shown, "generated_at": timestamp(self._clock())})

    def _user(self, request: Request) -> User:
        self._credentials.need_secret_key(request)
        return self._rules.user(request.path_params["user_id"])
