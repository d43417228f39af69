"""``hj.admin.config``: the session policy of a tenant, its presets and its warnings."""

import json
import warnings
from datetime import timedelta
from typing import Any

import pytest

from hellojohn import (
    ConfigurationError,
    HelloJohn,
    NotSupported,
    PolicyWarning,
    SessionExpired,
    SessionPolicy,
)
from hellojohn.emulator import Emulator
from tests.ways_in.conftest import EMAIL, PASSWORD, done, emulator, hj, settings

__all__ = ["emulator", "hj"]  # fixtures


@pytest.fixture(params=["v1"])
def api(request: pytest.FixtureRequest) -> str:
    """The dialect with all settings."""
    return request.param


async def test_defaults(hj: Any) -> None:
    """A tenant begins with the standard policy."""
    assert await done(hj.admin.config.get()) == SessionPolicy.STANDARD


@pytest.mark.parametrize("name", ["STANDARD", "HIGH_SECURITY", "COMPLIANCE"])
async def test_presets_round_trip(hj: Any, name: str) -> None:
    """A preset is set and read back."""
    preset = getattr(SessionPolicy, name)
    assert await done(hj.admin.config.update(preset)) == preset
    assert await done(hj.admin.config.get()) == preset


async def test_only_what_is_named_changes(hj: Any) -> None:
    """An update changes the settings that it names; None clears a limit."""
    await done(hj.admin.config.update(idle_timeout="7d", max_sessions_per_user=5))
    policy = await done(hj.admin.config.update(idle_timeout=None))
    assert policy == SessionPolicy(max_sessions_per_user=5)


async def test_policy_changes_what_sessions_do(hj: Any, emulator: Emulator) -> None:
    """A shorter idle timeout ends an idle session, and a cap ends the least recently active one."""
    await done(hj.admin.config.update(idle_timeout="2h", max_sessions_per_user=1))
    await done(hj.auth.sign_in(EMAIL, PASSWORD))
    other = hj.for_account("other")
    await done(other.auth.sign_in(EMAIL, PASSWORD))
    with pytest.raises(SessionExpired) as caught:
        await done(hj.auth.refresh())
    assert caught.value.reason == "revoked"
    emulator.advance("3h")
    with pytest.raises(SessionExpired):
        await done(other.auth.refresh())


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"idle_timeout": "30m"}, "signed out as idle"),
        ({"session_duration": "30m"}, "outlive their sessions"),
    ],
)
async def test_self_defeating_settings_warn(hj: Any, settings_: dict[str, str], words: str) -> None:
    """Settings that defeat each other are set, and a PolicyWarning explains the trap."""
    with pytest.warns(PolicyWarning, match=words):
        await done(hj.admin.config.update(**settings_))


async def test_sound_settings_do_not_warn(hj: Any) -> None:
    """A preset issues no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await done(hj.admin.config.update(SessionPolicy.HIGH_SECURITY))


async def test_both_forms_at_once(hj: Any) -> None:
    """A policy and single settings together, or nothing at all, is the developer's mistake."""
    with pytest.raises(ConfigurationError):
        await done(hj.admin.config.update(SessionPolicy.STANDARD, idle_timeout="1h"))
    with pytest.raises(ConfigurationError):
        await done(hj.admin.config.update())


@pytest.mark.parametrize(
    "wrong",
    [
        {"session_duration": "soon"},
        {"idle_timeout": 3},
        {"max_sessions_per_user": 0},
        {"max_sessions_per_user": True},
        {"max_sessions_per_user": "5"},
    ],
)
async def test_malformed_settings_are_not_sent(hj: Any, emulator: Emulator, wrong: dict[str, Any]) -> None:
    """A malformed setting raises before anything is sent."""
    with pytest.raises(ConfigurationError):
        await done(hj.admin.config.update(**wrong))
    assert emulator.calls("admin/config") == 0


def test_policy_compares_and_prints() -> None:
    """Policies compare by their lengths and print as the documented JSON."""
    assert SessionPolicy(session_duration="24h") == SessionPolicy(session_duration=timedelta(days=1))
    assert json.loads(str(SessionPolicy.COMPLIANCE)) == {
        "session_duration": "8h",
        "access_token_ttl": "5m",
        "idle_timeout": "30m",
        "max_sessions_per_user": 2,
    }


def test_open_source_server_has_two_settings() -> None:
    """The open-source server keeps two lifetimes; the others are refused by name."""
    with Emulator(api="v2") as server, HelloJohn(**settings(server)) as client:
        policy = client.admin.config.update(access_token_ttl="20m", session_duration="14d")
        assert policy.access_token_ttl == timedelta(minutes=20)
        assert client.admin.config.get() == policy
        with pytest.raises(NotSupported):
            client.admin.config.update(idle_timeout="1h")
