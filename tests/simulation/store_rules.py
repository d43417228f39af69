"""What may be saved and removed, by which process, and in which order (invariants 1, 3 and 6)."""

import math

from hellojohn import ExpiryReason
from tests.simulation import adapter
from tests.simulation.adapter import Ended, Stored
from tests.simulation.facts import ANYBODY, JUNK, Facts, Operation, Pair, Session
from tests.simulation.idle_rules import IdleRules
from tests.simulation.plan import Plan
from tests.simulation.process import Process
from tests.simulation.store import VirtualStore
from tests.simulation.wire_rules import WireRules

LONGEST_COOLDOWN = 60.0
_SLACK = 0.001


class StoreRules:
    """Judges what happens to the store, and notes it."""

    def __init__(
        self, facts: Facts, store: VirtualStore, wire: WireRules, idle: IdleRules, plan: Plan
    ) -> None:
        self._facts = facts
        self._idle = idle
        self._store = store
        self._wire = wire
        self._plan = plan
        self._scheduler = facts.scheduler
        self._waits: set[float | None] = set()
        store.on_save = self.saves
        store.before_save = self.tries_to_save
        store.on_remove = self.removes

    @property
    def _home(self) -> object:
        task = self._scheduler.current
        return None if task is None else task.home

    # ------------------------------------------------------------------ saving

    def tries_to_save(self, text: str) -> None:
        """Note that a process ends a session as idle, even if the store does not take the note."""
        note, home = adapter.read(text), self._home
        if isinstance(note, Ended) and note.reason is ExpiryReason.IDLE and isinstance(home, Process):
            ended = self._facts.sessions.get(note.session_id or "")
            if ended is not None:
                self._idle.ends(home, ended)

    def saves(self, key: str, text: str) -> None:
        """Judge a save, and note it."""
        found = adapter.read(text)
        if isinstance(found, Ended):
            self._leaves_reason(key, found)
        elif found is None:
            self._facts.wrong(f"6: {self._home} saves what it cannot read")
        else:
            self._saves_record(key, found)

    def _saves_record(self, key: str, record: Stored) -> None:
        facts, turn = self._facts, self._scheduler.turns
        new, old = facts.pair_of(record), facts.records.get(key)
        session = new.session
        self._scheduler.note("saves", (new, "open" if record.attempt_open else ""))
        self._judge_asked(session)
        self._judge_place(key, new, record, old)
        self._judge_waits(record)
        self._wire.notes(new)
        new.saved_at = turn if new.saved_at is None else new.saved_at
        session.saved_at = turn if session.saved_at is None else session.saved_at
        session.deadline, session.created_at = record.client_ends_at, record.created_at
        session.ends_at = _earliest(record.client_ends_at, record.server_ends_at)
        if session.active_at is not None and record.active_at > session.active_at:
            facts.same_since[key] = turn  # who has read it before may have found it idle
        session.active_at = record.active_at
        facts.active(key, record.active_at)
        if old is None:
            if facts.last.get(key, session) is not session:
                facts.last[key].left.add(ANYBODY)
            facts.present_since[key] = facts.same_since[key] = turn
            facts.changes += 1
        elif facts.pair_of(old).session is not session:
            facts.pair_of(old).session.left.add(ANYBODY)
            facts.same_since[key] = turn
            facts.changes += 1
        facts.records[key] = record
        facts.last[key] = session
        opened = facts.open.get(self._scheduler.current)
        if opened is not None and (opened is new.parent or not record.attempt_open):
            del facts.open[self._scheduler.current]
        facts.blind.pop((self._home, key), None)

    def _judge_asked(self, session: Session) -> None:
        """The operation asked for last wins: a session is not stored once a later one was asked for."""
        if session.saved_at is None:
            later = overtaken_by(self._facts, session)
            if later is not None:
                self._facts.wrong(f"3: {session} is saved, though a {later} was asked for before it came")

    def _judge_place(self, key: str, new: Pair, record: Stored, old: Stored | None) -> None:
        """The table of saves."""
        session, wrong = new.session, self._facts.wrong
        is_sign_in = new.parent is None and new.saved_at is None
        blind = old is None and self._facts.is_blind(self._home, key, session)
        if blind and not is_sign_in:
            session.came_back, session.ended_at = self._scheduler.turns, None
            new.doubt = new.returned = True  # there may have been a later pair: the process cannot know
        answered = self._wire.answered(new.parent) if new.saved_at is None else None
        if old is None and not blind and (session.ended_at or math.inf) < (answered or 0):
            wrong(f"3: {new} of {session} is saved, and was signed out before the answer came")
        if session.torn or is_sign_in or blind:
            return
        if old is None:
            if session.ended_at is not None:
                wrong(f"3: {new} of {session} is saved after the session was signed out")
            elif not session.left & {ANYBODY, JUNK}:
                wrong(f"3: {new} of {session} is saved where the store holds nothing")
        elif self._facts.pair_of(old).session is not session:
            wrong(f"3: {new} replaces {self._facts.pair_of(old)} of another session")
        elif record.generation < old.generation:
            wrong(f"1: {new} replaces its successor {self._facts.pair_of(old)}")

    def _judge_waits(self, record: Stored) -> None:
        """No record keeps the others from asking for long (row 12)."""
        home = self._home
        if not isinstance(home, Process) or self._plan.setback:
            return
        for until, longest in (
            (record.cooldown_until, max(LONGEST_COOLDOWN, self._store.lease or 0.0)),
            (record.refresh_not_before, self._store.lease or 0.0),
        ):
            wait = 0.0 if until is None else until - home.wall()
            if wait > longest + _SLACK and until not in self._waits:  # another host's clock may be wrong
                self._facts.wrong(f"12: {home} keeps all others from a refresh for {wait:.0f} s")
            self._waits.add(until)

    # ------------------------------------------------------------------ removing

    def removes(self, key: str, late: bool) -> None:
        """Judge a removal, and note it."""
        home, record = self._home, self._facts.records[key]
        reason = self._reason_to_remove(key, record)
        if reason is None and not self._facts.pair_of(record).session.torn:
            self._facts.wrong(f"3: {home} removes a session that nothing has ended")
        self._facts.left(key, ANYBODY if late else home, signed_out=reason == "signed out")

    def _reason_to_remove(self, key: str, record: Stored) -> str | None:
        home, pair = self._home, self._facts.pair_of(record)
        if not isinstance(home, Process):
            return None
        if pair.refused:
            return "refused"
        if home.is_over(record) or self._idle.is_over(home, pair.session):
            return "over"
        asked = self._is_sign_out_asked(home, key, pair.session)
        return "signed out" if asked or pair.session.ended_at is not None else None

    def _is_sign_out_asked(self, home: Process, key: str, session: Session) -> bool:
        """Return whether a process was asked to sign a session out after its sign-in, or after its save."""
        since = session.saved_at or 0
        asked = math.inf if session.asked is None else session.asked.started
        return any(
            found.what == "sign_out" and (found.done is None or found.done > since or found.started > asked)
            for found in self._facts.of_account(home, key)
        )

    def _leaves_reason(self, key: str, note: Ended) -> None:
        """Judge a note that a session has ended, which takes the place of its record."""
        home, record = self._home, self._facts.records.get(key)
        self._scheduler.note("leaves a reason", (note.session_id, note.reason.value))
        if not isinstance(home, Process):
            return
        if record is None:
            ended = self._facts.sessions.get(note.session_id or "")
            if ended is not None and note.reason is ExpiryReason.IDLE:
                self._idle.ends(home, ended)
            return
        session = self._facts.pair_of(record).session
        if session.id != note.session_id:
            self._facts.wrong(f"3: a note about the end of {note.session_id} replaces {session}")
        elif self._reason_to_remove(key, record) is None:
            self._facts.wrong(f"3: {home} notes the end of {session}, and nothing has ended it")
        elif not self._is_true(home, key, record, note.reason):
            self._facts.wrong(f"3: {home} notes that {session} was ended by {note.reason}, which is not true")
        self._facts.left(key, home, signed_out=note.reason is ExpiryReason.SIGNED_OUT)

    def _is_true(self, home: Process, key: str, record: Stored, reason: ExpiryReason) -> bool:
        session = self._facts.pair_of(record).session
        if reason is ExpiryReason.SIGNED_OUT:
            return self._is_sign_out_asked(home, key, session)
        if reason is ExpiryReason.DURATION_ELAPSED:
            return home.is_over(record)
        if reason is ExpiryReason.IDLE and self._idle.timeout is not None:
            return self._idle.ends(home, session)
        if reason is ExpiryReason.IDLE:
            return ExpiryReason.EXPIRED in session.said
        return reason in session.said


