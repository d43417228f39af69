"""The session rules against a second, much simpler telling of them, over random histories."""

from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from hellojohn._secret import Secret
from hellojohn.emulator.records import Device, NewUser
from hellojohn.emulator.v1.policy import seconds
from hellojohn.emulator.v1.problems import V1Problem as ApiProblem
from hellojohn.emulator.v1.records import Grant
from hellojohn.emulator.v1.rules import Rules

EMAILS = ("ada@example.com", "bob@example.com")
DURATIONS = ("1h", "8h", "30d")
SETTINGS = {
    "longest": st.sampled_from(DURATIONS),
    "idle": st.sampled_from((None, "30m", "6h")),
    "cap": st.sampled_from((None, 1, 2, 3)),
}


@dataclass
class Told:
    """What the test knows of a session."""

    id: str
    email: str
    created_at: float
    active_at: float
    ends_at: float
    tokens: list[Secret] = field(default_factory=list)
    status: str = "active"


class SessionHistory(RuleBasedStateMachine):
    """Sign-ins, refreshes with old and new tokens, sign-outs, time and settings, in any order."""

    tokens = Bundle("tokens")

    def __init__(self) -> None:
        """Start with two users and no grace."""
        super().__init__()
        self.now = 1_700_000_000.0
        self.rules = Rules(clock=lambda: self.now)
        for email in EMAILS:
            self.rules.add_user(NewUser(email=email, password=Secret("correct horse")))
        self.told: dict[str, Told] = {}
        self.longest, self.idle, self.cap = "30d", None, None
        self.rotations = self.reuses = 0

    @rule(target=tokens, email=st.sampled_from(EMAILS), duration=st.sampled_from((None, *DURATIONS)))
    def sign_in(self, email, duration):
        """Begin a session; over the cap the least recently active one goes."""
        grant = self.rules.sign_in(email, Secret("correct horse"), duration=duration, device=Device())
        longest = seconds(self.longest)
        asked = longest if duration is None else seconds(duration)
        active = [told for told in self.told.values() if told.email == email and told.status == "active"]
        session = Told(grant.session.id, email, self.now, self.now, self.now + min(asked, longest))
        self.told[session.id] = session
        active.sort(key=lambda told: told.active_at)
        while self.cap is not None and len(active) + 1 > self.cap:
            active.pop(0).status = "revoked"
        return self.hold(session, grant)

    @rule(target=tokens, token=tokens)
    def refresh_with_any_token(self, token):
        """Present any token ever issued."""
        return self.refresh(token)

    def refresh(self, token):
        """Present a token, and expect what the simple telling expects."""
        session = next(told for told in self.told.values() if token in told.tokens)
        rotated = token != session.tokens[-1]
        expected = self.expected(session, rotated=rotated)
        if expected is None:
            session.active_at = self.now
            self.rotations += 1
            return self.hold(session, self.rules.refresh(token))
        with pytest.raises(ApiProblem) as caught:
            self.rules.refresh(token)
        assert caught.value.code == expected
        self.reuses += rotated
        if expected == "refresh_token_reused" and session.status == "active":
            session.status = "revoked"
        return multiple()

    @precondition(lambda self: self.told)
    @rule(target=tokens, data=st.data(), minutes=st.integers(0, 2))
    def refresh_as_clients_do(self, data, minutes):
        """Present a session's newest token, a little later; most of a history is made of this."""
        self.wait(minutes / 60)
        session = self.told[data.draw(st.sampled_from(list(self.told)))]
        return self.refresh(session.tokens[-1])

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def revoke(self, data):
        """End one session."""
        session = self.told[data.draw(st.sampled_from(list(self.told)))]
        self.rules.revoke(session.id)
        if session.status == "active":
            session.status = "revoked"

    @rule(token=tokens, everywhere=st.booleans())
    def sign_out(self, token, everywhere):
        """End a token's session, or all of its user's."""
        session = next(told for told in self.told.values() if token in told.tokens)
        self.rules.sign_out(token, session_id=session.id, everywhere=everywhere)
        for told in self.told.values():
            if told.status == "active" and (told is session or (everywhere and told.email == session.email)):
                told.status = "revoked"

    @rule(hours=st.sampled_from((0.25, 0.5, 1, 7, 24)))
    def wait_long(self, hours):
        """Let time pass."""
        self.wait(hours)

    def wait(self, hours):
        """Let time pass for both."""
        self.now += hours * 3600
        self.expire()

    @initialize(**SETTINGS)
    def begin(self, longest, idle, cap):
        """Start with any settings."""
        self.configure(longest, idle, cap)

    @rule(**SETTINGS)
    def change_settings(self, longest, idle, cap):
        """Change the settings."""
        self.configure(longest, idle, cap)

    def configure(self, longest, idle, cap):
        """Tell both."""
        self.rules.configure(
            {"session_duration": longest, "idle_timeout": idle, "max_sessions_per_user": cap}
        )
        self.longest, self.idle, self.cap = longest, idle, cap
        self.expire()

    @invariant()
    def statuses_agree(self):
        """Both tell the same of every session and every count."""
        found = {session.id: session.status.value for session in self.rules.sessions()}
        assert found == {told.id: told.status for told in self.told.values()}
        assert (self.rules.rotations, self.rules.reuses) == (self.rotations, self.reuses)

    def hold(self, session: Told, grant: Grant) -> Secret:
        """Check what was granted, and keep its token."""
        assert grant.session.id == session.id
        assert grant.session.expires_at == session.ends_at
        assert grant.session.last_active_at == session.active_at
        assert all(grant.refresh_token not in told.tokens for told in self.told.values())
        session.tokens.append(grant.refresh_token)
        return grant.refresh_token

    def expected(self, session: Told, *, rotated: bool) -> str | None:
        """Return the code that refuses a token, or ``None`` for a good one."""
        if rotated:
            return "refresh_token_expired" if self.now >= session.ends_at else "refresh_token_reused"
        return {"active": None, "revoked": "session_revoked", "expired": "session_expired"}[session.status]

    def expire(self) -> None:
        """End what time has ended."""
        for told in self.told.values():
            idle = self.idle is not None and self.now - told.active_at > seconds(self.idle)
            if told.status == "active" and (idle or self.now >= told.ends_at):
                told.status = "expired"


SessionHistory.TestCase.settings = settings(
    max_examples=150, stateful_step_count=50, deadline=None, derandomize=True
)
test_random_histories_follow_the_rules = SessionHistory.TestCase
