"""One call of an application, from its first moment to its last."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.adapter import Stored
    from tests.simulation.facts import Facts, Operation, Session


@dataclass(eq=False)
class Call:
    """A call.

    Attributes:
        what: The call's name.
        home: The process it is made in.
        name: The account it is made on.
        key: The store's key for the account.
        began: In which turn.
        at: When, in true time.
        wall: When, by the wall clock of its process.
        lost: How many seconds had been lost to a slow machine and to suspensions then.
        changes: How many sessions had come and gone then.
        since: In which turn the oldest operation began that it may have joined.
        after_close: Whether the client was closed before.
        operation: The sign-in or sign-out that it asks for.
        patience: How many seconds a request may wait for a token.
        waited: How many seconds its own requests, and the locks of other processes, took.
        copy: The session that only this process has, with nothing in the store but junk.
        tokens: The access tokens that it has sent.
        asked_as: Whose session the service was asked about last.
        sends: How many refreshes its process had sent when it began.
        over: In which turn it returned, raised or was given up.
        returned: Whether it returned.
    """

    what: str
    home: Process
    name: str
    key: str
    began: int
    at: float
    wall: float
    lost: float
    changes: int
    since: int
    after_close: bool = False
    operation: "Operation | None" = None
    patience: float | None = None
    waited: float = 0.0
    copy: "Stored | None" = None
    tokens: list[str] = field(default_factory=list)
    asked_as: "Session | None" = None
    sends: int = 0
    over: int | None = None
    returned: bool = False

    def asks_as(self, session: "Session", facts: "Facts") -> None:
        """Note that the service is asked about the user of a session.

        Nobody becomes another user on the way.
        """
        before, self.asked_as = self.asked_as, session
        if before is not None and before.user != session.user:
            facts.wrong(f"8: {self.what} asked as {before.user} is asked again as {session.user}")
