"""``hj.sessions`` and ``hj.admin``: the sessions and settings of a tenant, with the secret key."""

import json
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final

from hellojohn._details import SessionInfo
from hellojohn._duration import format_duration, parse_duration
from hellojohn._errors import ConfigurationError, ServiceUnavailable
from hellojohn._session import calls
from hellojohn._session.account import Account
from hellojohn._waiting import Flow, run, run_async
from hellojohn._wire import SessionPage

__all__ = [
    "Admin",
    "AsyncAdmin",
    "AsyncConfig",
    "AsyncSessions",
    "Config",
    "PolicyWarning",
    "SessionPolicy",
    "Sessions",
]

_PAGE = 100  # the largest page that the service gives
_KEPT: Final = "a value that is not given"
_LIVES = ("session_duration", "access_token_ttl")
_DURATIONS = (*_LIVES, "idle_timeout")

Duration = str | timedelta


class PolicyWarning(UserWarning):
    """A session policy defeats itself, such as tokens that outlive the idle timeout."""


@dataclass(frozen=True, kw_only=True)
class SessionPolicy:
    """The settings of a tenant's sessions. ``str()`` of it is the JSON of the documentation.

    Attributes:
        session_duration: The life of a whole session; ``None`` if the server does not say.
        access_token_ttl: The life of an access token; ``None`` if the server does not say.
        idle_timeout: How long a session may go without a refresh; ``None`` for no limit.
        max_sessions_per_user: How many sessions a user may have; ``None`` for no limit.
    """

    session_duration: Duration | None = "30d"
    access_token_ttl: Duration | None = "1h"  # noqa: S105 - a duration
    idle_timeout: Duration | None = None
    max_sessions_per_user: int | None = None

    STANDARD: ClassVar["SessionPolicy"]
    HIGH_SECURITY: ClassVar["SessionPolicy"]
    COMPLIANCE: ClassVar["SessionPolicy"]

    def __post_init__(self) -> None:
        """Check the values, and keep durations as ``timedelta``.

        Raises:
            ConfigurationError: A value is malformed.
        """
        for name in _DURATIONS:
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, parse_duration(value, name=name))
        most: object = self.max_sessions_per_user
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
            raise ConfigurationError("max_sessions_per_user must be a whole number from 1, or None.")

    def to_json(self) -> dict[str, str | int | None]:
        """Return the settings as the API has them."""
        return {**{name: _text(getattr(self, name)) for name in _DURATIONS}, **self._numbers()}

    def warn(self, *, stacklevel: int = 2) -> None:
        """Issue a ``PolicyWarning`` for settings that defeat each other.

        Args:
            stacklevel: Whose line the warning names, as for ``warnings.warn``: by default the caller's.
        """
        session, token, idle = (_seconds(getattr(self, name)) for name in _DURATIONS)
        if token is not None and idle is not None and token >= idle:
            message = (
                "access_token_ttl is not shorter than idle_timeout. The service counts refreshes as"
                " activity, so users who are active all the time are signed out as idle."
            )
            warnings.warn(message, PolicyWarning, stacklevel=stacklevel)
        if token is not None and session is not None and token > session:
            message = "access_token_ttl is longer than session_duration: tokens outlive their sessions."
            warnings.warn(message, PolicyWarning, stacklevel=stacklevel)

    def _numbers(self) -> dict[str, str | int | None]:
        return {"max_sessions_per_user": self.max_sessions_per_user}

    def __str__(self) -> str:
        """Return the JSON of the documentation."""
        return json.dumps(self.to_json(), indent=2)


SessionPolicy.STANDARD = SessionPolicy()
SessionPolicy.HIGH_SECURITY = SessionPolicy(
    session_duration="24h",
    access_token_ttl="15m",  # noqa: S106 - a duration
    idle_timeout="1h",
    max_sessions_per_user=3,
)
SessionPolicy.COMPLIANCE = SessionPolicy(
    session_duration="8h",
    access_token_ttl="5m",  # noqa: S106 - a duration
    idle_timeout="30m",
    max_sessions_per_user=2,
)


