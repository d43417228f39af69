"""``hj.sessions``: listing, reading and ending sessions with the secret key."""

import json
from typing import Any

import httpx
import pytest

from hellojohn import (
    ConfigurationError,
    Device,
    HelloJohn,
    MemoryStore,
    NotFound,
    NotSupported,
    ServiceUnavailable,
    SessionExpired,
    ValidationFailed,
)
from hellojohn.emulator import Emulator
from tests.ways_in.conftest import EMAIL, PASSWORD, done, emulator, hj, settings

__all__ = ["emulator", "hj"]  # fixtures


@pytest.fixture(params=["v1"])
def api(request: pytest.FixtureRequest) -> str:
    """The dialect that lists sessions."""
    return request.param


async def collected(sessions: Any) -> list[Any]:
    """Return a list that either face yields."""
    return [it async for it in sessions] if hasattr(sessions, "__aiter__") else list(sessions)


async def test_list_shows_devices(hj: Any) -> None:
    """A session shows the browser that a back end has named at sign-in."""
    device = Device(user_agent="Mozilla/5.0 Firefox/150", ip_address="203.0.113.7")
    session = await done(hj.auth.sign_in(EMAIL, PASSWORD, device=device))
    (info,) = await collected(hj.sessions.list(user_id=session.user.id, status="active"))
    assert (info.id, info.user_agent, info.ip_address) == (session.id, device.user_agent, device.ip_address)
    assert await done(hj.sessions.get(session.id)) == info


async def test_revoke_ends_a_session(hj: Any) -> None:
    """A revoked session is refused at the next refresh, with its reason."""
    session = await done(hj.auth.sign_in(EMAIL, PASSWORD))
    await done(hj.sessions.revoke(session.id))
    with pytest.raises(SessionExpired) as caught:
        await done(hj.auth.refresh())
    assert caught.value.reason == "revoked"


async def test_revoke_all_ends_all_of_a_user(hj: Any, emulator: Emulator) -> None:
    """All sessions of a user end, and those of others go on."""
    emulator.add_user("other@example.com", PASSWORD)
    session = await done(hj.auth.sign_in(EMAIL, PASSWORD))
    other = hj.for_account("other")
    await done(other.auth.sign_in("other@example.com", PASSWORD))
    await done(hj.sessions.revoke_all(session.user.id))
    with pytest.raises(SessionExpired):
        await done(hj.auth.refresh())
    assert await done(other.auth.refresh())


async def test_thousand_sessions_take_ten_requests(hj: Any, emulator: Emulator) -> None:
    """A list asks for full pages, and for a page only when it is needed."""
    for _ in range(1_000):
        emulator.token(EMAIL)
    before = emulator.calls("sessions")
    sessions = hj.sessions.list()
    assert emulator.calls("sessions") == before
    assert len({info.id for info in await collected(sessions)}) == 1_000
    assert emulator.calls("sessions") - before == 10


async def test_unknown_session(hj: Any) -> None:
    """A session that does not exist is NotFound."""
    with pytest.raises(NotFound):
        await done(hj.sessions.get("ses_unknown"))


@pytest.mark.parametrize("session_id", ["", "..", "../admin/config", "a/b", "a b", "x" * 2_000, "\x00"])
async def test_hostile_ids_do_not_leave_their_path(hj: Any, emulator: Emulator, session_id: str) -> None:
    """An id is always one segment of a path."""
    for call in (hj.sessions.get, hj.sessions.revoke):
        with pytest.raises(NotFound if "/" in session_id else ValidationFailed):
            await done(call(session_id))
    assert emulator.calls("admin/config") == 0


def test_repeated_cursor_is_a_typed_error() -> None:
    """A service that repeats a page does not keep a loop busy for ever."""

    def answer(request: httpx.Request) -> httpx.Response:
        page = {"data": [{"id": "ses_1"}], "pagination": {"has_more": True, "next_cursor": "same"}}
        return httpx.Response(200, content=json.dumps(page))

    transport = httpx.MockTransport(answer)
    client = HelloJohn(tenant_id="t", secret_key="sk_test_1", transport=transport, store=MemoryStore())
    with client, pytest.raises(ServiceUnavailable, match="repeats a page"):
        list(client.sessions.list())


@pytest.mark.parametrize("cursor", [None, 7, "", "x" * 5_000, "\ud800"], ids=ascii)
def test_unusable_cursor_is_a_typed_error(cursor: object) -> None:
    """A list that goes on nowhere does not look complete: an operator would miss sessions."""

    def answer(request: httpx.Request) -> httpx.Response:
        page = {"data": [{"id": "ses_1"}], "pagination": {"has_more": True, "next_cursor": cursor}}
        return httpx.Response(200, content=json.dumps(page))

    transport = httpx.MockTransport(answer)
    client = HelloJohn(tenant_id="t", secret_key="sk_test_1", transport=transport)
    with client, pytest.raises(ServiceUnavailable, match="cannot be understood"):
        list(client.sessions.list())


@pytest.mark.parametrize(
    "pagination", [None, {}, {"next_cursor": None}, {"has_more": False, "next_cursor": "x"}]
)
def test_last_page(pagination: object) -> None:
    """A page that names no other is the last one."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=json.dumps({"data": [{"id": "ses_1"}], "pagination": pagination}))

    client = HelloJohn(tenant_id="t", secret_key="sk_test_1", transport=httpx.MockTransport(answer))
    with client:
        assert [info.id for info in client.sessions.list()] == ["ses_1"]


def test_secret_key_is_asked_for_by_name() -> None:
    """Without the secret key, the first call that needs it names the argument and the variable."""
    with HelloJohn(tenant_id="t", publishable_key="pk_test_1") as client:
        for call in (client.sessions.list, client.admin.config.get):
            with pytest.raises(ConfigurationError, match="HELLOJOHN_SECRET_KEY"):
                call()


def test_open_source_server_lists_no_sessions() -> None:
    """The open-source server cannot list sessions: the error says so, and nothing is sent."""
    with Emulator(api="v2") as server, HelloJohn(**settings(server)) as client:
        with pytest.raises(NotSupported):
            client.sessions.list()
        with pytest.raises(NotSupported):
            client.sessions.revoke("x")
