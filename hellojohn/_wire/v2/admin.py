"""v2: the settings that the server really has, and the end of a user's sessions. It cannot list sessions.

The server replaces a client that is written, so it is read, changed and written whole, and read back.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import cast
from urllib.parse import quote

from hellojohn._details import SessionInfo
from hellojohn._duration import format_duration, parse_duration
from hellojohn._errors import ApiError, NotFound, NotSupported
from hellojohn._limits import LONGEST_ID
from hellojohn._secret import Secret
from hellojohn._wire.arguments import checked
from hellojohn._wire.conversation import Conversation, single
from hellojohn._wire.errors import check_done, required
from hellojohn._wire.reading import Fields, fields, json_value, life, number
from hellojohn._wire.topics import RemoteCheck, SessionPage
from hellojohn._wire.v2.codes import CODES
from hellojohn._wire.v2.requests import Requests
from hellojohn._wire.values import Answer, ApiRequest, ApiResponse

_LIFETIMES = {"access_token_ttl": "access_token_ttl", "session_duration": "refresh_token_ttl"}
"""The settings, and the fields of a client that hold them."""

_SECRET = "secret_hash"  # noqa: S105 - the name of a field that is read and cannot be written

_NO_LIST = (
    "{}: the open-source server (v2) keeps no list of sessions. To end a user's sessions, use"
    " sessions.revoke_all(user_id)."
)


class V2Admin:
    """Implements ``Admin``."""

    def __init__(self, requests: Requests) -> None:
        """Build requests with ``requests``."""
        self._requests = requests

    def list_sessions(
        self, *, user_id: str | None, status: str | None, limit: int, cursor: str | None
    ) -> Conversation[SessionPage]:
        """Refuse: the server keeps no list."""
        raise NotSupported(_NO_LIST.format("sessions.list"))

    def get_session(self, session_id: str) -> Conversation[SessionInfo]:
        """Refuse: the server keeps no list."""
        raise NotSupported(_NO_LIST.format("sessions.get"))

    def revoke_session(self, session_id: str) -> Conversation[None]:
        """Refuse: the server keeps no list."""
        raise NotSupported(_NO_LIST.format("sessions.revoke"))

    def revoke_all(self, user_id: str) -> Conversation[None]:
        """End all sessions of a user."""
        body = {"user_id": checked(user_id, name="user_id", longest=LONGEST_ID)}
        request = self._requests.server(
            "POST", "tokens/revoke-by-user", body, call="sessions.revoke_all", idempotent=True
        )
        return single(request, partial(check_done, codes=CODES))

    def check_token(self, access_token: Secret) -> Conversation[RemoteCheck]:
        """Refuse: the server does not know."""
        raise NotSupported(
            "verify_token_remote: the open-source server (v2) cannot tell whether a token was revoked. Use"
            " verify_token, and revocations.add for sessions that your own code ends."
        )

    def get_config(self) -> Conversation[Fields]:
        """Read the client's lifetimes."""
        return self._get(self._clients(call="admin.config.get"))

    def update_config(self, changes: Mapping[str, str | int | None]) -> Conversation[Fields]:
        """Change the client's lifetimes, from the next refresh on."""
        unknown = [name for name in changes if name not in _LIFETIMES]
        if unknown:
            raise NotSupported(
                f"{', '.join(unknown)}: the open-source server (v2) has no such setting. It has"
                " access_token_ttl, and session_duration: the life of a refresh token, which starts again at"
                " each refresh."
            )
        wanted = {_LIFETIMES[name]: _seconds(value, name=name) for name, value in changes.items()}
        return self._update(self._clients(call="admin.config.update"), wanted)

    def _get(self, listing: ApiRequest) -> Conversation[Fields]:
        return _settings(self._client_in((yield listing)))

    def _update(self, listing: ApiRequest, wanted: Mapping[str, int]) -> Conversation[Fields]:
        before = self._client_in((yield listing))
        new = {name: value for name, value in {**before, **wanted}.items() if name != _SECRET}
        path = f"clients/{quote(self._requests.client_id, safe='')}"
        check_done((yield self._requests.server("PUT", path, new, call="admin.config.update")), CODES)
        after = self._client_in((yield listing))
        lost = sorted(name for name, value in new.items() if after.get(name) != value)
        if before.get(_SECRET) and not after.get(_SECRET):
            lost.append(_SECRET)
        if lost:
            raise ApiError(
                f"The server did not keep these fields of the client: {', '.join(lost)}. Set them again."
            )
        return _settings(after)

    def _clients(self, *, call: str) -> ApiRequest:
        return self._requests.server("GET", "clients", call=call, idempotent=True)

    def _client_in(self, answer: Answer) -> Fields:
        found = required(_client(answer, self._requests.client_id), answer, CODES)
        if not found:
            raise NotFound("The tenant has no such client: check client_id (HELLOJOHN_CLIENT_ID).")
        return found


def _client(answer: Answer, client_id: str) -> Fields | None:
    """Read the client from the list; it is empty when the list has no such client.

    Of its secret, only the presence is kept: that is all that counts, and no error may show more.
    """
    listing = json_value(answer.body) if isinstance(answer, ApiResponse) and answer.is_success else None
    if not isinstance(listing, list):
        return None
    clients = map(fields, cast("list[object]", listing))
    nothing: Fields = {}
    found = next((client for client in clients if client.get("client_id") == client_id), nothing)
    return {name: value if name != _SECRET else bool(value) for name, value in found.items()}


def _seconds(value: str | int | None, *, name: str) -> int:
    if isinstance(value, str):
        return int(parse_duration(value, name=name).total_seconds())
    raise NotSupported(f"{name}: the open-source server (v2) needs a duration, such as 15m.")


def _settings(client: Fields) -> Fields:
    return {name: _duration(client.get(field)) for name, field in _LIFETIMES.items()}


def _duration(value: object) -> str | None:
    seconds = life(number(value))
    return None if seconds is None or seconds < 1 else format_duration(timedelta(seconds=int(seconds)))
