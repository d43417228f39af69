"""Writes the errors of v1, in both documented shapes."""

from typing import Final

from starlette.responses import Response

from hellojohn.emulator.faults import Fault
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.responses import json_response
from hellojohn.emulator.v1.problems import V1Problem, code_for

RATE_LIMIT: Final = 60
_TOO_MANY: Final = 429
_NOT_FOUND: Final = 404
_CHALLENGES: Final = {
    "missing_token": "Bearer",
    "invalid_token": 'Bearer error="invalid_token"',
    "token_expired": 'Bearer error="invalid_token"',
}


class V1Errors:
    """The errors of v1; an ``Errors``."""

    def refused(self, problem: ApiProblem, *, request_id: str) -> Response:
        """Return an error in the shape that most of the API uses."""
        error = {
            "code": problem.code,
            "message": problem.message,
            "status": problem.status,
            "request_id": request_id,
            **problem.details,
        }
        response = json_response({"error": error}, status=problem.status)
        if problem.code in _CHALLENGES:
            response.headers["WWW-Authenticate"] = _CHALLENGES[problem.code]
        return response

    def failed(self, fault: Fault, *, request_id: str, now: float) -> Response:
        """Return the error of a fault. A 429 comes from the rate limiter, which has its own shape."""
        status = fault.status or 500
        if status == _TOO_MANY and fault.code is None:
            response = json_response(_rate_limited(fault.retry_after), status=status)
        else:
            problem = V1Problem(fault.code or code_for(status), status=status)
            response = self.refused(problem, request_id=request_id)
        if status == _TOO_MANY:
            response.headers.update(_rate_limit_headers(fault.retry_after, now=now))
        return response

    def unrouted(self, status: int, *, request_id: str) -> Response:
        """Return the error of an unknown address or method."""
        problem = V1Problem("not_found" if status == _NOT_FOUND else "method_not_allowed")
        return self.refused(problem, request_id=request_id)


def _rate_limited(retry_after: float | str | None) -> dict[str, object]:
    return {
        "error": "rate_limit_exceeded",
        "message": "Too many requests. Wait and try again.",
        "retry_after": retry_after if isinstance(retry_after, int | float) else None,
    }


def _rate_limit_headers(retry_after: float | str | None, *, now: float) -> dict[str, str]:
    wait = retry_after if isinstance(retry_after, int | float) else 0
    return {
        "X-RateLimit-Limit": str(RATE_LIMIT),
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int(now + wait)),
    }
