"""``hj.admin.config``: the session policy of a tenant, its presets and its warnings."""

import json
import warnings
from datetime import timedelta
from pathlib import Path
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


PRESETS = [SessionPolicy.STANDARD, SessionPolicy.HIGH_SECURITY, SessionPolicy.COMPLIANCE]


@pytest.mark.parametrize("preset", PRESETS, ids=["standard", "high-security", "compliance"])
async def test_presets_rule_sessions(hj: Any, emulator: Emulator, preset: SessionPolicy) -> None:
    """Under a preset, the service gives a session and its tokens the preset's lives and limits."""
    lives: Any = preset
    await done(hj.admin.config.update(preset))
    session = await done(hj.auth.sign_in(EMAIL, PASSWORD))
    assert session.expires_at - session.created_at == lives.session_duration
    claims = await done(hj.verify_token(await done(hj.auth.access_token())))
    assert claims.expires_at - claims.issued_at == lives.access_token_ttl
    for number in range(3):
        await done(hj.for_account(f"device {number}").auth.sign_in(EMAIL, PASSWORD))
    active = [it for it in emulator.sessions() if it.status == "active"]
    assert len(active) == (preset.max_sessions_per_user or 4)
    last = hj.for_account("device 2")
    emulator.advance((lives.idle_timeout or timedelta(days=7)) - timedelta(seconds=1))
    assert await done(last.auth.refresh())
    emulator.advance((lives.idle_timeout or timedelta(days=30)) + timedelta(seconds=1))
    with pytest.raises(SessionExpired):
        await done(last.auth.refresh())


@pytest.mark.parametrize("preset", PRESETS, ids=["standard", "high-security", "compliance"])
async def test_presets_end_sessions_in_use(hj: Any, emulator: Emulator, preset: SessionPolicy) -> None:
    """A session that is refreshed all the time ends with its duration, and not before."""
    lives: Any = preset
    await done(hj.admin.config.update(preset))
    await done(hj.auth.sign_in(EMAIL, PASSWORD))
    step = (lives.idle_timeout or timedelta(days=2)) / 2
    for _ in range(lives.session_duration // step - 1):
        emulator.advance(step)
        await done(hj.auth.refresh())
    emulator.advance(step)
    with pytest.raises(SessionExpired):
        await done(hj.auth.refresh())


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"idle_timeout": "30m"}, "signed out as idle"),
        ({"session_duration": "30m"}, "outlive their sessions"),
    ],
)
async def test_self_defeating_settings_warn(hj: Any, settings_: dict[str, str], words: str) -> None:
    """Settings that defeat each other are set, and a PolicyWarning explains the trap."""
    with pytest.warns(PolicyWarning, match=words) as caught:
        await done(hj.admin.config.update(**settings_))
    assert "tests" in Path(caught[0].filename).parts  # the caller's line, not the package's


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


async def test_name_of_a_preset_is_not_a_policy(hj: Any) -> None:
    """The error names the class that is taken."""
    with pytest.raises(TypeError, match="SessionPolicy, not str"):
        await done(hj.admin.config.update("standard"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"session_duration": "soon"},
        {"session_duration": None},
        {"access_token_ttl": None},
        {"policy": SessionPolicy(session_duration=None)},
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


def test_policies_compare_by_their_lengths() -> None:
    """A day is a day, however it is written."""
    assert SessionPolicy(session_duration="24h") == SessionPolicy(session_duration=timedelta(days=1))


@pytest.mark.parametrize(
    ("policy", "values"),
    [
        (SessionPolicy.STANDARD, ("30d", "1h", None, None)),
        (SessionPolicy.HIGH_SECURITY, ("24h", "15m", "1h", 3)),
        (SessionPolicy.COMPLIANCE, ("8h", "5m", "30m", 2)),
    ],
)
def test_presets_print_as_documented(policy: SessionPolicy, values: tuple[object, ...]) -> None:
    """The JSON of a preset has the values of the documentation, in their units."""
    names = ("session_duration", "access_token_ttl", "idle_timeout", "max_sessions_per_user")
    assert json.loads(str(policy)) == dict(zip(names, values, strict=True))


def test_open_source_server_has_two_settings() -> None:
    """The open-source server keeps two lifetimes; the others are refused by name."""
    with Emulator(api="v2") as server, HelloJohn(**settings(server)) as client:
        policy = client.admin.config.update(access_token_ttl="20m", session_duration="14d")
        assert policy.access_token_ttl == timedelta(minutes=20)
        assert client.admin.config.get() == policy
        with pytest.raises(NotSupported):
            client.admin.config.update(idle_timeout="1h")