class _Flows:
    """What both faces ask."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._topic = account.context.service.dialect.admin

    def page(self, user_id: str | None, status: str | None, cursor: str | None) -> Flow[SessionPage]:
        conversation = self._topic.list_sessions(user_id=user_id, status=status, limit=_PAGE, cursor=cursor)
        return calls.ask(self._account, conversation)

    def get(self, session_id: str) -> Flow[SessionInfo]:
        return calls.ask(self._account, self._topic.get_session(session_id))

    def revoke(self, session_id: str) -> Flow[None]:
        return calls.ask(self._account, self._topic.revoke_session(session_id))

    def revoke_all(self, user_id: str) -> Flow[None]:
        return calls.ask(self._account, self._topic.revoke_all(user_id))

    def get_config(self) -> Flow[SessionPolicy]:
        fields = yield from calls.ask(self._account, self._topic.get_config())
        return _policy(fields)

    def update_config(self, policy: SessionPolicy | None, changes: Mapping[str, Any]) -> Flow[SessionPolicy]:
        given: object = policy
        if given is not None and not isinstance(given, SessionPolicy):
            raise TypeError(f"update takes a SessionPolicy, not {type(given).__name__}.")
        if policy is not None and changes:
            raise ConfigurationError("Pass a SessionPolicy or single settings, not both.")
        if policy is None and not changes:
            raise ConfigurationError("Pass a SessionPolicy, or the settings to change.")
        if policy is None:
            checked = SessionPolicy(**changes).to_json()
            sent = {name: checked[name] for name in changes}
        else:
            sent = policy.to_json()
        for name in _LIVES:
            if name in sent and sent[name] is None:
                raise ConfigurationError(f"{name} must be a duration: only a limit can be None.")
        fields = yield from calls.ask(self._account, self._topic.update_config(sent))
        return _policy(fields)


class Sessions:
    """Lists and ends the sessions of users; ``hj.sessions``. It needs the secret key."""

    def __init__(self, account: Account) -> None:
        """Made by ``HelloJohn``."""
        self._flows = _Flows(account)

    def list(self, *, user_id: str | None = None, status: str | None = None) -> Iterator[SessionInfo]:
        """Yield sessions, page by page as they are needed.

        Args:
            user_id: Only those of this user.
            status: Only those that are ``active``, ``expired`` or ``revoked``.

        Raises:
            NotSupported: The server cannot list sessions.
            PermissionDenied: The key must not list sessions.
            ServiceUnavailable: There is no usable answer, or the service repeats a page.
            ConfigurationError: The secret key is missing.
        """
        return _Pages(self._flows, user_id, status).sessions()

    def get(self, session_id: str) -> SessionInfo:
        """Return one session.

        Raises:
            NotFound: There is no such session.
            ServiceUnavailable: There is no usable answer.
            ConfigurationError: The secret key is missing.
        """
        return run(self._flows.get(session_id))

    def revoke(self, session_id: str) -> None:
        """End one session. Its access token stays valid until it expires, except under remote verification.

        Raises:
            NotFound: There is no such session.
            ServiceUnavailable: There is no usable answer.
            ConfigurationError: The secret key is missing.
        """
        run(self._flows.revoke(session_id))

    def revoke_all(self, user_id: str) -> None:
        """End all sessions of a user.

        Raises:
            ServiceUnavailable: There is no usable answer.
            ConfigurationError: The secret key is missing.
        """
        run(self._flows.revoke_all(user_id))


class AsyncSessions:
    """Lists and ends the sessions of users; ``hj.sessions`` of ``AsyncHelloJohn``."""

    def __init__(self, account: Account) -> None:
        """Made by ``AsyncHelloJohn``."""
        self._flows = _Flows(account)

    def list(self, *, user_id: str | None = None, status: str | None = None) -> AsyncIterator[SessionInfo]:
        """Yield sessions, page by page as they are needed: see ``Sessions.list``."""
        return _Pages(self._flows, user_id, status).sessions_async()

    async def get(self, session_id: str) -> SessionInfo:
        """Return one session: see ``Sessions.get``."""
        return await run_async(self._flows.get(session_id))

    async def revoke(self, session_id: str) -> None:
        """End one session: see ``Sessions.revoke``."""
        await run_async(self._flows.revoke(session_id))

    async def revoke_all(self, user_id: str) -> None:
        """End all sessions of a user: see ``Sessions.revoke_all``."""
        await run_async(self._flows.revoke_all(user_id))


class Config:
    """Reads and changes the session settings of the tenant; ``hj.admin.config``."""

    def __init__(self, account: Account) -> None:
        """Made by ``HelloJohn``."""
        self._flows = _Flows(account)

    def get(self) -> SessionPolicy:
        """Return the settings.

        Raises:
            PermissionDenied: The key must not read them.
            ServiceUnavailable: There is no usable answer.
            ConfigurationError: The secret key is missing.
        """
        return run(self._flows.get_config())

    def update(
        self,
        policy: SessionPolicy | None = None,
        *,
        session_duration: Duration = _KEPT,
        access_token_ttl: Duration = _KEPT,
        idle_timeout: Duration | None = _KEPT,
        max_sessions_per_user: int | str | None = _KEPT,
    ) -> SessionPolicy:
        """Change settings, and return all of them.

        Args:
            policy: All settings, such as ``SessionPolicy.HIGH_SECURITY``; or name single ones:
            session_duration: The life of a whole session.
            access_token_ttl: The life of an access token.
            idle_timeout: How long a session may go without a refresh; ``None`` for no limit.
            max_sessions_per_user: How many sessions a user may have; ``None`` for no limit.

        Warns:
            PolicyWarning: The settings defeat each other.

        Raises:
            NotSupported: The server has no such setting.
            PermissionDenied: The key must not change them.
            ValidationFailed: The service refused a value.
            ServiceUnavailable: There is no usable answer.
            ConfigurationError: A value is malformed, or the secret key is missing.
        """
        changes = _given(session_duration, access_token_ttl, idle_timeout, max_sessions_per_user)
        updated = run(self._flows.update_config(policy, changes))
        updated.warn(stacklevel=3)
        return updated


class AsyncConfig:
    """Reads and changes the session settings of the tenant; ``hj.admin.config`` of ``AsyncHelloJohn``."""

    def __init__(self, account: Account) -> None:
        """Made by ``AsyncHelloJohn``."""
        self._flows = _Flows(account)

    async def get(self) -> SessionPolicy:
        """Return the settings: see ``Config.get``."""
        return await run_async(self._flows.get_config())

    async def update(
        self,
        policy: SessionPolicy | None = None,
        *,
        session_duration: Duration = _KEPT,
        access_token_ttl: Duration = _KEPT,
        idle_timeout: Duration | None = _KEPT,
        max_sessions_per_user: int | str | None = _KEPT,
    ) -> SessionPolicy:
        """Change settings, and return all of them: see ``Config.update``."""
        changes = _given(session_duration, access_token_ttl, idle_timeout, max_sessions_per_user)
        updated = await run_async(self._flows.update_config(policy, changes))
        updated.warn(stacklevel=3)
        return updated


class Admin:
    """The administration of a tenant; ``hj.admin``. It needs the secret key.

    Attributes:
        config: The session settings.
    """

    def __init__(self, account: Account) -> None:
        """Made by ``HelloJohn``."""
        self.config: Config = Config(account)


class AsyncAdmin:
    """The administration of a tenant; ``hj.admin`` of ``AsyncHelloJohn``.

    Attributes:
        config: The session settings.
    """

    def __init__(self, account: Account) -> None:
        """Made by ``AsyncHelloJohn``."""
        self.config: AsyncConfig = AsyncConfig(account)


class _Pages:
    """The pages of a list, each asked for when the one before is used up."""

    def __init__(self, flows: _Flows, user_id: str | None, status: str | None) -> None:
        self._flows = flows
        self._user_id = user_id
        self._status = status
        self._seen: set[str] = set()
        self._first = flows.page(user_id, status, None)  # checks the arguments before anything is sent

    def sessions(self) -> Iterator[SessionInfo]:
        page = run(self._first)
        yield from page.sessions
        while (cursor := self._next(page)) is not None:
            page = run(self._flows.page(self._user_id, self._status, cursor))
            yield from page.sessions

    async def sessions_async(self) -> AsyncIterator[SessionInfo]:
        page = await run_async(self._first)
        for session in page.sessions:
            yield session
        while (cursor := self._next(page)) is not None:
            page = await run_async(self._flows.page(self._user_id, self._status, cursor))
            for session in page.sessions:
                yield session

    def _next(self, page: SessionPage) -> str | None:
        cursor = page.next_cursor
        if cursor in self._seen:
            raise ServiceUnavailable("The service repeats a page of the list of sessions. Try again later.")
        if cursor is not None:
            self._seen.add(cursor)
        return cursor


def _given(
    session_duration: object, access_token_ttl: object, idle_timeout: object, max_sessions: object
) -> dict[str, Any]:
    values: dict[str, Any] = dict(
        zip(_DURATIONS, (session_duration, access_token_ttl, idle_timeout), strict=True)
    )
    values["max_sessions_per_user"] = max_sessions
    return {name: value for name, value in values.items() if value is not _KEPT}


def _policy(fields: Mapping[str, object]) -> SessionPolicy:
    names = (*_DURATIONS, "max_sessions_per_user")
    known: dict[str, Any] = {name: fields.get(name) for name in names}
    try:
        return SessionPolicy(**known)
    except ConfigurationError:
        pass
    raise ServiceUnavailable("The service's settings cannot be understood. Try again later.", ambiguous=True)


def _text(duration: timedelta | None) -> str | None:
    return None if duration is None else format_duration(duration)


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
