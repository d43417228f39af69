"""The session rules against a much simpler model of them, over random histories."""

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
from tests.counts import count

EMAILS = ("ada@example.com", "bob@example.com")
DURATIONS = ("1h", "8h", "30d")
SETTINGS = {
    "longest": st.sampled_from(DURATIONS),
    "idle": st.sampled_from((None, "30m", "6h")),
    "cap": st.sampled_from((None, 1, 2, 3)),
}


@dataclass
class Model:
    """A session in the model."""

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
        self.known: dict[str, Model] = {}
        self.longest, self.idle, self.cap = "30d", None, None
        self.rotations = self.reuses = 0

    @rule(target=tokens, email=st.sampled_from(EMAILS), duration=st.sampled_from((None, *DURATIONS)))
    def sign_in(self, email, duration):
        """Begin a session. Over the cap the least recently active one ends."""
        grant = self.rules.sign_in(email, Secret("correct horse"), duration=duration, device=Device())
        longest = seconds(self.longest)
        asked = longest if duration is None else seconds(duration)
        active = [known for known in self.known.values() if known.email == email and known.status == "active"]
        session = Model(grant.session.id, email, self.now, self.now, self.now + min(asked, longest))
        self.known[session.id] = session
        active.sort(key=lambda known: known.active_at)
        while self.cap is not None and len(active) + 1 > self.cap:
            active.pop(0).status = "revoked"
        return self.hold(session, grant)

    @rule(target=tokens, token=tokens)
    def refresh_with_any_token(self, token):
        """Present any token ever issued."""
        return self.refresh(token)

    def refresh(self, token):
        """Present a token, and compare with the model."""
        session = next(known for known in self.known.values() if token in known.tokens)
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

    @precondition(lambda self: self.known)
    @rule(target=tokens, data=st.data(), minutes=st.integers(0, 2))
    def refresh_as_clients_do(self, data, minutes):
        """Present a session's newest token a little later. Most steps of a history are these."""
        self.wait(minutes / 60)
        session = self.known[data.draw(st.sampled_from(list(self.known)))]
        return self.refresh(session.tokens[-1])

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def revoke(self, data):
        """End one session."""
        session = self.known[data.draw(st.sampled_from(list(self.known)))]
        self.rules.revoke(session.id)
        if session.status == "active":
            session.status = "revoked"

    @rule(token=tokens, everywhere=st.booleans())
    def sign_out(self, token, everywhere):
        """End a token's session, or all of its user's."""
        session = next(known for known in self.known.values() if token in known.tokens)
        self.rules.sign_out(token, session_id=session.id, everywhere=everywhere)
        for known in self.known.values():
            if known.status == "active" and (
                known is session or (everywhere and known.email == session.email)
            ):
                known.status = "revoked"

    @rule(hours=st.sampled_from((0.25, 0.5, 1, 7, 24)))
    def wait_long(self, hours):
        """Let time pass."""
        self.wait(hours)

    def wait(self, hours):
        """Let time pass in the rules and in the model."""
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
        """Change the settings of the rules and of the model."""
        self.rules.configure(
            {"session_duration": longest, "idle_timeout": idle, "max_sessions_per_user": cap}
        )
        self.longest, self.idle, self.cap = longest, idle, cap
        self.expire()

    @invariant()
    def statuses_agree(self):
        """Rules and model agree on every session and every count."""
        found = {session.id: session.status.value for session in self.rules.sessions()}
        assert found == {known.id: known.status for known in self.known.values()}
        assert (self.rules.rotations, self.rules.reuses) == (self.rotations, self.reuses)

    def hold(self, session: Model, grant: Grant) -> Secret:
        """Check a grant, and keep its token."""
        assert grant.session.id == session.id
        assert grant.session.expires_at == session.ends_at
        assert grant.session.last_active_at == session.active_at
        assert all(grant.refresh_token not in known.tokens for known in self.known.values())
        session.tokens.append(grant.refresh_token)
        return grant.refresh_token

    def expected(self, session: Model, *, rotated: bool) -> str | None:
        """Return the code that refuses a token, or ``None`` for a good one."""
        if rotated:
            return "refresh_token_expired" if self.now >= session.ends_at else "refresh_token_reused"
        return {"active": None, "revoked": "session_revoked", "expired": "session_expired"}[session.status]

    def expire(self) -> None:
        """End the sessions of the model whose time is over."""
        for known in self.known.values():
            idle = self.idle is not None and self.now - known.active_at > seconds(self.idle)
            if known.status == "active" and (idle or self.now >= known.ends_at):
                known.status = "expired"


SessionHistory.TestCase.settings = settings(
    max_examples=count(500, 10), stateful_step_count=50, deadline=None, derandomize=True
)
test_random_histories_follow_the_rules = SessionHistory.TestCase
