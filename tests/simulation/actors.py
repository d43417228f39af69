"""The applications: their calls of a client, one task for each call, all through the public API."""

from collections.abc import Callable

import httpx

from hellojohn import ServiceUnavailable
from tests.simulation.call import Call
from tests.simulation.call_rules import CallRules
from tests.simulation.facts import Facts
from tests.simulation.plan import Chance, Plan
from tests.simulation.process import Process
from tests.simulation.scheduler import Scheduler, Task
from tests.simulation.server import API, PASSWORD, TENANT, USERS, Server
from tests.simulation.wire_rules import WireRules

RESOURCE = httpx.URL(f"{API}/orders")
LONGEST_COOLDOWN = 61.0

_BOX = (None, True, False)
_WAITS = (0.5, 1.0, 5.0)
_ACCEPTED = httpx.Response(200)


def key_of(name: str) -> str:
    """Return the store's key for an account."""
    return f"{name}@{TENANT}@api.example.com"


class Callers:
    """Makes calls, and has their results judged."""

    def __init__(
        self,
        *,
        scheduler: Scheduler,
        chance: Chance,
        facts: Facts,
        server: Server,
        rules: CallRules,
        wire: WireRules,
        plan: Plan,
    ) -> None:
        self._scheduler = scheduler
        self._chance = chance
        self._facts = facts
        self._server = server
        self._rules = rules
        self._wire = wire
        self._plan = plan
        self.calls: dict[str, Callable[[Call], None]] = {
            "use": self._use,
            "sign_in": self._sign_in,
            "sign_out": self._sign_out,
            "refresh": self._refresh,
            "session": self._session,
            "access_token": self._access_token,
            "user": self._user,
            "come_back": self._come_back,
        }

    def start(
        self, what: str, home: Process, name: str, *, user: str | None = None, wrong: bool = False
    ) -> Task:
        """Make a call in a process, on the account of that name; a sign-in is of a user, with a password."""

        def carry_out() -> None:
            call = task.call = self._begin(what, home, name)
            try:
                if what == "sign_in":
                    self._sign_in(call, user, wrong=wrong)
                else:
                    self.calls[what](call)
                call.returned = True
                self._rules.took(call)
            except Exception as error:  # noqa: BLE001 - every error is judged
                self._rules.error(call, error)
            finally:
                call.over = self._scheduler.turns

        task = self._scheduler.start(f"{home}.{what}", carry_out, home)
        return task

    def _begin(self, what: str, home: Process, name: str) -> Call:
        scheduler, facts = self._scheduler, self._facts
        scheduler.note("calls", (what, name))
        call = Call(
            what,
            home,
            name,
            key_of(name),
            began=scheduler.turns,
            at=scheduler.now,
            wall=home.wall(),
            lost=self._rules.lost(home),
            changes=facts.changes,
            since=home.oldest_turn(),
            after_close=home.closed,
            sends=-1 if self._wire.is_busy(home) else self._wire.sends,
        )
        if what in ("sign_in", "sign_out"):
            call.operation = facts.asks(call)
        return call

    # ------------------------------------------------------------------ the calls

    def _use(self, call: Call) -> None:
        """Send a request with the auth hook, as httpx does."""
        _, hook = call.home.account(call.name)
        request = httpx.Request("GET", RESOURCE)
        if self._chance.happens(self._plan.bounded):
            connect, read = self._chance.one_of(*_WAITS), self._chance.one_of(*_WAITS)
            request.extensions["timeout"] = {"connect": connect, "read": read}
            call.patience = connect + read
        flow = hook.sync_auth_flow(request)
        sent = next(flow)
        while True:
            token = sent.headers["Authorization"].removeprefix("Bearer ")
            self._rules.token(call, token)
            self._scheduler.pause()
            accepted = self._server.accepts(token)
            if not accepted:
                self._facts.demanded.add(token)
            call.at, call.lost = self._scheduler.now, self._rules.lost(call.home)
            try:
                sent = flow.send(_ACCEPTED if accepted else httpx.Response(401, request=sent))
            except StopIteration:
                break
        if not accepted:
            self._rules.refused(call)

    def _sign_in(self, call: Call, user: str | None = None, *, wrong: bool = False) -> None:
        client, _ = call.home.account(call.name)
        assert call.operation is not None
        remember_me = self._chance.one_of(*_BOX) if user is None else None
        wrong = wrong or (user is None and self._chance.happens(0.1))
        user = user or (USERS[1] if self._chance.happens(0.25) else USERS[0])
        session = client.auth.sign_in(
            user,
            "wrong" if wrong else PASSWORD,
            remember_me=remember_me,
            captcha_token=str(self._facts.operations.index(call.operation)),
        )
        self._rules.signed_in(call, self._facts.sessions[session.id])

    def _sign_out(self, call: Call) -> None:
        client, _ = call.home.account(call.name)
        self._rules.signed_out(call, client.auth.sign_out(everywhere=self._chance.happens(0.2)))

    def _refresh(self, call: Call) -> None:
        client, _ = call.home.account(call.name)
        try:
            session = client.auth.refresh()
        finally:
            self._facts.forced[call.key] = self._scheduler.turns
        self._rules.session(call, self._facts.sessions[session.id])

    def _session(self, call: Call) -> None:
        client, _ = call.home.account(call.name)
        session = client.auth.session()
        if session is None:
            self._rules.no_session(call)
        else:
            self._rules.session(call, self._facts.sessions[session.id])

    def _access_token(self, call: Call) -> None:
        client, _ = call.home.account(call.name)
        token = client.auth.access_token()
        self._rules.token(call, token)

    def _user(self, call: Call) -> None:
        client, _ = call.home.account(call.name)
        client.auth.user()
        if call.after_close:
            self._facts.wrong("18: user works after close()")

    def _come_back(self, call: Call) -> None:
        """Use the session after all trouble is over.

        What the service honours must be there, a cooldown later. The cooldown of a host whose clock is ahead
        may count only when a first one is over.
        """
        call.copy = self._rules.only_copy(call)
        client, _ = call.home.account(call.name)
        for _ in range(2 if self._plan.skew or self._plan.setback else 1):
            try:
                token = client.auth.access_token()
            except ServiceUnavailable:
                self._scheduler.sleep(LONGEST_COOLDOWN)
            else:
                break
        else:
            token = client.auth.access_token()
        self._rules.token(call, token)
