"""The fixtures, used in this run and in runs of pytest's own."""

import asyncio
import os
import subprocess
import sys

import httpx
import pytest

from hellojohn import HelloJohn, SessionExpired
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD

pytest_plugins = ["pytester"]

_WITHOUT_UVICORN = """
import sys
sys.modules["uvicorn"] = None
"""
_LOADED = """
import sys
from importlib.metadata import entry_points
import pytest
(plugin,) = entry_points(group="pytest11", name="hellojohn")
before = set(sys.modules)
plugin.load()
print(*sorted(set(sys.modules) - before))
"""


def test_the_client_is_signed_out(hellojohn_client):
    """A test begins without a session."""
    assert hellojohn_client.auth.session() is None


def test_the_client_talks_to_the_emulator_and_goes_by_its_clock(hellojohn_client, hellojohn_emulator):
    """A month passes in a moment, for both sides."""
    hellojohn_client.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=True)
    with hellojohn_client.client(base_url=hellojohn_emulator.url, trust_env=False) as api:
        assert api.get("/resource").status_code == 200
        hellojohn_emulator.advance("31d")
        with pytest.raises(SessionExpired):
            api.get("/resource")


async def test_the_async_client_does_the_same(hellojohn_async_client, hellojohn_emulator):
    """An event loop of any plugin's serves."""
    await hellojohn_async_client.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    hellojohn_emulator.advance("2h")
    async with hellojohn_async_client.client(base_url=hellojohn_emulator.url, trust_env=False) as api:
        assert (await api.get("/resource")).status_code == 200
    assert hellojohn_emulator.rotations == 1


def test_the_async_client_needs_no_plugin(hellojohn_async_client):
    """A test may run an event loop by itself."""
    session = asyncio.run(hellojohn_async_client.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    assert session.user.email == DEMO_EMAIL


def test_an_apps_own_client_reaches_the_emulator(hellojohn_environment, hellojohn_emulator):
    """With the environment set, a client without arguments signs in to the emulator."""
    with HelloJohn(clock=hellojohn_emulator.clock) as client:
        assert client.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD).user.email == DEMO_EMAIL
    assert hellojohn_environment["HELLOJOHN_API_URL"] == hellojohn_emulator.url
    assert set(hellojohn_environment) <= set(os.environ)


def test_headers_carry_a_real_token(hellojohn_headers, hellojohn_emulator):
    """A request with them counts as the user's, with the roles and scopes of the test."""
    hellojohn_emulator.add_user("ada@example.com", "x")
    headers = hellojohn_headers("ada@example.com", scopes=["orders:write"], roles=["admin"])
    answer = httpx.get(f"{hellojohn_emulator.url}/resource", headers=headers, trust_env=False)
    assert answer.status_code == 200
    (session,) = hellojohn_emulator.sessions("ada@example.com")
    assert answer.json()["session_id"] == session.id
    assert (
        httpx.get(
            f"{hellojohn_emulator.url}/resource", headers=hellojohn_headers(), trust_env=False
        ).status_code
        == 200
    )


def test_the_api_can_be_overridden(pytester):
    """A test suite chooses the API with a fixture, and an unknown one is named."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def hellojohn_api():
            return "v9"

        def test_with(hellojohn_client): pass
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*api is 'v1' or 'v2', not 'v9'*"])


@pytest.mark.parametrize("name", ["hellojohn_client", "hellojohn_async_client"])
def test_the_environment_has_no_say(request, monkeypatch, name):
    """A developer's own settings, the keys of a real tenant and a proxy stay out of the tests."""
    for variable in ("API_URL", "TENANT_ID", "PUBLISHABLE_KEY", "SECRET_KEY"):
        monkeypatch.setenv(f"HELLOJOHN_{variable}", "http://localhost:9")
    for variable in ("HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    answer = request.getfixturevalue(name).auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    session = asyncio.run(answer) if asyncio.iscoroutine(answer) else answer
    assert session.user.email == DEMO_EMAIL


def test_each_test_has_a_service_and_clients_of_its_own(pytester):
    """Users, sessions, settings and time start afresh in each test, and clients are closed."""
    pytester.makepyfile(
        """
        import asyncio
        import pytest
        from hellojohn import ConfigurationError

        there = []

        @pytest.mark.parametrize("round", [1, 2])
        def test_alone(hellojohn_emulator, hellojohn_client, hellojohn_async_client, round):
            assert hellojohn_client.auth.session() is None
            hellojohn_emulator.add_user("ada@example.com", "correct horse")
            hellojohn_client.auth.sign_in("ada@example.com", "correct horse")
            asyncio.run(hellojohn_async_client.auth.sign_in("ada@example.com", "correct horse"))
            there.append((hellojohn_client, hellojohn_async_client))

        def test_closed():
            for client, async_client in there:
                with pytest.raises(ConfigurationError, match="closed"):
                    client.auth.refresh()
                with pytest.raises(ConfigurationError, match="closed"):
                    asyncio.run(async_client.auth.refresh())
        """
    )
    pytester.runpytest_subprocess("-p", "no:asyncio").assert_outcomes(passed=3)


def test_without_the_extra_only_the_fixture_fails(pytester):
    """Tests that want no emulator go on; one that does says what to install."""
    pytester.makeconftest(_WITHOUT_UVICORN)
    pytester.makepyfile(
        """
        def test_without(): pass
        def test_with(hellojohn_client): pass
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["The emulator needs uvicorn: pip install 'hellojohn[[]emulator[]]'"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_pytest_starts_as_fast_as_before():
    """An environment with hellojohn in it does not slow every test run down: the plugin loads nothing."""
    run = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, check=True, text=True)
    assert run.stdout.split() == [
        "hellojohn",
        "hellojohn._version",
        "hellojohn.testing",
        "hellojohn.testing._plugin",
    ]
