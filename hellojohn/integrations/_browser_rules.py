"""The rules of browser sessions, for every framework. This module imports none of them.

The browser holds a random cookie and nothing else. The name of its account in the store is a hash of the
cookie, because the names of accounts are logged. Each sign-in sets a new cookie, so that a cookie that was
planted in a browser is worth nothing. After a second factor, the new cookie is derived from the old one, the
code and a random seed in the store: a second click on the form leads to the same session.

    a page needs a session that is over or missing   answer
    -----------------------------------------------  --------------------------------------------
    the browser opens a page                         303 to sign-in, with ``next``
    HTMX asks for a part of a page                   401 with ``HX-Redirect``
    a script or another program asks                 401 with JSON
    the service or the store is away                 503 with ``Retry-After``; the cookie stays
    another site has sent the request                403
"""

import base64
import hmac
import ipaddress
import json
import math
import re
import secrets
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from urllib.parse import urlencode, urlsplit

from hellojohn import (
    ConfigurationError,
    ServiceUnavailable,
    Session,
    SessionExpired,
    SignInRequired,
    StoreError,
)
from hellojohn.integrations._browser_values import Answer, Cookie, CrossSiteRequest, Visit
from hellojohn.integrations._redirects import safe_path
from hellojohn.integrations._rules import POLICY_VIOLATION, unavailable

_ORIGIN = re.compile(r"(?ai)https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?")
_COOKIE_NAME = re.compile(r"(?ai)(?!__(host|secure|http)-)[a-z0-9_-]+")
_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
_COOKIE_LENGTH = 43
_LONGEST_COOKIE_LIFE = 400 * 86_400
"""Browsers keep no cookie for longer."""


class Rules:
    """The rules of one site."""

    def __init__(
        self,
        *,
        sign_in_url: str,
        mfa_url: str,
        callback_url: str,
        home: str,
        origin: str | None,
        cookie_name: str,
    ) -> None:
        """Check the settings.

        Raises:
            ConfigurationError: A setting is malformed.
        """
        self.sign_in_url = _checked_path(sign_in_url, "sign_in_url")
        self.mfa_url = _checked_path(mfa_url, "mfa_url")
        self.callback_url = _checked_path(callback_url, "callback_url")
        self.home = _checked_path(home, "home")
        self._origin = None if origin is None else _checked_origin(origin)
        self._cookie_name = _checked_cookie_name(cookie_name)

    def origin_of(self, visit: Visit) -> str:
        """Return the site's own origin."""
        return self._origin or _as_browsers_write(f"{visit.scheme}://{visit.host}")

    def check_sender(self, visit: Visit) -> None:
        """Refuse what another site's page has sent. A request that no browser has sent passes.

        Raises:
            CrossSiteRequest: It comes from another site.
        """
        if visit.method in _SAFE_METHODS:
            return
        site, sender = visit.headers.get("Sec-Fetch-Site"), visit.headers.get("Origin")
        if site:
            allowed = site in ("same-origin", "none")
        else:
            allowed = sender is None or sender.lower() == self.origin_of(visit)
        if not allowed:
            raise CrossSiteRequest("Another site has sent this request.")

    # ---------------------------------------------------------------- the cookie

    def cookie_of(self, visit: Visit) -> str | None:
        """Return the value of the browser's cookie, if it has one that this site may have set."""
        value = visit.cookies.get(self._name_for(visit), "")
        usable = len(value) == _COOKIE_LENGTH and value.isascii()
        return value if usable else None

    def cookie_for(self, visit: Visit, value: str, session: Session | None) -> Cookie:
        """Return the cookie of a sign-in. It ends with the browser, unless the user is to be remembered.

        Raises:
            ConfigurationError: The site is on plain http, and not on this machine.
        """
        secure = self._is_secure(visit)
        if not secure and not _is_loopback(visit.host):
            raise ConfigurationError(
                f"{self.origin_of(visit)} is not https. Behind a proxy that ends TLS, pass BrowserSessions("
                "origin='https://...')."
            )
        left = session.time_left() if session is not None and session.remember_me else None
        life = None if left is None else min(math.ceil(left.total_seconds()), _LONGEST_COOKIE_LIFE)
        return Cookie(self._name_for(visit), value, life, secure)

    def no_cookie(self, visit: Visit) -> Cookie:
        """Return the cookie that has the browser forget the other one."""
        return Cookie(self._name_for(visit), "", 0, self._is_secure(visit))

    def _is_secure(self, visit: Visit) -> bool:
        return self.origin_of(visit).startswith("https:")

    def _name_for(self, visit: Visit) -> str:
        # With the prefix, browsers insist on https, on this very host, and on all of its paths.
        return f"__Host-{self._cookie_name}" if self._is_secure(visit) else self._cookie_name

    # ---------------------------------------------------------------- where to go

    def page_after(self, visit: Visit) -> str:
        """Return where a signed-in user goes: the page in ``next``, if it is on this site."""
        return self._page(visit, visit.next)

    def mfa_page(self, visit: Visit) -> str:
        """Return the page that asks for the second factor, with the ``next`` of sign-in."""
        return self._with_query(self.mfa_url, next=self._unless_home(self.page_after(visit)))

    def callback_for(self, visit: Visit) -> str:
        """Return the address to which a provider sends the browser back."""
        return f"{self.origin_of(visit)}{self.callback_url}"

    def sign_in_again(self, visit: Visit, reason: str) -> str:
        """Return the sign-in page for a user whose sign-in was not completed."""
        following = self._unless_home(self.page_after(visit))
        return self._with_query(self.sign_in_url, reason=reason, next=following)

    def answer_to(self, visit: Visit, error: Exception) -> Answer | None:
        """Return the answer to a request that has led to an error; ``None`` if the error is another one."""
        match error:
            case SignInRequired():
                return self._answer_without_session(visit, error)
            case ServiceUnavailable() | StoreError():
                refusal = unavailable(error)
                return _answer(visit, refusal.status, refusal.headers, refusal.body, refusal.close_code)
            case CrossSiteRequest():
                return _answer(visit, 403, {}, {"detail": str(error)})
            case _:
                return None

    def _answer_without_session(self, visit: Visit, error: SignInRequired) -> Answer:
        reason = str(error.reason) if isinstance(error, SessionExpired) else None
        following = self._unless_home(self._page(visit, self._page_before(visit)))
        location = self._with_query(self.sign_in_url, reason=reason, next=following)
        document = {"detail": "Sign in first.", "sign_in_url": location}
        if visit.headers.get("HX-Request") == "true":
            return _answer(visit, 401, {"HX-Redirect": location}, document)
        if visit.is_page:
            return _answer(visit, 303, {"Location": location}, document)
        return _answer(visit, 401, {}, document)

    def _page_before(self, visit: Visit) -> str | None:
        """Return the page that the user was on. The target of a form or a script is not a page."""
        if visit.is_page and visit.method in _SAFE_METHODS and "HX-Request" not in visit.headers:
            return visit.target
        return visit.headers.get("HX-Current-URL") or visit.headers.get("Referer")

    def _page(self, visit: Visit, address: str | None) -> str:
        page = safe_path(address, origin=self.origin_of(visit), default=self.home)
        path = page.partition("?")[0]
        return self.home if path in (self.sign_in_url, self.mfa_url, self.callback_url) else page

    def _unless_home(self, page: str) -> str | None:
        return None if page == self.home else page

    def _with_query(self, path: str, **parameters: str | None) -> str:
        query = urlencode({name: value for name, value in parameters.items() if value is not None})
        return f"{path}?{query}" if query else path


