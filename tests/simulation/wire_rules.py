"""The requests that a client may send: at most one refresh with a token, in time (invariant 1)."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hellojohn import ExpiryReason
from tests.simulation.adapter import Stored
from tests.simulation.facts import ENDINGS, JUNK, WAS_USED, Facts, Pair
from tests.simulation.plan import Plan
from tests.simulation.process import Process
from tests.simulation.scheduler import Task
from tests.simulation.store import VirtualStore

PAUSE = 1.0
"""A lost answer is waited for so long before the same token is presented again."""

COOLDOWN = 2.5
"""The shortest wait after a failed refresh."""

LONGEST_STORM = 60.0

_UNKNOWN = ("lost", "timeout", "broken", "gateway", "torn")
_FINAL = ("done", *ENDINGS)
_SLACK = 0.001


@dataclass(eq=False)
class Sent:
    """One refresh on its way.

    Attributes:
        pair: The pair whose refresh token was presented.
        task: The task that sent it.
        at: When.
        deadline: When the engine stops waiting for it.
        answer: What became of it: ``done``, a code, or how it failed; ``None`` while it is on its way.
        heard_at: When the client knew.
        heard_turn: In which turn.
        wait: The seconds that the service asked to wait.
    """

    pair: Pair
    task: Task | None
    at: float
    deadline: float
    answer: str | None = None
    heard_at: float = 0.0
    heard_turn: int | None = None
    wait: float | None = None


@dataclass(eq=False)
class _History:
    sent: list[Sent] = field(default_factory=list)
    noted: set[Task | None] = field(default_factory=set)


class WireRules:
    """Judges refreshes as they leave a process, and notes what their senders hear.

    Attributes:
        sends: How many were sent.
        on_present: More judges of a pair that is presented.
    """

    def __init__(self, facts: Facts, store: VirtualStore, plan: Plan) -> None:
        self._facts = facts
        self._store = store
        self._plan = plan
        self._scheduler = facts.scheduler
        self._histories: dict[Pair, _History] = {}
        self._senders: dict[Task | None, object] = {}
        self.sends = 0
        self.on_present: list[Callable[[Pair], None]] = []

    def presents(self, home: object, refresh: str, seconds: float) -> Sent:
        """Judge a refresh that leaves a process, whose answer is waited for so many seconds."""
        facts, now = self._facts, self._scheduler.now
        task, pair = self._scheduler.current, facts.pairs[refresh]
        self._scheduler.note("presents", pair)
        self._judge_lease(home, pair)
        if task in facts.unlocked:
            facts.unguard(pair)
        history = self._histories.setdefault(pair, _History())
        self._judge_order(home, pair)
        self._judge_repeat(history, pair)
        self._judge_cause(home, pair)
        self._judge_cooldown(history, pair)
        sent = Sent(pair, task, now, now + seconds)
        self._senders[task] = home
        self.sends += 1
        history.sent.append(sent)
        pair.presented += 1
        pair.waiting += 1
        facts.open[task] = pair
        for judge in self.on_present:
            judge(pair)
        return sent

    def heard(self, home: object, sent: Sent, answer: str, wait: float | None) -> None:
        """Note the outcome that the sender knows: a code, ``done``, or no reliable answer.

        Args:
            home: The process.
            sent: The request.
            answer: The answer.
            wait: The seconds that the service asked to wait.
        """
        pair = sent.pair
        sent.answer, sent.heard_at, sent.wait = answer, self._scheduler.now, wait
        sent.heard_turn = self._scheduler.turns
        if answer in _UNKNOWN:
            pair.doubt = pair.unknown = True
        elif answer == "done":
            pair.known_to.add(home)
            if isinstance(home, Process):
                self._facts.active(pair.session.key or "", home.wall())
            self._facts.blind.pop((home, pair.session.key), None)
        elif answer in ENDINGS:
            self._ended(pair, ENDINGS[answer], was_used=answer in WAS_USED)

    def answered(self, pair: Pair | None) -> int | None:
        """Return in which turn the present task has got the answer to its last refresh of a pair."""
        history = None if pair is None else self._histories.get(pair)
        mine = [sent for sent in history.sent if sent.task is self._scheduler.current] if history else []
        return mine[-1].heard_turn if mine else None

    def is_busy(self, home: object) -> bool:
        """Return whether a process carries out a refresh that has been sent."""
        return any(owner is home and task in self._scheduler.tasks for task, owner in self._senders.items())

    def notes(self, pair: Pair) -> None:
        """The store has the result of the present task's refresh of this pair."""
        history, task = self._histories.get(pair), self._scheduler.current
        if history is not None and any(sent.task is task and sent.answer for sent in history.sent):
            history.noted.add(task)

    # ------------------------------------------------------------------ the rules

    def _ended(self, pair: Pair, reason: ExpiryReason, *, was_used: bool) -> None:
        pair.refused = True
        said = pair.session.said
        if was_used and (pair.doubt or pair.cut_off):
            said.add(ExpiryReason.REFRESH_OUTCOME_UNKNOWN)
        if not was_used or not pair.unknown or pair.returned or pair.session.torn:
            said.add(reason)

    def _judge_order(self, home: object, pair: Pair) -> None:
        wrong = self._facts.wrong
        if pair.waiting and not pair.unguarded:
            wrong(f"1: two requests with {pair} are in flight at once")
        if pair.rotated and not (pair.doubt or pair.stolen):
            wrong(f"1: {pair} was rotated, and is presented again without any doubt about it")
        parting = self._facts.is_sign_out_known(pair.session.key or "", pair.session)
        if home in pair.known_to and not (parting or pair.session.torn or self._has_let_go(home, pair)):
            wrong(f"1: {home} knows the successor of {pair}, and presents it again")

    def _has_let_go(self, home: object, pair: Pair) -> bool:
        """Return whether a process knows a pair from the store only.

        It has let go of the account that knew the successor, or has signed in again. And another process,
        which had only the old pair in its memory, has put that in the place of damaged text.
        """
        if not pair.returned or not isinstance(home, Process):
            return False
        shown = home.shown().get(pair.session.key or "")
        return shown is not None and (
            shown == pair.access or self._facts.by_access[shown].session is not pair.session
        )

    def _judge_repeat(self, history: _History, pair: Pair) -> None:
        """A slow answer is waited for, a lost one for a moment.

        Within one refresh a token is repeated once.
        """
        now, task = self._scheduler.now, self._scheduler.current
        mine = [sent for sent in history.sent if sent.task is task]
        for sent in history.sent:
            if sent.answer == "timeout" and now < sent.deadline - _SLACK:
                self._facts.wrong(f"1: {pair} is presented again, and overtakes a slow answer")
        unknown = [sent for sent in mine if sent.answer in _UNKNOWN]
        if not unknown:
            return
        last = unknown[-1]
        if last.answer in ("timeout", "gateway", "torn"):
            self._facts.wrong(f"1: {pair} is presented again in the refresh whose answer was {last.answer}")
        elif len(unknown) > 1:
            self._facts.wrong(f"1: {pair} is presented again after two lost answers in one refresh")
        elif now < last.heard_at + PAUSE - _SLACK:
            self._facts.wrong(f"1: {pair} is presented again {now - last.heard_at:.1f} s after a lost answer")

    def _judge_lease(self, home: object, pair: Pair) -> None:
        """A process that was suspended since it took the lock does not send (row 6)."""
        task, lease = self._scheduler.current, self._store.lease
        if lease is None or task is None or not isinstance(home, Process):
            return
        elapsed = home.elapsed_since(task.locked_at)
        if elapsed >= lease:
            self._facts.wrong(
                f"6: {home} sends {pair} {elapsed:.0f} s after it took a lease of {lease:.0f} s"
            )

    def _judge_cause(self, home: object, pair: Pair) -> None:
        """A refused token that a refusal has just brought causes no other refresh (row 10)."""
        facts = self._facts
        record = next((kept for kept in facts.records.values() if facts.pair_of(kept) is pair), None)
        cause = any(
            other.access in facts.demanded for other in facts.pairs.values() if other.session is pair.session
        )
        fresh = record is not None and isinstance(home, Process) and home.is_fresh(record)
        only = cause and fresh and not self.is_forced(pair)
        age, limit = self._scheduler.now - pair.issued_at, min(_ttl(record) / 10, LONGEST_STORM)
        if (
            only
            and pair.only_refusal
            and age < limit - _SLACK
            and not (self._plan.setback or self._plan.skew)
        ):
            facts.wrong(f"10: {pair} came from a refusal {age:.1f} s ago and is refreshed because of another")
        pair.causes = (cause, only)

    def is_forced(self, pair: Pair) -> bool:
        """Return whether an explicit refresh may have asked for another token than the pair's."""
        facts = self._facts
        forcing = any(task.call is not None and task.call.what == "refresh" for task in self._scheduler.tasks)
        return forcing or facts.forced.get(pair.session.key or "", -1) >= (pair.saved_at or 0)

    def _judge_cooldown(self, history: _History, pair: Pair) -> None:
        """After a failed refresh that was noted, no process asks before the cooldown is over (row 9)."""
        if self._plan.skew or self._plan.setback or not history.sent or self.is_forced(pair):
            return
        if JUNK in pair.session.left or pair.session.came_back is not None:  # the note was lost with a record
            return
        last = history.sent[-1]
        if last.task is self._scheduler.current or last.task not in history.noted or last.answer in _FINAL:
            return
        if not _clocks_agree(last.task, self._scheduler.current):
            return
        wait = COOLDOWN if last.wait is None else min(last.wait, COOLDOWN)
        gap = self._scheduler.now - last.heard_at
        if gap < wait - _SLACK:
            self._facts.wrong(f"9: {pair} is presented {gap:.1f} s after a failure, within the cooldown")


def _clocks_agree(*tasks: Task | None) -> bool:
    """Return whether the wall clocks of the processes of two tasks show the same time."""
    return len({getattr(getattr(task, "home", None), "offset", 0.0) for task in tasks}) == 1


def _ttl(record: Stored | None) -> float:
    return 0.0 if record is None else record.ttl
