"""Carries requests to the service and answers back, or loses them.

Both take turns like any task.
"""

from collections import defaultdict, deque
from email.utils import formatdate
from enum import StrEnum
from weakref import WeakSet

from hellojohn._wire import Answer, ApiRequest, ApiResponse, Delivery, TransportFailure
from tests.simulation.facts import Facts, Session
from tests.simulation.plan import Chance, Plan
from tests.simulation.scheduler import Scheduler
from tests.simulation.server import LOOK, ME, REFRESH, SIGN_IN, SIGN_OUT, Server, path_of
from tests.simulation.wire_rules import Sent, WireRules

READ_TIMEOUT = 10.0
"""After this a sender gives up on any request but a refresh, which is read until its deadline."""


class Fate(StrEnum):
    """What becomes of a request."""

    ARRIVES = "arrives"
    SLOW = "is slow"
    NOT_SENT = "is not sent"
    VANISHES = "vanishes"
    RESET = "is reset on the way"
    CUT = "is carried out, then reset"
    MUTE = "is carried out, and never answered"
    TORN = "is carried out, and the answer torn"
    BUSY = "comes too often"
    BROKEN = "breaks the service"
    BROKEN_LATE = "is carried out, and breaks the service"
    GATEWAY = "is carried out, and outlasts the gateway"
    PROXY = "is caught by a proxy"
    STRAY = "goes to the wrong place"


_FAULTS = tuple(Fate)[1:]
_CARRIED_OUT = (
    *(Fate.ARRIVES, Fate.SLOW, Fate.CUT, Fate.MUTE, Fate.TORN),
    *(Fate.BROKEN_LATE, Fate.GATEWAY),
)
_CLOSED_DOORS = (Fate.PROXY, Fate.STRAY)
"""A second look that ends so makes the client believe the refusal: no outage can be told from it."""

_RESET = TransportFailure(Delivery.UNKNOWN, "ReadError: no whole answer came to the request")
_TIMEOUT = TransportFailure(Delivery.UNKNOWN, "ReadTimeout: no whole answer came to the request")
_EXPIRED = ("token_expired", "TOKEN_EXPIRED")
_NOT_SENT = TransportFailure(Delivery.NOT_SENT, "ConnectError: the request was not sent")


class _Letter:
    """One request on its way: its answer, and the meanings that the answer may have."""

    def __init__(self) -> None:
        self.answer: Answer = _TIMEOUT
        self.heard = "timeout"
        self.wait: float | None = None


