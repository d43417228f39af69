"""The auth flow, for httpx and httpx2 alike: they share its shape and nothing else.

The flow adds the token. On a 401 for that token it asks the engine for a newer one and repeats the request.
The refresh itself never goes through the app's client. No lock is held and no response is left unread across
a ``yield``, so a waiting request keeps no connection from another one.

The request that is repeated is the one that was refused. After a redirect, that is not the one that the app
sent: a POST whose result is elsewhere was carried out, and must not be sent again because its result says
401.
"""

import re
from collections.abc import AsyncGenerator, Generator
from typing import Any, ClassVar

from hellojohn._limits import REPEATS
from hellojohn._session.account import Account
from hellojohn._session.acquire import acquire, may_repeat
from hellojohn._session.freshness import TokenSnapshot
from hellojohn._transport.drain import drain, drain_async
from hellojohn._transport.origins import Origins
from hellojohn._transport.replay import Body
from hellojohn._unpicklable import PartOfClient
from hellojohn._waiting import run, run_async

Request = Any
Response = Any

_MARK = "hellojohn"
UNAUTHORIZED = 401
# A newer token does not help with these: RFC 6750 and RFC 9470.
_NOT_ABOUT_FRESHNESS = re.compile(r"insufficient_(scope|user_authentication)")
_OTHER_SCHEMES = re.compile(r"\s*(basic|digest|negotiate|ntlm)\b(?!.*,\s*bearer\b)", re.IGNORECASE)


class TokenFlow(PartOfClient):
    """Sends one account's access token to allowed origins, and keeps it fresh."""

    plain_body: ClassVar[type]
    """The HTTP library's stream of bytes in memory, which can be sent any number of times."""

    def __init__(self, account: Account, origins: Origins) -> None:
        """Made by ``client``, ``wrap`` and ``httpx_auth`` of a HelloJohn client."""
        self._account = account
        self._origins = origins

    def __repr__(self) -> str:
        """Show the account and the origins."""
        return f"<{type(self).__name__} of account {self._account.name!r} for {self._origins!r}>"

    def sync_auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        """Send ``request`` with a token that is valid as far as the client knows."""
        # The "in" of httpx's headers finds out their encoding first, which takes longer than all the rest.
        signed = b"authorization" in map(bytes.lower, dict(request.headers.raw))
        if not self._origins.allow(request.url) or (signed and not self._is_ours(request)):
            yield self._without_token(request)
            return
        account = self._account
        snapshot, now = account.state.snapshot, account.clock()
        if snapshot is None or not snapshot.fresh_from <= now < snapshot.fresh_until:
            snapshot, now = run(acquire(account, timeout=_patience(request))), account.clock()
        account.used_at = now
        body = self._attach(request, snapshot)
        response = yield request
        for _ in range(REPEATS):
            if response.status_code != UNAUTHORIZED or not self._is_refused(response, snapshot):
                return
            drain(response, self.plain_body)
            newer = run(acquire(account, snapshot, timeout=_patience(request)))
            if not may_repeat(snapshot, newer) or not self._is_repeatable(response.request, body):
                return
            snapshot = newer
            self._attach(response.request, snapshot)
            response = yield response.request

    async def async_auth_flow(self, request: Request) -> AsyncGenerator[Request, Response]:
        """Do the same, awaiting."""
        # The "in" of httpx's headers finds out their encoding first, which takes longer than all the rest.
        signed = b"authorization" in map(bytes.lower, dict(request.headers.raw))
        if not self._origins.allow(request.url) or (signed and not self._is_ours(request)):
            yield self._without_token(request)
            return
        account = self._account
        snapshot, now = account.state.snapshot, account.clock()
        if snapshot is None or not snapshot.fresh_from <= now < snapshot.fresh_until:
            snapshot, now = await run_async(acquire(account, timeout=_patience(request))), account.clock()
        account.used_at = now
        body = self._attach(request, snapshot)
        response = yield request
        for _ in range(REPEATS):
            if response.status_code != UNAUTHORIZED or not self._is_refused(response, snapshot):
                return
            await drain_async(response, self.plain_body)
            newer = await run_async(acquire(account, snapshot, timeout=_patience(request)))
            if not may_repeat(snapshot, newer) or not self._is_repeatable(response.request, body):
                return
            snapshot = newer
            self._attach(response.request, snapshot)
            response = yield response.request

    def _attach(self, request: Request, snapshot: TokenSnapshot) -> Body | None:
        """Add the token, and remember where a body that is not plain bytes begins."""
        request.headers["Authorization"] = snapshot.header
        request.extensions[_MARK] = snapshot
        return None if type(request.stream) is self.plain_body else Body(request.stream)

    def _is_repeatable(self, refused: Request, body: Body | None) -> bool:
        """Return whether a refused request can be sent again. A redirect may have removed its body."""
        return type(refused.stream) is self.plain_body or (body is not None and body.rewind())

    def _is_refused(self, response: Response, snapshot: TokenSnapshot) -> bool:
        """Return whether a 401 is about our token, and a newer one may help."""
        request = response.request
        if request.headers.get("Authorization") != snapshot.header or not self._origins.allow(request.url):
            return False
        return is_about_freshness(response)

    def _is_ours(self, request: Request) -> bool:
        """Return whether the hook has set the ``Authorization`` header.

        The hook leaves an app's own alone.
        """
        snapshot = request.extensions.get(_MARK) or self._account.state.snapshot
        return snapshot is not None and request.headers["Authorization"] == snapshot.header

    def _without_token(self, request: Request) -> Request:
        """Remove the token from a request that was copied from one with a token."""
        if "Authorization" in request.headers and self._is_ours(request):
            del request.headers["Authorization"]
        request.extensions.pop(_MARK, None)
        return request


def _patience(request: Request) -> float | None:
    """Return how long a request may wait for a token: its time to connect and to be answered."""
    limits: dict[str, float | None] = request.extensions.get("timeout") or {}
    connect, read = limits.get("connect"), limits.get("read")
    return None if connect is None or read is None else connect + read


def is_about_freshness(refusal: Response) -> bool:
    """Return whether a newer token may turn a 401 into a success."""
    challenge = refusal.headers.get("WWW-Authenticate", "")
    return not (_NOT_ABOUT_FRESHNESS.search(challenge) or _OTHER_SCHEMES.match(challenge))
