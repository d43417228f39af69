"""The stored record of one session: versioned JSON, read with suspicion.

What a store holds is text that anybody may have changed: everything is checked on the way in. Pure.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from hellojohn._errors import StoreCorrupt
from hellojohn._models import Clock, Session, User
from hellojohn._secret import Secret
from hellojohn._timing import LAST_MOMENT, as_moment

VERSION = 1
_SLACK = 60.0

T = TypeVar("T")


class NewerRecord(StoreCorrupt):
    """The record was written by a newer version of the SDK: it is left alone."""


class SetAside(StoreCorrupt):
    """What was there is no session of ours, and is out of the way now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One session, as it is kept. All times are seconds since the epoch, by this side's clock.

    Attributes:
        api_url: Which service issued it: its refresh token goes nowhere else.
        tenant_id: Which tenant it belongs to.
        generation: How many token pairs the session has had; each refresh adds one.
        access_token: The access token.
        refresh_token: The refresh token that goes with it.
        refreshed_at: When this pair arrived.
        ttl: The access token's life in seconds, from its arrival; 0 once it is spent.
        created_at: When the session was signed in.
        ends_at: When the server ends the session, if it said so.
        deadline: When this client ends the session, because the server would let it live longer than asked.
        duration: What was asked for, in seconds.
        remember_me: What was asked for.
        session_id: The session's id, if the server gave one.
        user: Who is signed in, if the server said so.
        intent_at: When a refresh of this generation began whose outcome was never saved.
        retry_at: No refresh before this moment: the service asked for a pause, or somebody may be at it.
    """

    api_url: str
    tenant_id: str
    generation: int
    access_token: Secret
    refresh_token: Secret
    refreshed_at: float
    ttl: float
    created_at: float
    ends_at: float | None = None
    deadline: float | None = None
    duration: float | None = None
    remember_me: bool | None = None
    session_id: str | None = None
    user: User | None = None
    intent_at: float | None = None
    retry_at: float | None = None

    @property
    def over_at(self) -> float | None:
        """When the session ends, as far as this side knows."""
        known = [moment for moment in (self.ends_at, self.deadline) if moment is not None]
        return min(known, default=None)

    @property
    def is_spent(self) -> bool:
        """Whether the access token must not be used: the service has to honour the session first."""
        return self.ttl == 0

    def spent(self) -> "Record":
        """Return a copy for where nobody knows what the store had: spent, its refresh token in doubt."""
        doubt = self.refreshed_at if self.intent_at is None else self.intent_at
        return self.changed(ttl=0.0, intent_at=doubt)

    def is_of_same_session(self, other: "Record") -> bool:
        """Return whether both are generations of one session."""
        one_id = self.session_id == other.session_id or None in (self.session_id, other.session_id)
        return self.created_at == other.created_at and one_id

    def is_before(self, other: "Record") -> bool:
        """Return whether the other is a later generation of the same session."""
        return self.is_of_same_session(other) and self.generation < other.generation

    def ends_with(self, other: "Record") -> bool:
        """Return whether both are of one session and end at the same time, which is told to the second."""
        if not self.is_of_same_session(other):
            return False
        if self.over_at is None or other.over_at is None:
            return self.over_at == other.over_at
        return abs(self.over_at - other.over_at) <= _SLACK

    def changed(self, **changes: Any) -> "Record":  # noqa: ANN401 - the fields' own types apply
        """Return a copy with some fields changed."""
        return replace(self, **changes)

    def dumps(self) -> str:
        """Write the record as the text that a store keeps."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        fields["access_token"] = self.access_token.reveal()
        fields["refresh_token"] = self.refresh_token.reveal()
        fields["user"] = None if self.user is None else _user_fields(self.user)
        return json.dumps({"v": VERSION, **fields}, separators=(",", ":"))

    @classmethod
    def loads(cls, text: str) -> "Record":
        """Read what a store held.

        Raises:
            NewerRecord: A newer version wrote it.
            StoreCorrupt: It is not a record.
        """
        fields = _Fields(_parse(text))
        if fields.take("v", int) > VERSION:
            msg = "The stored session was written by a newer version of hellojohn: upgrade this one."
            raise NewerRecord(msg)
        return cls(
            api_url=fields.take("api_url", str),
            tenant_id=fields.take("tenant_id", str),
            generation=fields.take("generation", int),
            access_token=fields.secret("access_token"),
            refresh_token=fields.secret("refresh_token"),
            refreshed_at=fields.seconds("refreshed_at"),
            ttl=fields.seconds("ttl"),
            created_at=fields.seconds("created_at"),
            ends_at=fields.maybe_seconds("ends_at"),
            deadline=fields.maybe_seconds("deadline"),
            duration=fields.maybe_seconds("duration"),
            remember_me=fields.maybe("remember_me", bool),
            session_id=fields.maybe("session_id", str),
            user=_read_user(fields.mapping("user")),
            intent_at=fields.maybe_seconds("intent_at"),
            retry_at=fields.maybe_seconds("retry_at"),
        )

    def session(self, *, idle_timeout: float | None, clock: Clock) -> Session:
        """Return the public face of this record."""
        idle_at = None if idle_timeout is None else self.refreshed_at + idle_timeout
        return Session(
            id=self.session_id,
            user=self.user,
            tenant_id=self.tenant_id,
            created_at=as_moment(self.created_at),
            access_token_expires_at=as_moment(self.refreshed_at + self.ttl),
            expires_at=None if self.over_at is None else as_moment(self.over_at),
            duration=None if self.duration is None else timedelta(seconds=self.duration),
            remember_me=self.remember_me,
            idle_expires_at=None if idle_at is None else as_moment(idle_at),
            clock=clock,
        )


