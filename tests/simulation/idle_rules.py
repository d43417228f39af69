"""The end of idle sessions where the client keeps it: in v2, whose server knows no idle timeout.

A request counts as use. It is known to the process that made it until that lets go of the account, and to
all processes once a refresh has noted it in the store.
"""

import math

from hellojohn._duration import parse_duration
from tests.simulation.facts import Facts, Pair, Session
from tests.simulation.plan import Plan
from tests.simulation.process import Process

_SLACK = 0.001


class IdleRules:
    """Judges which sessions are idle.

    Attributes:
        timeout: The seconds after which a client ends an idle session; ``None`` if it ends none.
    """

    def __init__(self, facts: Facts, plan: Plan) -> None:
        self._facts = facts
        self._has_steady_clocks = plan.setback == 0.0
        kept = plan.idle is not None and plan.api == "v2" and plan.knows_idle
        self.timeout = parse_duration(plan.idle, name="idle").total_seconds() if kept else None

    def is_over(self, home: Process, session: Session) -> bool:
        """Return whether a process may end a session: by its clock, all that it knows is long ago.

        Under the lock, what it knew and what its clock showed when it took the lock may count instead.
        """
        noted, task = session.active_at, self._facts.scheduler.current
        if self.timeout is None or noted is None:
            return False
        moments = [(math.inf, home.latest_wall())]
        if task is not None and task.home is home and task.locked_at is not None:
            moments.append((task.locked_at.turn, task.locked_at.wall))
        for turn, now in moments:
            used = home.remembered(session, before=turn) if self._has_steady_clocks else 0.0
            if max(noted, used) + self.timeout <= now + _SLACK:
                return True
        return False

    def was_set_back(self, home: Process, session: Session) -> bool:
        """Return whether a clock was set to before the last use that the store knows of: it tells nothing."""
        noted = session.active_at
        return self.timeout is not None and noted is not None and noted > home.wall()

    def ends(self, home: Process, session: Session) -> bool:
        """Note that a process says that a session was idle; return whether that is true."""
        blind = self._facts.is_blind(home, session.key or "", session)
        session.idled = session.idled or blind or session.torn or self.is_over(home, session)
        return session.idled

    def judge_use(self, home: Process, key: str, session: Session, asked_at: float) -> None:
        """Judge that a call gets a session, and began at a moment of its process's wall clock."""
        if self.timeout is None or not self._has_steady_clocks or self._is_another_under_way(home, key):
            return
        idle = asked_at - self._facts.used_at.get(key, math.inf)
        if idle > self.timeout + _SLACK:
            self._facts.wrong(f"20: {home} goes on with {session}, which was idle for {idle:.0f} s")

    def _is_another_under_way(self, home: Process, key: str) -> bool:
        """Return whether another call of the process may have its token already, which counts as use."""
        scheduler = self._facts.scheduler
        others = (task for task in scheduler.tasks if task is not scheduler.current and task.home is home)
        return any(task.call is not None and task.call.key == key for task in others)

    def judge_refresh(self, pair: Pair) -> None:
        """Judge that a refresh has noted each use that its process knew when it took the lock."""
        task, session = self._facts.scheduler.current, pair.session
        record = self._facts.records.get(session.key or "")
        if self.timeout is None or task is None or task.locked_at is None or record is None:
            return
        home = task.home
        if not isinstance(home, Process) or not self._has_steady_clocks or session.torn:
            return
        used = home.remembered(session, before=task.locked_at.turn)
        if self._facts.pair_of(record) is pair and used > record.active_at + _SLACK:
            self._facts.wrong(f"20: {home} refreshes {session}, and does not note when it was used")