def overtaken_by(facts: Facts, session: Session) -> Operation | None:
    """Return the operation of the same process asked for between a session's sign-in and its answer."""
    asked = session.asked
    if asked is None or asked.heard is None:
        return None
    for later in facts.later(asked):
        if later.submitted is not None and later.submitted < asked.heard:
            return later
    return None


def is_signed_out_at(facts: Facts, home: object, key: str, session: Session, *, before: int) -> bool:
    """Return whether a sign-out in a process, asked for before this turn, keeps it from using a session."""
    if session.torn:
        return False
    since = math.inf if session.saved_at is None else session.came_back or session.saved_at
    asked_for = [found for found in facts.of_account(home, key) if found.what == "sign_out"]
    for found in asked_for:
        if found.submitted is None or found.submitted > before:
            continue
        if session.came_back is not None and session.came_back >= found.started:
            continue
        overlapping = (other for other in asked_for if (other.done or math.inf) > found.started)
        if any(other.troubled and not other.call.returned for other in overlapping):
            continue  # a failure that was reported may put the session back
        asked = session.asked
        earlier = asked is not None and any(later is found for later in facts.later(asked))
        if since < found.started or earlier:
            return True
    return False


def _earliest(*moments: float | None) -> float | None:
    return min((moment for moment in moments if moment is not None), default=None)
