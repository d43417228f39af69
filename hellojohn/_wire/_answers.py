"""Reads what a good answer carries: the tokens with their lives, and the user.

``None`` stands for an answer that cannot be understood; nothing here raises, so that no traceback has a
frame in which an unwrapped token lies. Pure.
"""

from datetime import datetime

from hellojohn._models import User
from hellojohn._wire._reading import (
    Fields,
    claims,
    fields,
    http_date,
    is_plain,
    json_object,
    life,
    moment,
    number,
    text,
    token,
)
from hellojohn._wire._types import ApiResponse, TokenResponse

# For an answer that names no life: to throw the tokens away would lose the session, and a token that dies
# earlier is found out by the API's 401.
_DOCUMENTED_LIFE = 3_600.0

_USER_FIELDS = frozenset({"id", "email", "name", "username", "email_verified", "created_at"})


def grant_in(reply: ApiResponse) -> TokenResponse | None:
    """Read the tokens, whether they lie in a ``session`` object or beside each other."""
    document = json_object(reply.body)
    if document is None:
        return None
    session = fields(document.get("session"))
    told = {**document, **{name: value for name, value in session.items() if value is not None}}
    access_token, refresh_token = token(told.get("access_token")), token(told.get("refresh_token"))
    if access_token is None or (refresh_token is None and told.get("refresh_token") is not None):
        return None
    known = claims(access_token)
    now = number(known.get("iat")) or _seconds(http_date(reply.headers.get("date")))
    return TokenResponse(
        access_token=access_token,
        refresh_token=refresh_token,
        ttl=_access_token_life(told, known, now) or _DOCUMENTED_LIFE,
        session_id=_session_id(session, told, known),
        user=_user(fields(document.get("user"))),
        session_ttl=_left(session.get("expires_at"), now) or _left(told.get("refresh_token_expires_at"), now),
    )


def user_in(reply: ApiResponse) -> User | None:
    """Read a user, whether it is the whole answer or its ``user``."""
    document = json_object(reply.body) or {}
    return _user(fields(document.get("user")) or document)


def _access_token_life(told: Fields, known: Fields, now: float | None) -> float | None:
    stated = life(number(told.get("expires_in")))
    return stated or _span(known) or _left(told.get("access_token_expires_at"), now)


def _span(known: Fields) -> float | None:
    begin, end = number(known.get("iat")), number(known.get("exp"))
    return None if begin is None or end is None else life(end - begin)


def _left(value: object, now: float | None) -> float | None:
    """Measure by the service's own clock: ours may be wrong."""
    end = _seconds(moment(value))
    return None if end is None or now is None else life(end - now)


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def _session_id(session: Fields, told: Fields, known: Fields) -> str | None:
    names = (session.get("id"), told.get("session_id"), told.get("sid"))
    candidates = (*names, known.get("session_id"), known.get("sid"))
    return next((name for name in map(text, candidates) if name is not None), None)


def _user(told: Fields) -> User | None:
    user_id = text(told.get("id"))
    if user_id is None:
        return None
    verified = told.get("email_verified")
    return User(
        id=user_id,
        email=text(told.get("email")),
        name=text(told.get("name")),
        username=text(told.get("username")),
        email_verified=verified if isinstance(verified, bool) else None,
        created_at=moment(told.get("created_at")),
        extra={
            name: value
            for name, value in told.items()
            if name not in _USER_FIELDS and is_plain(name) and is_plain(value)
        },
    )
