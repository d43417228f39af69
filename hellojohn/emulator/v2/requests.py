"""Reads requests as the server does, which is different for nearly every call.

A value that is missing is an empty text, as in the server. It knows no session rule.
"""

import json
from collections.abc import Collection, Mapping
from typing import Final, cast
from urllib.parse import parse_qsl

from starlette.requests import Request

from hellojohn._secret import Secret
from hellojohn.emulator.requests import body
from hellojohn.emulator.v2.problems import V2Problem
from hellojohn.emulator.v2.tenants import Directory, Tenant

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
LOGIN_LIMIT: Final = 65_536
REFRESH_LIMIT: Final = 8_192
LOGOUT_LIMIT: Final = 4_096
_TENANT_HEADERS: Final = ("x-tenant-id", "x-tenant-slug")
_TENANT_QUERY: Final = ("tenant", "tenant_id")


class Values:
    """The fields of a JSON object or a form."""

    def __init__(self, values: Mapping[str, object]) -> None:
        """Hold these fields."""
        self._values = values

    def text(self, name: str) -> str:
        """Return a text; an absent or null field is an empty one."""
        value = self._values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or not _is_unicode(value):
            raise V2Problem("INVALID_JSON")
        return value

    def secret(self, name: str) -> Secret:
        """Return a text, masked."""
        return Secret(self.text(name))

    def number(self, name: str) -> int | None:
        """Return a whole number; ``None`` when it is absent, null or 0."""
        value = self._values.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise V2Problem("INVALID_JSON")
        return value or None

    def flag(self, name: str) -> bool:
        """Return true or false; an absent field is false."""
        value = self._values.get(name) or False
        if not isinstance(value, bool):
            raise V2Problem("INVALID_JSON")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; an absent field is an empty one."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, list):
            raise V2Problem("INVALID_JSON")
        texts = cast("list[object]", value or [])
        if not all(isinstance(text, str) for text in texts):
            raise V2Problem("INVALID_JSON")
        return tuple(map(str, texts))

    def mapping(self, name: str) -> Mapping[str, object]:
        """Return an object; an absent field is an empty one."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, dict):
            raise V2Problem("INVALID_JSON")
        return cast("dict[str, object]", value or {})


def read_json(request: Request, *, known: Collection[str] | None = None) -> Values:
    """Return a JSON body. Anything behind the object is ignored.

    Args:
        request: The request.
        known: The fields that may be there. Where they are given, nothing may stand behind the object either.
    """
    text = body(request).decode(errors="replace").lstrip(" \t\r\n")
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        raise V2Problem("INVALID_JSON") from None
    if not isinstance(value, dict):
        raise V2Problem("INVALID_JSON")
    values = cast("dict[str, object]", value)
    if known is not None and (text[end:].strip() or not set(values) <= set(known)):
        raise V2Problem("INVALID_JSON")
    return Values(values)


def read_json_or_form(request: Request) -> Values:
    """Return a JSON body or a form, as ``Content-Type`` says.

    Raises:
        V2Problem: It says something else.
    """
    media_type = _media_type(request)
    if media_type == JSON:
        return read_json(request)
    if media_type == FORM:
        return read_form(request)
    raise V2Problem("BAD_REQUEST", "unsupported content type")


def read_form(request: Request) -> Values:
    """Return a form. A body of another type is an empty one."""
    if _media_type(request) != FORM:
        return Values({})
    try:
        pairs = parse_qsl(body(request).decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        return Values({})
    return Values(dict(pairs))


def limit_body(request: Request, limit: int, detail: str | None = None) -> None:
    """Refuse a body that the call does not read to its end."""
    if len(body(request)) > limit:
        raise V2Problem("INVALID_JSON") if detail is None else V2Problem("BAD_REQUEST", detail)


def bearer(request: Request) -> Secret | None:
    """Return the access token that was sent, or ``None``."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return Secret(token.strip()) if scheme.lower() == "bearer" and token.strip() else None


def cookie(request: Request, name: str) -> Secret | None:
    """Return a cookie, or ``None``."""
    value = request.cookies.get(name)
    return Secret(value) if value else None


def check_csrf(request: Request) -> None:
    """Refuse a request without a Bearer token and without a matching pair of CSRF cookie and header."""
    if bearer(request) is not None:
        return
    header, sent = request.headers.get("x-csrf-token"), request.cookies.get("csrf_token")
    if not header or not sent:
        raise V2Problem("CSRF_TOKEN_MISSING")
    if header != sent:
        raise V2Problem("CSRF_TOKEN_INVALID")


def named_tenant(request: Request) -> str:
    """Return the tenant that headers or the query name, or an empty text."""
    headers = (request.headers.get(name, "") for name in _TENANT_HEADERS)
    query = (request.query_params.get(name, "") for name in _TENANT_QUERY)
    return next(filter(None, (*headers, *query)), "")


def need_tenant(request: Request, directory: Directory, *, otherwise: str = "") -> Tenant:
    """Return the tenant that headers, the query, or ``otherwise`` name.

    A request that names none is taken to name the first part of its host: ``127`` on ``127.0.0.1``.

    Raises:
        V2Problem: There is no such tenant.
    """
    host = (request.url.hostname or "").partition(".")[0]
    named = named_tenant(request) or otherwise or host
    tenant = directory.find(named)
    if tenant is None:
        raise V2Problem("TENANT_NOT_FOUND", named)
    return tenant


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_unicode(text: str) -> bool:
    """Return whether the text can be encoded: JSON can spell half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
