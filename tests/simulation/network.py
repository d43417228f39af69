"""Carries calls to the service and answers back, or loses them on the way. Both take turns like any task."""

from email.utils import formatdate
from enum import StrEnum

from hellojohn._wire import Answer, ApiRequest, ApiResponse, Delivery, TransportFailure
from tests.simulation.facts import Facts, Pair
from tests.simulation.plan import Chance, Plan
from tests.simulation.scheduler import Scheduler
from tests.simulation.server import Server


class Fate(StrEnum):
    """What becomes of a call."""

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
    BROKEN_LATE = "is carried out, and breaks the gateway"
    PROXY = "is caught by a proxy"
    STRAY = "goes to the wrong place"


_FAULTS = tuple(Fate)[1:]
_CARRIED_OUT = (Fate.ARRIVES, Fate.SLOW, Fate.CUT, Fate.MUTE, Fate.TORN, Fate.BROKEN_LATE)
_RESET = TransportFailure(Delivery.UNKNOWN, "ReadError: no whole answer came to the sent call")
_TIMEOUT = TransportFailure(Delivery.UNKNOWN, "ReadTimeout: no whole answer came to the sent call")
_NOT_SENT = TransportFailure(Delivery.NOT_SENT, "ConnectError: the call was not sent")


class _Letter:
    """One call on its way, and what the world may take its answer for: see ``Facts.heard``."""

    def __init__(self) -> None:
        self.answer: Answer = _TIMEOUT
        self.heard: str | None = None


class Network:
    """The way between all processes and the service."""

    def __init__(
        self, scheduler: Scheduler, chance: Chance, facts: Facts, server: Server, plan: Plan
    ) -> None:
        self._scheduler = scheduler
        self._chance = chance
        self._facts = facts
        self._server = server
        self.faults = plan.network

    def send(self, home: object, call: ApiRequest, deadline: float) -> Answer:
        """Send a call, as an engine's task."""
        scheduler, fate = self._scheduler, self._fate()
        scheduler.pause()
        scheduler.note("sends", (call.path, fate.value))
        if deadline <= 0 or fate is Fate.NOT_SENT:
            return _NOT_SENT
        pair = self._presented(home, call)
        letter, wake = _Letter(), scheduler.waker()
        ends_at = scheduler.now + deadline

        def carry() -> None:
            self._travel(fate)
            self._treat(call, fate, letter)
            if fate not in (Fate.VANISHES, Fate.MUTE):
                self._travel(fate)
                wake()

        scheduler.start("net", carry)
        try:
            if not scheduler.park(ends_at):
                letter = _Letter()
        finally:
            if pair is not None:
                pair.waiting -= 1
        scheduler.note("hears", (call.path, letter.answer))
        if pair is not None:
            self._facts.heard(home, pair, letter.heard)
        return letter.answer

    def _fate(self) -> Fate:
        return self._chance.one_of(*_FAULTS) if self._chance.happens(self.faults) else Fate.ARRIVES

    def _presented(self, home: object, call: ApiRequest) -> Pair | None:
        if call.path != "/auth/token/refresh":
            return None
        refresh = (call.body or {})["refresh_token"]
        return self._facts.presents(home, refresh.reveal())  # type: ignore[attr-defined]

    def _travel(self, fate: Fate) -> None:
        if fate is Fate.SLOW:
            self._scheduler.sleep(self._chance.uniform(0.0, 25.0))
        else:
            self._scheduler.pause()

    def _treat(self, call: ApiRequest, fate: Fate, letter: _Letter) -> None:
        if fate in _CARRIED_OUT:
            reply = self._server.answer(call)
            done = 200 <= reply.status < 300
            code = "done" if done else _code(reply)
            self._scheduler.note("answers", (call.path, code))
        match fate:
            case Fate.ARRIVES | Fate.SLOW:
                letter.answer, letter.heard = reply, code
            case Fate.TORN:
                letter.answer = ApiResponse(reply.status, reply.headers, reply.body[: len(reply.body) // 2])
                letter.heard = None if done else "torn"
            case Fate.RESET | Fate.CUT:
                letter.answer = _RESET
            case Fate.BUSY:
                letter.answer, letter.heard = self._busy(), "busy"
            case Fate.BROKEN | Fate.BROKEN_LATE:
                letter.answer = ApiResponse(self._chance.one_of(500, 502, 504), {}, b"<h1>Oops</h1>")
            case Fate.PROXY:
                letter.answer = ApiResponse(self._chance.one_of(401, 403), {}, b"<h1>Who are you?</h1>")
                letter.heard = "proxy"
            case Fate.STRAY:
                letter.answer, letter.heard = (
                    ApiResponse(404, {}, b'{"error": {"code": "not_found"}}'),
                    "stray",
                )

    def _busy(self) -> ApiResponse:
        now = self._scheduler.now
        wait = self._chance.one_of(None, "0", "1", "7", "90", "4000", formatdate(now + 30, usegmt=True))
        headers = {} if wait is None else {"retry-after": wait, "date": formatdate(now, usegmt=True)}
        return ApiResponse(self._chance.one_of(429, 503), headers, b"")


def _code(reply: ApiResponse) -> str:
    """Find the code of an error that the server has just written."""
    return reply.body.decode().partition('"code":"')[2].partition('"')[0]