class Network:
    """The way between all processes and the service.

    Attributes:
        faults: How likely a request meets with one.
        next: What becomes of the next requests to a path: a fate, and the seconds of a delay each way or
            of a ``Retry-After``.
    """

    def __init__(
        self,
        *,
        scheduler: Scheduler,
        chance: Chance,
        facts: Facts,
        server: Server,
        rules: WireRules,
        plan: Plan,
    ) -> None:
        self._scheduler = scheduler
        self._chance = chance
        self._facts = facts
        self._server = server
        self._rules = rules
        self.faults = plan.network
        self._lookers: WeakSet[object] = WeakSet()
        self.next: defaultdict[str, deque[tuple[Fate, float]]] = defaultdict(deque)

    def send(self, home: object, request: ApiRequest, deadline: float) -> Answer:
        """Send a request, as a task of a process.

        It leaves at once: the engine's last look at its clocks and the sending are one step here.
        """
        scheduler, path = self._scheduler, path_of(request)
        fate, delay = self._fate(path)
        if path == LOOK:
            self._lookers.add(scheduler.current)
            fate = Fate.ARRIVES if fate in _CLOSED_DOORS else fate
        scheduler.note("sends", (path, fate.value))
        self._note(home, path, request)
        if deadline <= 0 or fate is Fate.NOT_SENT:
            self._confirm(path, answered=False)
            scheduler.pause()
            return _NOT_SENT
        sent = self._presented(home, path, request, deadline)
        letter, wake = _Letter(), scheduler.waker()
        patience = deadline if _is_read_to_the_end(request) else min(deadline, READ_TIMEOUT)
        ends_at = scheduler.now + patience

        def carry() -> None:
            slow = delay if fate is Fate.SLOW else 0.0
            self._travel(slow)
            self._treat(request, fate, letter, delay)
            if fate not in (Fate.VANISHES, Fate.MUTE):
                self._travel(slow)
                wake()

        scheduler.start("net", carry)
        began = scheduler.now
        try:
            if not scheduler.park(ends_at):
                letter = _Letter()
        finally:
            if sent is not None:
                sent.pair.waiting -= 1
        scheduler.note("hears", (path, letter.answer))
        self._hear(home, path, request, letter, sent)
        operation = self._facts.operation_of(scheduler.current)
        if operation is not None:
            operation.call.waited += scheduler.now - began
        return letter.answer

    @property
    def is_looked_at(self) -> bool:
        """Whether a client has taken a second look, and acts on it."""
        return any(task in self._scheduler.tasks for task in self._lookers)

    def _fate(self, path: str) -> tuple[Fate, float]:
        if self.next[path]:
            return self.next[path].popleft()
        fate = self._chance.one_of(*_FAULTS) if self._chance.happens(self.faults) else Fate.ARRIVES
        return fate, self._chance.uniform(0.0, 25.0) if fate is Fate.SLOW else 0.0

    def _note(self, home: object, path: str, request: ApiRequest) -> None:
        if path == SIGN_OUT:
            self._session_of(request).goodbyes += 1
        elif path == ME and request.bearer is not None:
            call = getattr(self._scheduler.current, "call", None) or getattr(
                getattr(self._scheduler.current, "parent", None), "call", None
            )
            if call is not None:
                session = self._facts.by_access[request.bearer.reveal()].session
                call.asks_as(session, self._facts)
                self._facts.used(call, session)

    def _session_of(self, request: ApiRequest) -> Session:
        """Return the session that a request wants to end, or whose user's sessions it wants to end."""
        if "refresh_token" in (request.body or {}):
            return self._facts.pairs[_refresh_token(request)].session
        assert request.bearer is not None
        return self._facts.by_access[request.bearer.reveal()].session

    def _presented(self, home: object, path: str, request: ApiRequest, deadline: float) -> Sent | None:
        if path != REFRESH:
            return None
        return self._rules.presents(home, _refresh_token(request), deadline)

    def _hear(self, home: object, path: str, request: ApiRequest, letter: _Letter, sent: Sent | None) -> None:
        operation = self._facts.operation_of(self._scheduler.current)
        if sent is not None:
            self._rules.heard(home, sent, letter.heard, letter.wait)
        elif path == SIGN_IN and operation is not None and letter.heard == "done":
            operation.heard = self._scheduler.turns
        elif path == SIGN_OUT:
            self._confirm(path, answered=letter.heard == "done")
        elif path == ME and letter.heard in _EXPIRED and request.bearer is not None:
            self._facts.demanded.add(request.bearer.reveal())

    def _confirm(self, path: str, *, answered: bool) -> None:
        operation = self._facts.operation_of(self._scheduler.current)
        if path == SIGN_OUT and operation is not None:
            operation.confirmed = answered

    def _travel(self, delay: float) -> None:
        if delay:
            self._scheduler.sleep(delay)
        else:
            self._scheduler.pause()

    def _treat(self, request: ApiRequest, fate: Fate, letter: _Letter, delay: float) -> None:
        if fate in _CARRIED_OUT:
            answer = self._server.answer(request)
            done = 200 <= answer.status < 300
            away = self._server.is_away and path_of(request) != ME  # tokens are checked without the database
            code = "done" if done else "away" if away else _code(answer)
            self._scheduler.note("answers", (path_of(request), code))
        match fate:
            case Fate.ARRIVES | Fate.SLOW:
                letter.answer, letter.heard = answer, code
            case Fate.TORN:
                half = answer.body[: len(answer.body) // 2]
                letter.answer = ApiResponse(answer.status, answer.headers, half)
                letter.heard = code if not answer.body else "torn" if done else "stray"
            case Fate.RESET | Fate.CUT:
                letter.answer, letter.heard = _RESET, "lost"
            case Fate.BUSY:
                letter.answer, letter.wait = self._busy(delay)
                letter.heard = "busy"
            case Fate.BROKEN | Fate.BROKEN_LATE:
                letter.answer = ApiResponse(self._chance.one_of(500, 502), {}, b"<h1>Oops</h1>")
                letter.heard = "broken"
            case Fate.GATEWAY:
                letter.answer, letter.heard = ApiResponse(504, {}, b"<h1>Oops</h1>"), "gateway"
            case Fate.PROXY:
                letter.answer = ApiResponse(self._chance.one_of(401, 403), {}, b"<h1>Who are you?</h1>")
                letter.heard = "proxy"
            case Fate.STRAY:
                body = b'{"error": {"code": "not_found"}}'
                letter.answer, letter.heard = ApiResponse(404, {}, body), "stray"

    def _busy(self, delay: float) -> tuple[ApiResponse, float | None]:
        now = self._scheduler.now
        text = self._chance.one_of(None, "0", "1", "7", "90", "4000", formatdate(now + 30, usegmt=True))
        text = f"{delay:.0f}" if delay else text
        headers = {} if text is None else {"retry-after": text, "date": formatdate(now, usegmt=True)}
        wait = None if text is None else float(text) if text.isdigit() else 30.0
        return ApiResponse(self._chance.one_of(429, 503), headers, b""), wait


def _refresh_token(request: ApiRequest) -> str:
    token: str = (request.body or {})["refresh_token"].reveal()  # type: ignore[attr-defined]
    return token


def _is_read_to_the_end(request: ApiRequest) -> bool:
    return getattr(request, "reads_until_deadline", False)


def _code(answer: ApiResponse) -> str:
    """Find the code of an error that the service has just written."""
    return answer.body.decode().partition('"code":"')[2].partition('"')[0]
