"""Reads requests as the server does, which is different for nearly every call.

A value that is missing is an empty text, as in the server. It knows no session rule.
"""

import json
from collections.abc import Collection, Mapping
from typing import Final, NoReturn, cast
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from hellojohn._secret import Secret
from hellojohn.emulator.addresses import is_web_address
from hellojohn.emulator.requests import body
from hellojohn.emulator.v2.problems import V2Problem
from hellojohn.emulator.v2.tenants import Directory, Tenant

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
LOGIN_LIMIT: Final = 65_536
REFRESH_LIMIT: Final = 8_192
LOGOUT_LIMIT: Final = 4_096
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_TENANT_HEADERS: Final = ("x-tenant-id", "x-tenant-slug")
_TENANT_QUERY: Final = ("tenant", "tenant_id")


class Values:
    """The fields of a JSON object or a form."""

    def __init__(self, values: Mapping[str, object]) -> None:
        """Hold these fields."""
        self._values = values

    def text(self, name: str) -> str:
        """Return a text without the space around it; an absent or null field is an empty one."""
        return self._exactly(name).strip()

    def token(self, name: str) -> Secret:
        """Return a text without the space around it, masked."""
        return Secret(self.text(name))

    def secret(self, name: str) -> Secret:
        """Return a text with the space around it, masked."""
        return Secret(self._exactly(name))

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

    def _exactly(self, name: str) -> str:
        value = self._values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise V2Problem("INVALID_JSON")
        return value.encode(errors="replace").decode()  # JSON can spell half of a surrogate pair


def read_json(request: Request, *, known: Collection[str] | None = None) -> Values:
    """Return a JSON body. ``null`` counts as an empty object, and anything behind the object is ignored.

    Args:
        request: The request.
        known: The fields that may be there. Where they are given, nothing may stand behind the object either.
    """
    text = body(request).decode(errors="replace").lstrip(" \t\r\n")
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        raise V2Problem("INVALID_JSON") from None
    if value is not None and not isinstance(value, dict):
        raise V2Problem("INVALID_JSON")
    values = cast("dict[str, object]", value or {})
    if known is not None and (text[end:].strip() or not set(values) <= set(known)):
        raise V2Problem("INVALID_JSON")
    return Values(values)


def read_json_with_tenant(request: Request, directory: Directory) -> tuple[Tenant, Values]:
    """Return the tenant and the JSON body of a call that may name the tenant in either.

    The tenant is looked for first, and in a body that is nothing but one object.

    Raises:
        V2Problem: The tenant is unknown, or the body is malformed.
    """
    try:
        whole: object = json.loads(body(request))
    except (ValueError, RecursionError):
        whole = None
    named = Values(cast("dict[str, object]", whole)).text("tenant_id") if isinstance(whole, dict) else ""
    tenant = need_tenant(request, directory, otherwise=named)
    return tenant, read_json(request)


def check_same_tenant(tenant: Tenant, directory: Directory, named: str) -> None:
    """Refuse a request that names another tenant beside the one that counts."""
    if named and directory.find(named) is not tenant:
        raise V2Problem("BAD_REQUEST", "tenant_id does not match resolved tenant")


def is_redirect(uri: str) -> bool:
    """Return whether a client may register an address, or a mail may lead to it: https, or loopback."""
    if not is_web_address(uri):
        return False
    parts = urlsplit(uri)
    return parts.scheme == "https" or parts.hostname in _LOOPBACK


def read_json_or_form(request: Request) -> Values:
    """Return a JSON body or a form, as ``Content-Type`` says.

    Raises:
        V2Problem: It says something else.
    """
    if media_type(request) == JSON:
        return read_json(request)
    if media_type(request) == FORM:
        return read_form(request)
    raise V2Problem("BAD_REQUEST", "unsupported content type")


def read_form(request: Request) -> Values:
    """Return a form. A body of another type is an empty one."""
    if media_type(request) != FORM:
        return Values({})
    try:
        pairs = parse_qsl(body(request).decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        return Values({})
    return Values(dict(pairs))


def need_fields(fields: Values, *names: str) -> None:
    """Refuse a body that lacks a field."""
    for name in names:
        if not fields.secret(name).reveal():
            raise V2Problem("BAD_REQUEST", f"{name} is required")


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
        V2Problem: The tenant is unknown.
    """
    host = (request.url.hostname or "").partition(".")[0]
    named = named_tenant(request) or otherwise or host
    tenant = directory.find(named)
    if tenant is None:
        raise V2Problem("TENANT_NOT_FOUND", named)
    return tenant


def _refuse_constant(name: str) -> NoReturn:
    """Refuse ``NaN`` and the infinities, which ``json`` accepts although JSON has none."""
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def media_type(request: Request) -> str:
    """Return the type that ``Content-Type`` names, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
