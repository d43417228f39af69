"""Writes the errors of v2."""

from typing import Final

from starlette.responses import PlainTextResponse, Response

from hellojohn.emulator.faults import Fault
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.responses import json_response
from hellojohn.emulator.v2.problems import OAuthProblem, V2Problem, code_for

NO_STORE: Final = {"Cache-Control": "no-store"}
JSON_HEADERS: Final = {**NO_STORE, "Content-Type": "application/json; charset=utf-8"}
_TOO_MANY: Final = 429
_NOT_FOUND: Final = 404


class V2Errors:
    """The errors of v2; an ``Errors``. They name the request in the ``X-Request-ID`` header only."""

    def refused(self, problem: ApiProblem, *, request_id: str) -> Response:  # noqa: ARG002 - see the class
        """Return a refusal in the shape of v2, or of RFC 6749 at the token endpoint."""
        if isinstance(problem, OAuthProblem):
            error: dict[str, object] = {"error": problem.code, "error_description": problem.message}
            return json_response(error, status=problem.status, headers={**JSON_HEADERS, **problem.headers})
        if not isinstance(problem, V2Problem):
            problem = V2Problem(
                "INVALID_JSON"
            )  # the shared gate refuses one thing only: a body of over 1 MiB
        body = {"code": problem.code, "message": problem.message, **problem.details}
        return json_response(body, status=problem.status, headers={**JSON_HEADERS, **problem.headers})

    def failed(self, fault: Fault, *, request_id: str, now: float) -> Response:
        """Return the error of a fault. A 429 comes from the rate limiter, which says when its window ends."""
        status = fault.status or 500
        response = self.refused(
            V2Problem(fault.code or code_for(status), status=status), request_id=request_id
        )
        if status == _TOO_MANY:
            wait = fault.retry_after if isinstance(fault.retry_after, int | float) else 0
            response.headers["X-RateLimit-Reset"] = str(int(now + wait))
        return response

    def unrouted(self, status: int, *, request_id: str) -> Response:  # noqa: ARG002 - see the class
        """Return the answer to an unknown address or method, which is text."""
        text = "404 page not found\n" if status == _NOT_FOUND else "Method Not Allowed\n"
        return PlainTextResponse(text, status)
