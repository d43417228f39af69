"""Read the content of a successful answer: the tokens with their lives, and the user.

``None`` stands for an answer that cannot be understood. Nothing here raises, so that no frame of a traceback
holds an unmasked token.
"""

from dataclasses import replace
from datetime import datetime

from hellojohn._limits import DOCUMENTED_TOKEN_LIFE, SHORTEST_TOKEN_LIFE
from hellojohn._models import User
from hellojohn._wire.reading import (
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
from hellojohn._wire.values import Answer, ApiResponse, TokenResponse

_NOTHING: Fields = {}
_ROUNDING = 60.0
_USER_FIELDS = frozenset({"id", "email", "name", "username", "email_verified", "created_at"})


def read_tokens(answer: Answer) -> TokenResponse | None:
    """Read the tokens, either in a ``session`` object or at the top level."""
    document = success(answer)
    if document is None or not isinstance(answer, ApiResponse):
        return None
    session = fields(document.get("session"))
    content = {**document, **{name: value for name, value in session.items() if value is not None}}
    access_token, refresh_token = token(content.get("access_token")), token(content.get("refresh_token"))
    if access_token is None or (refresh_token is None and content.get("refresh_token") is not None):
        return None
    ends = session.get("expires_at"), content.get("refresh_token_expires_at")
    stated = life(number(content.get("expires_in")))
    known, now = _NOTHING, None
    if stated is None or ends != (None, None):  # else, as in most refreshes, the claims are not needed
        known = claims(access_token)
        now = number(known.get("iat")) or _seconds(http_date(answer.headers.get("date")))
    ttl = stated or _token_life(session, content, known, now)
    return TokenResponse(
        access_token=access_token,
        refresh_token=refresh_token,
        ttl=ttl,
        session_id=_first_text(session.get("id"), content.get("session_id"), content.get("sid")),
        user=user(fields(document.get("user"))) if "user" in document else None,
        session_ttl=_session_life(*ends, now, ttl),
        device_token=token(content.get("device_token")),
    )


def with_identity(tokens: TokenResponse) -> TokenResponse:
    """Add the user and the session's id from the access token, where a sign-in does not name them."""
    known = claims(tokens.access_token)
    return replace(
        tokens,
        user=tokens.user or user({"id": known.get("sub"), "email": known.get("email")}),
        session_id=tokens.session_id or _first_text(known.get("session_id"), known.get("sid")),
    )


def success(answer: Answer) -> Fields | None:
    """Read the JSON object of a 2xx answer."""
    return json_object(answer.body) if isinstance(answer, ApiResponse) and answer.is_success else None


def user(content: Fields) -> User | None:
    """Read a user object."""
    user_id = text(content.get("id"))
    if user_id is None:
        return None
    verified = content.get("email_verified")
    return User(
        id=user_id,
        email=text(content.get("email")),
        name=text(content.get("name")),
        username=text(content.get("username")),
        email_verified=verified if isinstance(verified, bool) else None,
        created_at=moment(content.get("created_at")),
        extra={
            name: value
            for name, value in content.items()
            if name not in _USER_FIELDS and is_plain(name) and is_plain(value)
        },
    )


def _token_life(session: Fields, content: Fields, known: Fields, now: float | None) -> float:
    """Measure the access token's life where the answer does not state it."""
    ends = content.get("access_token_expires_at"), session.get("expires_at")
    measured = _span(known) or _left(ends[0], now) or _left(ends[1], now)
    return measured or (
        SHORTEST_TOKEN_LIFE if number(content.get("expires_in")) == 0 else DOCUMENTED_TOKEN_LIFE
    )


def _session_life(own_end: object, token_end: object, now: float | None, ttl: float) -> float | None:
    """Read when the session ends.

    ``expires_at`` of the session object is its end in some answers and the access token's in others. Taking
    the token's end for the session's would sign the user out.
    """
    own = _left(own_end, now)
    if own is not None and own > ttl + _ROUNDING:
        return own
    return _left(token_end, now)


def _span(known: Fields) -> float | None:
    begin, end = number(known.get("iat")), number(known.get("exp"))
    return None if begin is None or end is None else life(end - begin)


def _left(value: object, now: float | None) -> float | None:
    """Measure the time left by the service's own clock: this machine's may be wrong."""
    end = _seconds(moment(value))
    return None if end is None or now is None else life(end - now)


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def _first_text(*values: object) -> str | None:
    for value in values:
        found = text(value)
        if found is not None:
            return found
    return None
