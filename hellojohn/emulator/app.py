"""The emulator as an ASGI application: the table of routes, and a gate before each of them.

The gate counts the request, holds it, makes it fail when that is due, and turns a refusal into the documented
error. It knows the calls only by name.
"""

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hellojohn.emulator import responses
from hellojohn.emulator.faults import Fault, Faults, When
from hellojohn.emulator.problems import ApiProblem, code_for
from hellojohn.emulator.requests import LARGEST_BODY, receive_body
from hellojohn.emulator.routes import Api

Handler = Callable[[Request], Response]
_TOO_MANY: Final = 429
_BODILESS: Final = (204, 205, 304)
_LONGEST_REQUEST_ID: Final = 128
_CHALLENGES: Final = {
    "missing_token": "Bearer",
    "invalid_token": 'Bearer error="invalid_token"',
    "token_expired": 'Bearer error="invalid_token"',
}
_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@dataclass(frozen=True, slots=True)
class Call:
    """One row of the table: the name faults know it by, its address and its handler."""

    name: str
    methods: tuple[str, ...]
    path: str
    handler: Handler
    largest_body: float = LARGEST_BODY


def calls(api: Api) -> list[Call]:
    """Return the documented calls and the sample resource."""
    any_method = tuple(_METHODS)
    below_v1: list[tuple[str, str, Handler]] = [
        ("auth/sign-up", "POST", api.sign_up),
        ("auth/sign-in", "POST", api.sign_in),
        ("auth/token/refresh", "POST", api.refresh),
        ("auth/sign-out", "POST", api.sign_out),
        ("auth/me", "GET", api.me),
        ("mfa/verify", "POST", api.verify_mfa),
        ("sessions", "GET", api.list_sessions),
        ("sessions", "DELETE", api.revoke_sessions),
        ("sessions/verify", "POST", api.verify_session),
        ("sessions/{session_id}", "GET", api.get_session),
        ("sessions/{session_id}", "DELETE", api.revoke_session),
        ("admin/config", "GET", api.get_config),
        ("admin/config", "PATCH", api.change_config),
    ]
    return [
        *(Call(name, (method,), f"/v1/{name}", handler) for name, method, handler in below_v1),
        Call(".well-known/jwks.json", ("GET",), "/.well-known/jwks.json", api.jwks),
        Call("resource", any_method, "/resource", api.resource, math.inf),
        Call("resource", any_method, "/resource/{path:path}", api.resource, math.inf),
    ]


def build(table: list[Call], *, faults: Faults, clock: Callable[[], float]) -> Starlette:
    """Return the application. The server puts ``cut``, which ends the connection, into its state."""
    gate = _Gate(faults, clock)
    routes = [Route(call.path, gate.before(call), methods=list(call.methods)) for call in table]
    app = Starlette(routes=routes, exception_handlers={HTTPException: gate.unrouted})
    app.router.redirect_slashes = False
    return app


class Cut(Response):
    """No answer, or half of one: the connection ends."""

    def __init__(self, partial: Response | None = None) -> None:
        """Send the first half of ``partial``, if it has a body."""
        super().__init__()
        self._partial = partial

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Cut, and stay until the server has noticed."""
        if self._partial is not None and self._partial.body:
            await _send_half(self._partial, send)
        scope["state"]["cut"]()
        await receive()


class _Gate:
    def __init__(self, faults: Faults, clock: Callable[[], float]) -> None:
        self._faults = faults
        self._clock = clock

    def before(self, call: Call) -> Callable[[Request], Awaitable[Response]]:
        """Return the handler of a call with the gate in front."""

        async def endpoint(request: Request) -> Response:
            return await self._pass(call, request)

        return endpoint

    async def unrouted(self, request: Request, error: Exception) -> Response:
        """Answer a request that no route takes."""
        missing = isinstance(error, HTTPException) and error.status_code == 404  # noqa: PLR2004
        return self._refused(request, ApiProblem("not_found" if missing else "method_not_allowed"))

    async def _pass(self, call: Call, request: Request) -> Response:
        self._faults.arrive(call.name)
        try:
            await receive_body(request, largest=call.largest_body)
            await self._wait(call.name, "before")
            answer = await self._answer(call, request)
            await self._wait(call.name, "after")
        except ApiProblem as refusal:
            return self._refused(request, refusal)
        except (asyncio.CancelledError, ClientDisconnect):
            return Cut()  # the emulator stops, or the client went away: nobody listens any more
        return answer

    async def _wait(self, route: str, when: When) -> None:
        for gate in self._faults.gates(route, when):
            await asyncio.wrap_future(gate)

    async def _answer(self, call: Call, request: Request) -> Response:
        fault = self._faults.take(call.name)
        if fault is None:
            return self._served(call, request)
        await asyncio.sleep(fault.delay)
        if fault.drop == "before":
            return Cut()
        if fault.answers and fault.when == "before":
            return self._failed(request, fault)
        served = self._served(call, request)
        if fault.drop:
            return Cut(served if fault.drop == "midway" else None)
        return self._failed(request, fault) if fault.answers else served

    def _served(self, call: Call, request: Request) -> Response:
        try:
            return self._stamped(request, call.handler(request))
        except ApiProblem as refusal:
            return self._refused(request, refusal)

    def _refused(self, request: Request, refusal: ApiProblem) -> Response:
        body = responses.encode(responses.error_json(refusal, request_id=_request_id(request)))
        response = Response(body, refusal.status, media_type="application/json")
        if refusal.code in _CHALLENGES:
            response.headers["WWW-Authenticate"] = _CHALLENGES[refusal.code]
        return self._stamped(request, response)

    def _failed(self, request: Request, fault: Fault) -> Response:
        status = fault.status or 200
        if fault.body is not None or status < 400:  # noqa: PLR2004
            response = _raw(fault.body or b"", status)
        elif status == _TOO_MANY and fault.code is None:
            body = responses.encode(responses.rate_limited_json(fault.retry_after))
            response = self._stamped(request, Response(body, status, media_type="application/json"))
        else:
            response = self._refused(request, ApiProblem(fault.code or code_for(status), status=status))
        if status == _TOO_MANY:
            response.headers.update(responses.rate_limit_headers(fault.retry_after, now=self._clock()))
        if fault.retry_after is not None:
            response.headers["Retry-After"] = str(fault.retry_after)
        return response

    def _stamped(self, request: Request, response: Response) -> Response:
        response.headers["X-Request-ID"] = _request_id(request)
        response.headers["Date"] = formatdate(self._clock(), usegmt=True)
        return response


async def _send_half(response: Response, send: Send) -> None:
    await send(
        {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
    )
    half = bytes(response.body)[: len(response.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})


def _raw(body: bytes, status: int) -> Response:
    media_type = "application/json" if body[:1] in (b"{", b"[") else "text/html"
    return Response(b"" if status in _BODILESS else body, status, media_type=media_type)


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    if given.isascii() and given.isprintable() and 0 < len(given) <= _LONGEST_REQUEST_ID:
        return given
    if not hasattr(request.state, "request_id"):
        request.state.request_id = f"req_{secrets.token_hex(8)}"
    return str(request.state.request_id)
