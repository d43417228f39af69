"""The events of each session, judged when a schedule is over (invariants 3 and 8).

- The order of a session's events is the order of its life, and each comes once.
- A session is used only after the application could know of it: when it changes, an event says so.
- The near end of a session is announced once, by one of the processes.
"""

from collections.abc import Iterable

from tests.simulation.facts import Facts, Session
from tests.simulation.plan import Plan
from tests.simulation.process import Heard, Process

_BEGINNINGS = ("SIGNED_IN", "SESSION_REPLACED")
_ENDINGS = ("SIGNED_OUT", "SESSION_EXPIRED")
_ONCE = (*_BEGINNINGS, *_ENDINGS)
_UNKNOWN = ("DROPPED", "NONE")


class EventRules:
    """Judges the events of all processes."""

    def __init__(self, facts: Facts, plan: Plan) -> None:
        self._facts = facts
        self._plan = plan

    def judge(self, homes: Iterable[Process], names: Iterable[str]) -> None:
        """Judge the events of these processes, which have all been delivered."""
        for home in homes:
            for name in names:
                heard = [entry for entry in home.heard if entry.name == name]
                self._judge_order(home, heard)
                self._judge_identity(home, heard)
        for session in self._facts.sessions.values():
            if session.announced > 1 and not (session.excused or session.torn):
                self._facts.wrong(f"9: the near end of {session} is announced {session.announced} times")

    def _judge_order(self, home: Process, heard: list[Heard]) -> None:
        seen: set[tuple[str, Session]] = set()
        ended: dict[Session, str] = {}
        for entry in heard:
            session = entry.session
            if session is None or entry.what == "USED" or session.torn or session.excused:
                continue
            if session in ended:
                self._facts.wrong(f"14: {home} hears {entry.what} of {session} after {ended[session]}")
            if entry.what in _ONCE and (entry.what, session) in seen:
                self._facts.wrong(f"14: {home} hears {entry.what} of {session} twice")
            seen.add((entry.what, session))
            if entry.what in _ENDINGS:
                ended[session] = entry.what

    def _judge_identity(self, home: Process, heard: list[Heard]) -> None:
        """A session that takes another one's place is announced, or the other one's end is."""
        announced = {entry.session for entry in heard if entry.what in _BEGINNINGS}
        ended = {entry.session for entry in heard if entry.what in _ENDINGS}
        current: Heard | None = None
        for entry in heard:
            if entry.what in (*_UNKNOWN, *_ENDINGS):
                current = None
            elif entry.what == "USED":
                if current is not None and entry.since <= current.turn:
                    continue  # it uses the token that it got before others went on
                session, before = entry.session, None if current is None else current.session
                if session is not before:
                    current = entry
                if before in (None, session) or session in announced or before in ended:
                    continue
                self._facts.wrong(f"5: {home} goes on as {session} after {before}, and no event says so")
