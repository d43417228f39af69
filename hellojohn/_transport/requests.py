"""The auth hook for requests, of the extra ``hellojohn[requests]``, by the rules of ``flow``."""

import time
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
from requests import PreparedRequest, Response
from requests.auth import AuthBase
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body

from hellojohn._limits import LONGEST_REFUSAL, REFUSAL_READ_TIME, REPEATS
from hellojohn._session.account import Account
from hellojohn._session.acquire import acquire, may_repeat
from hellojohn._session.freshness import TokenSnapshot
from hellojohn._transport.flow import UNAUTHORIZED, is_about_freshness
from hellojohn._transport.origins import Origins
from hellojohn._unpicklable import PartOfClient
from hellojohn._waiting import run


class SessionAuth(PartOfClient, AuthBase):
    """An auth of ``requests`` that signs requests with the session's access token."""

    def __init__(self, account: Account, origins: Origins) -> None:
        """Made by ``requests_auth`` of a HelloJohn client."""
        self._account, self._origins = account, origins

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the token, unless the app has set the header or the origin is not allowed."""
        if "Authorization" not in request.headers and self._is_allowed(request):
            snapshot = run(acquire(self._account))
            self._account.used_at = self._account.clock()
            request.headers["Authorization"] = snapshot.header
            request.register_hook("response", _Repeat(self, snapshot))
        return request

    def repeat(
        self, response: Response, snapshot: TokenSnapshot, options: dict[str, Any]
    ) -> tuple[Response, TokenSnapshot]:
        """Send a request again whose token was refused; return the last response and its token."""
        for _ in range(REPEATS):
            request = response.request
            ours = request.headers.get("Authorization") == snapshot.header and self._is_allowed(request)
            if response.status_code != UNAUTHORIZED or not ours or not is_about_freshness(response):
                break
            connection = getattr(response, "connection", None)  # an adapter of the app may not set it
            if connection is None:
                break
            _drain(response)
            try:
                newer = run(acquire(self._account, snapshot))
            except BaseException:
                response.close()
                raise
            if not may_repeat(snapshot, newer) or not _rewind(request):
                break
            response.close()
            # requests builds the request that follows a redirect from this one, which needs the new token.
            response.request = request.copy()
            request.headers["Authorization"] = newer.header
            sent_at = time.perf_counter()
            again = connection.send(request, **options)
            again.elapsed = timedelta(seconds=time.perf_counter() - sent_at)
            again.history = [*response.history, response]
            snapshot, response = newer, again
        return response, snapshot

    def _is_allowed(self, request: PreparedRequest) -> bool:
        try:
            parts = urlsplit(request.url or "")  # as requests reads it to choose the connection
            url = httpx.URL(scheme=parts.scheme, host=parts.hostname or "", port=parts.port)
        except (ValueError, httpx.InvalidURL):  # an adapter of the app may have URLs of its own
            return False
        return self._origins.allow(url)


class _Repeat:
    """The response hook of one request, and of those that follow its redirects."""

    def __init__(self, auth: SessionAuth, snapshot: TokenSnapshot) -> None:
        self._auth, self._snapshot = auth, snapshot

    def __call__(self, response: Response, **options: Any) -> Response:  # noqa: ANN401 - as requests calls it
        response, self._snapshot = self._auth.repeat(response, self._snapshot, options)
        return response

    def __reduce__(self) -> "tuple[type[_NoRepeat], tuple[()]]":
        """Do nothing in a copy: the responses of requests, which hold this hook, are copied and pickled."""
        return _NoRepeat, ()


class _NoRepeat:
    """The response hook of a copied request."""

    def __call__(self, response: Response, **_: Any) -> Response:  # noqa: ANN401 - as requests calls it
        return response


def _drain(response: Any) -> None:  # noqa: ANN401 - its content is set here, as requests does
    """Read a short refusal, so that its connection is free. The app may get it after all, and then whole."""
    length = response.headers.get("Content-Length", "")
    is_short = length.isdecimal() and int(length) <= LONGEST_REFUSAL
    if not is_short or response._content_consumed:  # noqa: SLF001 - requests has no public name for it
        return
    ends_at = time.monotonic() + REFUSAL_READ_TIME
    content, is_whole = bytearray(), False
    with suppress(Exception):  # it broke off, took too long, or is not of urllib3
        socket = getattr(getattr(response.raw, "_connection", None), "sock", None)
        if socket is not None:  # the next request on it sets the time limit of its own
            socket.settimeout(REFUSAL_READ_TIME)
        for part in response.iter_content(1):  # a larger part could be waited for, byte by byte
            content += part
            if time.monotonic() >= ends_at:
                break
        else:
            is_whole = True
    with suppress(Exception):
        response.close()  # also the connection, if the body was not read to its end
    # Without its body, the content of the refusal is an error, and not empty.
    response._content = bytes(content) if is_whole else False  # noqa: SLF001 - as requests sets them
    response._content_consumed = True  # noqa: SLF001 - the same


def _rewind(request: PreparedRequest) -> bool:
    try:
        if request.body is not None and not isinstance(request.body, str | bytes):
            rewind_body(request)
    except (UnrewindableBodyError, ValueError):  # a file that was closed since
        return False
    return True
