"""The auth flow, for httpx and httpx2 alike: they share its shape and nothing else.

The flow adds the token, and on a 401 for that token asks the engine for another and replays the request
once. The refresh itself never goes through the app's client. No lock is held and no response is left unread
across a ``yield``: a waiting request keeps no connection from anybody.

What is replayed is the request that was refused, which after a redirect is not the one that the app sent: a
POST whose result lies elsewhere was carried out, and must not be sent again because its result says 401.
"""

from collections.abc import AsyncGenerator, Generator
from typing import Any, ClassVar

from hellojohn._account import Account
from hellojohn._flight import drive, drive_async
from hellojohn._transport.drain import drain, drain_async
from hellojohn._transport.origins import Origins
from hellojohn._transport.replay import Body
from hellojohn._view import View

Request = Any
Response = Any

_MARK = "hellojohn"
_UNAUTHORIZED = 401


class TokenFlow:
    """Sends one account's access token to allowed origins, and keeps it fresh."""

    plain_body: ClassVar[type]
    """The HTTP library's stream of bytes that are at hand, which any number of attempts can send."""

    def __init__(self, account: Account, origins: Origins) -> None:
        """Made by ``client``, ``wrap`` and ``httpx_auth`` of a HelloJohn client."""
        self._account = account
        self._origins = origins

    def __repr__(self) -> str:
        """Show whose token goes where."""
        return f"<{type(self).__name__} of account {self._account.name!r} for {self._origins!r}>"

    def sync_auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        """Send ``request`` with a token that is good as far as this side can know."""
        if not self._origins.allow(request.url):
            yield self._without_token(request)
            return
        account = self._account
        view = account.view
        if view is None or not view.fresh_from <= account.clock() < view.fresh_until:
            view = drive(account.acquire())
        body = self._attach(request, view)
        response = yield request
        if response.status_code == _UNAUTHORIZED and self._refuses(response, view):
            drain(response, self.plain_body)
            renewed = drive(account.acquire(view))
            if _is_same_user(view, renewed) and self._is_repeatable(response.request, body):
                self._attach(response.request, renewed)
                yield response.request

    async def async_auth_flow(self, request: Request) -> AsyncGenerator[Request, Response]:
        """Do the same, awaiting."""
        if not self._origins.allow(request.url):
            yield self._without_token(request)
            return
        account = self._account
        view = account.view
        if view is None or not view.fresh_from <= account.clock() < view.fresh_until:
            view = await drive_async(account.acquire())
        body = self._attach(request, view)
        response = yield request
        if response.status_code == _UNAUTHORIZED and self._refuses(response, view):
            await drain_async(response, self.plain_body)
            renewed = await drive_async(account.acquire(view))
            if _is_same_user(view, renewed) and self._is_repeatable(response.request, body):
                self._attach(response.request, renewed)
                yield response.request

    def _attach(self, request: Request, view: View) -> Body | None:
        """Put the token on, and remember where a body that is not plain bytes begins."""
        request.headers["Authorization"] = view.header
        request.extensions[_MARK] = view
        return None if type(request.stream) is self.plain_body else Body(request.stream)

    def _is_repeatable(self, refused: Request, body: Body | None) -> bool:
        """Return whether a refused request, which a redirect may have left without the body, can go again."""
        return type(refused.stream) is self.plain_body or (body is not None and body.rewind())

    def _refuses(self, response: Response, view: View) -> bool:
        """Return whether a 401 refuses our token: it was sent, to an allowed origin, and is not only weak."""
        answered = response.request
        ours = answered.headers.get("Authorization") == view.header and self._origins.allow(answered.url)
        return ours and "insufficient_scope" not in response.headers.get("WWW-Authenticate", "")

    def _without_token(self, request: Request) -> Request:
        """Take off a token of ours that a request, or headers copied from one, brought along."""
        view = request.extensions.pop(_MARK, None) or self._account.view
        if view is not None and request.headers.get("Authorization") == view.header:
            del request.headers["Authorization"]
        return request


def _is_same_user(old: View, new: View) -> bool:
    """Return whether a request made as one user may be repeated: not as somebody who signed in meanwhile."""
    before, after = old.record, new.record
    if before.user is None or after.user is None:
        return before.created_at == after.created_at
    return before.user.id == after.user.id
