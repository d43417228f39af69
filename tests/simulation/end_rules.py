"""What must be true when everything has come to its end."""

from collections.abc import Collection, Iterable

from tests.simulation.facts import Facts, Session
from tests.simulation.process import Process
from tests.simulation.server import Server


class EndRules:
    """Judges the sessions that are left at the end."""

    def __init__(self, facts: Facts, server: Server) -> None:
        self._facts = facts
        self._server = server

    def judge(self, homes: Iterable[Process], dead: Collection[object]) -> None:
        """Judge the sessions that the service still honours: a client has each, or tried to sign it out.

        Args:
            homes: The living processes.
            dead: The processes that have crashed, with their memory.
        """
        kept = {self._facts.pair_of(record).session for record in self._facts.records.values()}
        for home in homes:
            kept |= {self._facts.by_access[token].session for token in home.shown().values() if token}
        for session in self._facts.sessions.values():
            if session in kept or session.excused or session.torn or session.goodbyes:
                continue
            asked = session.asked
            if asked is None or asked.heard is None or asked.home in dead:
                continue
            if self._is_known_alive(session):
                self._facts.wrong(f"16: {session} is dropped, and stays alive at the service")

    def _is_known_alive(self, session: Session) -> bool:
        """Return whether the service honours a token of a session that any client has received."""
        token = self._server.live_token(session.id)
        if token is None:
            return False
        pair = self._facts.pairs[token]
        return pair.parent is None or bool(pair.parent.known_to)