def _answer(
    visit: Visit,
    status: int,
    headers: Mapping[str, str],
    document: Mapping[str, str],
    close_code: int = POLICY_VIOLATION,
) -> Answer:
    detail = escape(document["detail"])
    page = f'<!doctype html><html lang="en"><title>{detail}</title><p>{detail}'
    kind, body = ("text/html", page) if visit.is_page else ("application/json", json.dumps(document))
    common = {"Cache-Control": "no-store", "Content-Type": f"{kind}; charset=utf-8"}
    return Answer(status, {**headers, **common}, body, close_code)


def new_cookie() -> str:
    """Return the value of a new cookie."""
    return secrets.token_urlsafe(32)


def derived_cookie(cookie: str, seed: str, code: str) -> str:
    """Return the cookie that follows another one after a second factor. It takes all three to compute it."""
    mac = hmac.digest(cookie.encode(), f"{seed} {code}".encode(errors="surrogatepass"), "sha256")
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def account_of(cookie: str) -> str:
    """Return the name of a browser's account, which does not give the cookie away."""
    return f"browser-{sha256(cookie.encode()).hexdigest()}"


def _checked_path(path: str, name: str) -> str:
    if not path or safe_path(path, origin="https://example.com", default="") != path:
        raise ConfigurationError(f"{name} takes a path of this site, such as '/sign-in', not {path!r}.")
    return path


def _checked_origin(origin: object) -> str:
    found = _ORIGIN.fullmatch(origin) if isinstance(origin, str) else None
    if found is not None and int(found[2] or 0) < 65_536:  # noqa: PLR2004 - ports
        return _as_browsers_write(found[0])
    raise ConfigurationError(
        f"origin takes a scheme and a host, as in 'https://example.com', not {origin!r}."
    )


def _as_browsers_write(origin: str) -> str:
    """Return an origin in lower case and without the default port."""
    origin = origin.lower()
    return origin.removesuffix(":443" if origin.startswith("https:") else ":80")


def _checked_cookie_name(name: object) -> str:
    if isinstance(name, str) and _COOKIE_NAME.fullmatch(name):
        return name
    raise ConfigurationError(
        "cookie_name takes letters, digits, - and _, such as 'hellojohn', without a prefix such as __Host-."
    )


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or name.endswith(".localhost") or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
