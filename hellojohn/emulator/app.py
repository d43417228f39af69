"""The emulator as an ASGI application: a table of routes, and a gate in front of each of them.

The gate counts the request, holds it, makes it fail when that is due, turns a problem into the API's error,
and reports the request to the log. It knows the API only as a table of ``Call`` and its ``Errors``.
"""

import asyncio
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hellojohn.emulator.faults import Fault, Faults, When
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.requests import LARGEST_BODY, receive_body
from hellojohn.emulator.responses import is_error, raw_response

Handler = Callable[[Request], Response]
ANY_METHOD: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ANY_SIZE: Final = math.inf
_LONGEST_REQUEST_ID: Final = 128


@dataclass(frozen=True, slots=True)
class Call:
    """One row of the table of routes.

    Attributes:
        name: The name in ``fail``, ``hold`` and ``calls``.
        methods: The methods that it takes.
        path: The address, with parameters as Starlette writes them.
        handler: The function that answers.
        largest_body: The largest body that it takes, in bytes.
        other_names: What other APIs call it; ``fail``, ``hold`` and ``calls`` take these names as well.
    """

    name: str
    methods: tuple[str, ...]
    path: str
    handler: Handler
    largest_body: float = LARGEST_BODY
    other_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestLine:
    """One line of the request log. It has no query and no header, so that it carries no secret.

    Attributes:
        method: The HTTP method.
        path: The path, without the query.
        status: The status of the answer; ``None`` when the connection was cut instead.
        milliseconds: The time from the request's head to the answer.
    """

    method: str
    path: str
    status: int | None
    milliseconds: float


class Errors(Protocol):
    """How an API writes its errors."""

    def refused(self, problem: ApiProblem, *, request_id: str) -> Response:
        """Return the answer to a refused request."""
        ...

    def failed(self, fault: Fault, *, request_id: str, now: float) -> Response:
        """Return the error of a fault that has a status and no body."""
        ...

    def unrouted(self, status: int, *, request_id: str) -> Response:
        """Return the answer to an unknown address (404) or method (405)."""
        ...


def build(
    table: Sequence[Call],
    *,
    errors: Errors,
    faults: Faults,
    clock: Callable[[], float],
    log: Callable[[RequestLine], None] | None = None,
) -> Starlette:
    """Return the application. The server puts ``cut``, which ends the connection, into its state."""
    gate = _Gate(errors, faults, clock, log)
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
        """Cut the connection, and wait until the server has noticed."""
        if self._partial is not None and self._partial.body:
            await _send_half(self._partial, send)
        scope["state"]["cut"]()
        await receive()


class _Gate:
    def __init__(
        self,
        errors: Errors,
        faults: Faults,
        clock: Callable[[], float],
        log: Callable[[RequestLine], None] | None,
    ) -> None:
        self._errors = errors
        self._faults = faults
        self._clock = clock
        self._log = log

    def before(self, call: Call) -> Callable[[Request], Awaitable[Response]]:
        """Return the handler of a call with the gate in front."""

        async def endpoint(request: Request) -> Response:
            began = time.perf_counter()
            response = await self._pass(call, request)
            self._report(request, response, began)
            return response

        return endpoint

    async def unrouted(self, request: Request, error: Exception) -> Response:
        """Answer a request that no route takes."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        answer = self._errors.unrouted(status, request_id=_request_id(request))
        answer.headers.update(getattr(error, "headers", None) or {})
        self._report(request, answer, time.perf_counter())
        return self._stamped(request, answer)

    async def _pass(self, call: Call, request: Request) -> Response:
        self._faults.arrive(call.name)
        try:
            await receive_body(request, largest=call.largest_body)
            await self._wait(call.name, "before")
            answer = await self._answer(call, request)
            await self._wait(call.name, "after")
        except ApiProblem as problem:
            return self._refused(request, problem)
        except (asyncio.CancelledError, ClientDisconnect):
            return Cut()  # the emulator stops or the client has hung up
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
        if fault.answers:
            return self._failed(request, fault)
        served.headers.update(fault.headers)
        return served

    def _served(self, call: Call, request: Request) -> Response:
        try:
            return self._stamped(request, call.handler(request))
        except ApiProblem as problem:
            return self._refused(request, problem)

    def _refused(self, request: Request, problem: ApiProblem) -> Response:
        return self._stamped(request, self._errors.refused(problem, request_id=_request_id(request)))

    def _failed(self, request: Request, fault: Fault) -> Response:
        status = fault.status or 200
        if fault.body is not None or not is_error(status):
            response = raw_response(fault.body or b"", status=status)
        else:
            answer = self._errors.failed(fault, request_id=_request_id(request), now=self._clock())
            response = self._stamped(request, answer)
        if fault.retry_after is not None:
            response.headers["Retry-After"] = str(fault.retry_after)
        response.headers.update(fault.headers)
        return response

    def _stamped(self, request: Request, response: Response) -> Response:
        response.headers["X-Request-ID"] = _request_id(request)
        response.headers["Date"] = formatdate(self._clock(), usegmt=True)
        return response

    def _report(self, request: Request, response: Response, began: float) -> None:
        if self._log is None:
            return
        status = None if isinstance(response, Cut) else response.status_code
        elapsed = (time.perf_counter() - began) * 1000
        try:
            self._log(RequestLine(request.method, request.url.path, status, elapsed))
        except BaseException as error:  # noqa: BLE001 - the server would answer with a 500
            context = {"message": "The log of the emulator failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)


async def _send_half(response: Response, send: Send) -> None:
    await send(
        {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
    )
    half = bytes(response.body)[: len(response.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    if given.isascii() and given.isprintable() and 0 < len(given) <= _LONGEST_REQUEST_ID:
        return given
    if not hasattr(request.state, "request_id"):
        request.state.request_id = f"req_{secrets.token_hex(8)}"
    return str(request.state.request_id)
