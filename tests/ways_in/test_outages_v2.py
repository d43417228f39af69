"""The open-source server's outages that look like the end of a session, and refusals that look like theft."""

from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
import requests

from hellojohn import HelloJohn, InvalidCredentials, ServiceUnavailable, SessionExpired
from hellojohn.emulator import Emulator
from tests.ways_in.conftest import EMAIL, PASSWORD, settings

pytestmark = pytest.mark.parametrize("api", ["v2"])


def test_outage_that_looks_like_an_end(emulator: Emulator) -> None:
    """While the server's database is away, its word that the session has ended is not believed."""
    with HelloJohn(**settings(emulator)) as hj:
        session = hj.auth.sign_in(EMAIL, PASSWORD, remember_me=True)
        for restarted in (False, True):
            emulator.advance("2h")
            with emulator.database_away(restarted=restarted):
                with pytest.raises(ServiceUnavailable):
                    hj.auth.access_token()
                assert hj.auth.session() is not None
            emulator.advance("2m")
            assert hj.auth.access_token()
        assert hj.auth.session().created_at == session.created_at  # type: ignore[union-attr]


def test_outage_with_a_token_that_still_works(emulator: Emulator) -> None:
    """In an outage before the token's end, a refused refresh leaves the token in use."""
    with HelloJohn(**settings(emulator)) as hj:
        hj.auth.sign_in(EMAIL, PASSWORD)
        with emulator.database_away():
            with pytest.raises(ServiceUnavailable):
                hj.auth.refresh()
            assert hj.auth.access_token()


def test_real_end_is_believed(emulator: Emulator) -> None:
    """A session that the server really ended is over after a second look."""
    with HelloJohn(**settings(emulator)) as hj:
        hj.auth.sign_in(EMAIL, PASSWORD)
        emulator.delete_user(EMAIL)
        with pytest.raises(SessionExpired):
            hj.auth.refresh()


def test_revoked_session_is_not_called_theft(emulator: Emulator) -> None:
    """The server answers sign-out, rotation and theft alike: the reason is revoked."""
    with HelloJohn(**settings(emulator)) as hj:
        hj.auth.sign_in(EMAIL, PASSWORD)
        user = hj.auth.user()
        hj.sessions.revoke_all(user.id)
        with pytest.raises(SessionExpired) as caught:
            hj.auth.refresh()
        assert caught.value.reason == "revoked"


def test_disabled_user(emulator: Emulator) -> None:
    """A disabled user's session ends as user_disabled or revoked."""
    with HelloJohn(**settings(emulator)) as hj:
        hj.auth.sign_in(EMAIL, PASSWORD)
        emulator.disable_user(EMAIL)
        with pytest.raises(SessionExpired) as caught:
            hj.auth.refresh()
        assert caught.value.reason in ("user_disabled", "revoked")


USES: dict[str, Callable[[HelloJohn, str], object]] = {
    "httpx": lambda hj, url: httpx.get(url, auth=hj.httpx_auth(origins="*")),
    "requests": lambda hj, url: requests.get(url, auth=hj.requests_auth(origins="*"), timeout=5),
    "access_token": lambda hj, url: hj.auth.access_token(),
    "user": lambda hj, url: hj.auth.user(),
}


@pytest.mark.parametrize("name", USES)
def test_idle_session_is_ended_by_the_client(emulator: Emulator, name: str) -> None:
    """Where the server knows no idle timeout, the client ends an idle session, and a used one lives."""
    known = settings(emulator, idle_timeout="10m", background_refresh=False)
    with HelloJohn(**known) as hj:

        def use() -> None:
            USES[name](hj, f"{emulator.url}/v2/me")

        hj.auth.sign_in(EMAIL, PASSWORD)
        for minutes in (4, 8, 8, 8):  # each use comes within the timeout; no refresh does
            emulator.advance(f"{minutes}m")
            use()
        session = hj.auth.session()
        assert session is not None
        assert session.idle_expires_at == datetime.fromtimestamp(emulator.clock() + 600, UTC)
        emulator.advance("11m")
        with pytest.raises(SessionExpired) as caught:
            use()
        assert caught.value.reason == "idle"


def test_sign_in_in_an_outage(emulator: Emulator) -> None:
    """The server answers a sign-in in an outage as a wrong password, and the SDK cannot know better."""
    with HelloJohn(**settings(emulator)) as hj, emulator.database_away(), pytest.raises(InvalidCredentials):
        hj.auth.sign_in(EMAIL, PASSWORD)
