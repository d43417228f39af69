"""``hj.sessions`` and ``hj.admin``: the sessions and settings of a tenant, with the secret key."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

from hellojohn._details import SessionInfo
from hellojohn._errors import ConfigurationError, ServiceUnavailable
from hellojohn._policy import DURATIONS, LIVES, Duration, SessionPolicy
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
    "Sessions",
]

_PAGE = 100  # the largest page that the service gives
_KEPT: Final = "a value that is not given"


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
        for name in LIVES:
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
            ServiceUnavailable: The service gave no usable answer, or repeated a page.
            ConfigurationError: The secret key is missing.
        """
        return _Pages(self._flows, user_id, status).sessions()

    def get(self, session_id: str) -> SessionInfo:
        """Return one session.

        Raises:
            NotFound: The session does not exist.
            ServiceUnavailable: The service gave no usable answer.
            ConfigurationError: The secret key is missing.
        """
        return run(self._flows.get(session_id))

    def revoke(self, session_id: str) -> None:
        """End one session. Its access token stays valid until it expires, except under remote verification.

        Raises:
            NotFound: The session does not exist.
            ServiceUnavailable: The service gave no usable answer.
            ConfigurationError: The secret key is missing.
        """
        run(self._flows.revoke(session_id))

    def revoke_all(self, user_id: str) -> None:
        """End all sessions of a user.

        Raises:
            ServiceUnavailable: The service gave no usable answer.
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
            ServiceUnavailable: The service gave no usable answer.
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
            ServiceUnavailable: The service gave no usable answer.
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
        zip(DURATIONS, (session_duration, access_token_ttl, idle_timeout), strict=True)
    )
    values["max_sessions_per_user"] = max_sessions
    return {name: value for name, value in values.items() if value is not _KEPT}


def _policy(fields: Mapping[str, object]) -> SessionPolicy:
    names = (*DURATIONS, "max_sessions_per_user")
    known: dict[str, Any] = {name: fields.get(name) for name in names}
    try:
        return SessionPolicy(**known)
    except ConfigurationError:
        pass
    raise ServiceUnavailable("The service's settings cannot be understood. Try again later.", ambiguous=True)
