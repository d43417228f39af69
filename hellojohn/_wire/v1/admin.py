"""v1: sessions and settings, with the secret key."""

from collections.abc import Mapping
from functools import partial
from urllib.parse import urlencode

from hellojohn._details import SessionInfo
from hellojohn._limits import LONGEST_CURSOR, LONGEST_ID
from hellojohn._secret import Secret
from hellojohn._wire.arguments import checked, checked_id
from hellojohn._wire.conversation import Conversation, single
from hellojohn._wire.errors import check_done, required
from hellojohn._wire.failures import read_failure
from hellojohn._wire.reading import Fields, fields, listed, moment, text
from hellojohn._wire.tokens import success
from hellojohn._wire.topics import RemoteCheck, SessionPage
from hellojohn._wire.v1.codes import CODES, TOKEN_REFUSED
from hellojohn._wire.v1.paths import UNPUBLISHED
from hellojohn._wire.v1.requests import Requests
from hellojohn._wire.values import Answer, ApiResponse

_SESSIONS = "/v1/sessions"
_CONFIG = "/v1/admin/config"
_SETTINGS = ("session_duration", "access_token_ttl", "idle_timeout", "max_sessions_per_user")


class V1Admin:
    """Implements ``Admin``."""

    def __init__(self, requests: Requests) -> None:
        """Build requests with ``requests``."""
        self._requests = requests

    def list_sessions(
        self, *, user_id: str | None, status: str | None, limit: int, cursor: str | None
    ) -> Conversation[SessionPage]:
        """List sessions, one page."""
        wanted = {
            "user_id": user_id if user_id is None else checked(user_id, name="user_id", longest=LONGEST_ID),
            "status": status if status is None else checked(status, name="status", longest=LONGEST_ID),
            "limit": str(limit),
            "cursor": cursor if cursor is None else checked(cursor, name="cursor", longest=LONGEST_CURSOR),
        }
        query = urlencode(
            {name: value for name, value in wanted.items() if value is not None}, errors="replace"
        )
        request = self._requests.server("GET", f"{_SESSIONS}?{query}", call="sessions.list", idempotent=True)
        return single(request, _read_page)

    def get_session(self, session_id: str) -> Conversation[SessionInfo]:
        """Read one session."""
        path = f"{_SESSIONS}/{checked_id(session_id, name='session_id')}"
        return single(self._requests.server("GET", path, call="sessions.get", idempotent=True), _read_session)

    def revoke_session(self, session_id: str) -> Conversation[None]:
        """End one session."""
        path = f"{_SESSIONS}/{checked_id(session_id, name='session_id')}"
        request = self._requests.server("DELETE", path, call="sessions.revoke", idempotent=True)
        return single(request, partial(check_done, codes=CODES))

    def revoke_all(self, user_id: str) -> Conversation[None]:
        """End all sessions of a user."""
        path = UNPUBLISHED["revoke_all"]
        target = f"{path}?user_id={checked_id(user_id, name='user_id')}"
        request = self._requests.server("DELETE", target, call="sessions.revoke_all", idempotent=True)
        return single(request, partial(check_done, codes=CODES, assumed_path=path))

    def check_token(self, access_token: Secret) -> Conversation[RemoteCheck]:
        """Ask whether an access token is valid at this moment."""
        body = {"token": access_token}
        request = self._requests.server(
            "POST", f"{_SESSIONS}/verify", body, call="verify_token_remote", idempotent=True
        )
        return single(request, _read_check)

    def get_config(self) -> Conversation[Fields]:
        """Read the settings."""
        request = self._requests.server("GET", _CONFIG, call="admin.config.get", idempotent=True)
        return single(request, _read_config)

    def update_config(self, changes: Mapping[str, str | int | None]) -> Conversation[Fields]:
        """Change the named settings."""
        request = self._requests.server("PATCH", _CONFIG, dict(changes), call="admin.config.update")
        return single(request, _read_config)


def read_session(value: object) -> SessionInfo | None:
    """Read a session object; ``None`` if it has no id."""
    content = fields(value)
    session_id = text(content.get("id"))
    if session_id is None:
        return None
    return SessionInfo(
        id=session_id,
        user_id=text(content.get("user_id")),
        tenant_id=text(content.get("tenant_id")),
        status=text(content.get("status")),
        user_agent=text(content.get("user_agent")),
        ip_address=text(content.get("ip_address")),
        country=text(content.get("country")),
        device_type=text(content.get("device_type")),
        created_at=moment(content.get("created_at")),
        last_active_at=moment(content.get("last_active_at")),
        expires_at=moment(content.get("expires_at")),
    )


def _read_page(answer: Answer) -> SessionPage:
    return required(_page(success(answer) or {}), answer, CODES)


def _page(content: Fields) -> SessionPage | None:
    if not isinstance(content.get("data"), list):
        return None
    sessions = tuple(filter(None, map(read_session, listed(content.get("data")))))
    pagination = fields(content.get("pagination"))
    more, cursor = pagination.get("has_more"), pagination.get("next_cursor")
    if more is False or (more is None and cursor is None):
        return SessionPage(sessions, None)
    # Without a cursor that can be sent back, the list would end too early and look complete.
    usable = text(cursor)
    return SessionPage(sessions, usable) if usable and len(usable) <= LONGEST_CURSOR else None


def _read_session(answer: Answer) -> SessionInfo:
    return required(_session(success(answer) or {}), answer, CODES)


def _session(content: Fields) -> SessionInfo | None:
    return read_session(fields(content.get("session")) or content)


def _read_check(answer: Answer) -> RemoteCheck:
    if _is_refused(answer):
        return RemoteCheck(valid=False)
    return required(_check(success(answer) or {}), answer, CODES)


def _check(content: Fields) -> RemoteCheck | None:
    match content.get("valid"):
        case True:
            claims = fields(content.get("claims")) or None
            return RemoteCheck(valid=True, session=read_session(content.get("session")), claims=claims)
        case False:
            return RemoteCheck(valid=False)
        case _:
            return None


def _is_refused(answer: Answer) -> bool:
    """Return whether the refusal is about the token that was asked about, and not about the key."""
    failure = read_failure(answer, CODES) if isinstance(answer, ApiResponse) else None
    return failure is not None and failure.is_in(TOKEN_REFUSED)


def _read_config(answer: Answer) -> Fields:
    return required(_config(success(answer) or {}), answer, CODES)


def _config(content: Fields) -> Fields | None:
    if not any(name in content for name in _SETTINGS):
        return None
    found = {name: content.get(name) for name in _SETTINGS}
    return {name: value if isinstance(value, str | int) else None for name, value in found.items()}