class _Fields:
    """The fields of a parsed record, checked as they are taken. No message shows a value."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def maybe(self, name: str, kind: type[T]) -> T | None:
        value = self._fields.get(name)
        if value is None:
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise _corrupt(f"its {name} is not a {kind.__name__}")
        return value

    def mapping(self, name: str) -> dict[str, Any] | None:
        return self.maybe(name, cast("type[dict[str, Any]]", dict))

    def take(self, name: str, kind: type[T]) -> T:
        value = self.maybe(name, kind)
        if value is None:
            raise _corrupt(f"it has no {name}")
        return value

    def maybe_seconds(self, name: str) -> float | None:
        value: object = self._fields.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LAST_MOMENT:
            raise _corrupt(f"its {name} is not a number of seconds")
        return float(value)

    def seconds(self, name: str) -> float:
        value = self.maybe_seconds(name)
        if value is None:
            raise _corrupt(f"it has no {name}")
        return value

    def secret(self, name: str) -> Secret:
        secret = Secret(self.take(name, str))
        if not secret.is_sendable():
            raise _corrupt(f"its {name} is empty or cannot go into a header")
        return secret


def _parse(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except (TypeError, ValueError, RecursionError):  # a store of somebody's may return anything
        parsed = None
    if not isinstance(parsed, dict):
        raise _corrupt("it is not a JSON object")
    return cast("dict[str, Any]", parsed)


def _user_fields(user: User) -> dict[str, Any]:
    fields = {name: getattr(user, name) for name in user.__slots__}
    fields["created_at"] = None if user.created_at is None else user.created_at.isoformat()
    fields["extra"] = dict(user.extra)
    return fields


def _read_user(parsed: dict[str, Any] | None) -> User | None:
    if parsed is None:
        return None
    fields = _Fields(parsed)
    return User(
        id=fields.take("id", str),
        email=fields.maybe("email", str),
        name=fields.maybe("name", str),
        username=fields.maybe("username", str),
        email_verified=fields.maybe("email_verified", bool),
        created_at=_read_moment(fields.maybe("created_at", str)),
        extra=fields.mapping("extra") or {},
    )


def _read_moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        problem = _corrupt("its user's created_at is not a date")
    raise problem


def _corrupt(what: str) -> StoreCorrupt:
    return StoreCorrupt(f"The store holds something that is not a session of hellojohn: {what}.")
