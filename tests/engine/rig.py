"""What the engine's tests share: records, virtual time, a scripted service, a store that fails on demand."""

import copy
import json
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from hellojohn._clock import Timing
from hellojohn._config import read_settings
from hellojohn._errors import StoreUnavailable
from hellojohn._models import AuthEvent, Session
from hellojohn._secret import Secret
from hellojohn._session import operations
from hellojohn._session.account import Account
from hellojohn._session.acquire import acquire
from hellojohn._session.engine import Engine
from hellojohn._session.flight import run
from hellojohn._session.operations import SignInRequest
from hellojohn._session.record import EndedRecord, SessionRecord
from hellojohn._session.record_format import dump, parse
from hellojohn._session.workers import WorkerPool
from hellojohn._wire import Answer, ApiRequest, ApiResponse, Delivery, TransportFailure
from hellojohn._wire.v1 import V1
from hellojohn.stores import MemoryStore

START = 1_700_000_000.0
API = "https://api.example.com"
TENANT = "tnt_1"
KEY = f"default@{TENANT}@api.example.com"
TTL = 1_000.0
STALE = TTL * 0.85
EXPIRING = TTL - 29
DEAD = TTL + 1

HTML = b"<html><body>Forbidden by the company proxy</body></html>"
FULL = StoreUnavailable("The disk is full.")
NOT_SENT = TransportFailure(Delivery.NOT_SENT, "ConnectError: the call was not sent")
UNKNOWN = TransportFailure(Delivery.UNKNOWN, "ReadTimeout: no whole answer came to the sent call")


def a_record(**changes: Any) -> SessionRecord:
    """Make a record of a session that was signed in at ``START``."""
    fields: dict[str, Any] = {
        "api_url": API,
        "tenant_id": TENANT,
        "generation": 1,
        "access_token": Secret("at_1"),
        "refresh_token": Secret("rt_1"),
        "refreshed_at": START,
        "ttl": TTL,
        "created_at": START,
        "session_id": "ses_1",
        "sign_in_id": "first",
    }
    return SessionRecord(**{**fields, **changes})


class VirtualTime:
    """Time that passes when somebody sleeps or says so."""

    def __init__(self, now: float = START) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        """Return the time; it serves as both clocks."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.slept.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        """Return the time for waits, which is always a finite number."""
        return self.now if math.isfinite(self.now) else START

    @property
    def timing(self) -> Timing:
        """Both clocks and the sleep, for an engine."""
        return Timing(clock=self, monotonic=self.monotonic, sleep=self.sleep)


def reply(status: int = 200, body: object = None, **headers: str) -> ApiResponse:
    """Make an answer; a header's underscores stand for hyphens."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ApiResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, text)


def problem(status: int, code: str, **headers: str) -> ApiResponse:
    """Make an error in the documented shape."""
    return reply(status, {"error": {"code": code, "message": "Words.", "status": status}}, **headers)


def granted(generation: int, **changes: Any) -> ApiResponse:
    """Make the answer to a refresh that gave the ``generation``-th pair of tokens."""
    pair = {"access_token": f"at_{generation}", "refresh_token": f"rt_{generation}", "expires_in": TTL}
    body = {name: value for name, value in {**pair, **changes}.items() if value is not None}
    return reply(200, body)


Step = Answer | Callable[[ApiRequest, float], Answer]


class Script:
    """A service that gives the answers it was told to, in order, and remembers the calls."""

    def __init__(self, *steps: Step) -> None:
        self.steps = deque(steps)
        self.calls: list[ApiRequest] = []

    def __call__(self, call: ApiRequest, seconds: float) -> Answer:
        """Answer; a sign-out needs no step."""
        self.calls.append(call)
        if call.path == "/v1/auth/sign-out":
            return reply(204, b"")
        step = self.steps.popleft()
        return step(call, seconds) if callable(step) else step

    def tokens(self, path: str = "/v1/auth/token/refresh") -> list[str]:
        """Return the refresh tokens that were presented at ``path``, in order."""
        bodies = [call.body or {} for call in self.calls if call.path == path]
        return [secret.reveal() for body in bodies if isinstance(secret := body["refresh_token"], Secret)]


class Rotating:
    """A strict service: each refresh token is good once, and one that comes again ends the session."""

    def __init__(self) -> None:
        self.current = 1
        self.rotations = self.reuses = 0

    def __call__(self, call: ApiRequest, seconds: float) -> Answer:
        """Rotate."""
        if call.path != "/v1/auth/token/refresh":
            return reply(204, b"")
        token = (call.body or {})["refresh_token"]
        if token != Secret(f"rt_{self.current}"):
            self.reuses += 1
            return problem(401, "refresh_token_reused")
        self.current += 1
        self.rotations += 1
        return granted(self.current)


class FlakyStore(MemoryStore):
    """A store whose methods fail as often as they are told to, before or after they did their work."""

    def __init__(self) -> None:
        super().__init__()
        self._failures: dict[str, deque[Exception | None]] = {}
        self._late: set[str] = set()
        self.used = Counter[str]()

    def fail(self, method: str, *failures: Exception | None, late: bool = False) -> None:
        """Let the next uses of ``method`` raise; ``None`` lets one pass."""
        self._failures[method] = deque(failures or [FULL] * 1_000)
        (self._late.add if late else self._late.discard)(method)

    def heal(self) -> None:
        """Fail no more."""
        self._failures.clear()

    def _use(self, method: str, work: Callable[[], Any]) -> Any:
        self.used[method] += 1
        failures = self._failures.get(method)
        failure = failures.popleft() if failures else None
        result = work() if failure is None or method in self._late else None
        if failure is not None:
            raise copy.copy(
                failure
            )  # one that is raised again and again would keep every frame it came through
        return result

    def load(self, key: str) -> str | None:
        """Load, or fail."""
        found: str | None = self._use("load", lambda: super(FlakyStore, self).load(key))
        return found

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Save, or fail."""
        self._use("save", lambda: super(FlakyStore, self).save(key, text, expires_in=expires_in))

    def delete(self, key: str) -> None:
        """Delete, or fail."""
        self._use("delete", lambda: super(FlakyStore, self).delete(key))

    def lock(self, key: str, timeout: float) -> AbstractContextManager[None]:
        """Lock, or fail."""
        found: AbstractContextManager[None]
        found = self._use("lock", lambda: super(FlakyStore, self).lock(key, timeout))
        return found


class Bench:
    """One engine on a scripted service and a virtual time, with the events it told."""

    def __init__(
        self,
        *steps: Step,
        store: MemoryStore | None = None,
        at: VirtualTime | None = None,
        service: Callable[[ApiRequest, float], Answer] | None = None,
        **settings: Any,
    ) -> None:
        self.time = at or VirtualTime()
        self.store = MemoryStore() if store is None else store
        self.script = Script(*steps)
        self.workers = WorkerPool()
        self.engine = Engine(
            read_settings(
                **{"tenant_id": TENANT, "publishable_key": Secret("pk_1"), "api_url": API, **settings},
                clock=self.time,
            ),
            store=self.store,
            dialect=V1(TENANT, Secret("pk_1")),
            send=service or self.script,
            load=lambda: None,
            timing=self.time.timing,
            workers=self.workers,
        )
        self.account: Account = self.engine.account("default")
        self.events: list[AuthEvent] = []
        self.engine.events.on(self.events.append)

    def put(self, record: SessionRecord) -> SessionRecord:
        """Put a record into the store, as another process would."""
        MemoryStore.save(self.store, KEY, dump(record).reveal())
        return record

    def stored(self) -> SessionRecord | None:
        """Return the session in the store."""
        text = MemoryStore.load(self.store, KEY)
        found = None if text is None else parse(text)
        return None if isinstance(found, EndedRecord) else found

    def sign_in(self, **changes: Any) -> Session:
        """Sign in; the service answers with the first pair of tokens."""
        self.script.steps.appendleft(granted(1, session_id="ses_1", **changes))
        call = self.engine.context.service.dialect.sign_in(
            "ada@example.com", Secret("correct horse"), duration=None, captcha_token=None
        )
        return run(operations.sign_in(self.account, SignInRequest(call)))

    def sign_out(self, *, everywhere: bool = False) -> bool:
        """Sign out."""
        return run(operations.sign_out(self.account, everywhere=everywhere))

    def session(self) -> Session | None:
        """Get the session, without asking the service."""
        return run(operations.session(self.account))

    def token(self) -> str:
        """Get a token that can be sent."""
        return run(acquire(self.account)).record.access_token.reveal()

    def another(self) -> str:
        """Get another token than the one in use, as after a 401."""
        snapshot = self.account.state.snapshot or run(acquire(self.account))
        return run(acquire(self.account, snapshot)).record.access_token.reveal()

    def settle(self) -> "Bench":
        """Wait until nothing is under way."""
        for flight in tuple(self.engine.context.flights):
            flight.wait(10)
        delivered = self.engine.events.flushed()
        if delivered is not None:
            delivered.wait(10)
        return self

    def at(self, seconds: float) -> "Bench":
        """Move the time to so many seconds after the sign-in."""
        self.time.now = START + seconds
        return self

    def settle_within(self, seconds: float) -> bool:
        """Settle."""
        self.settle()
        return True

    def told(self) -> list[str]:
        """Return the events so far: their types, and the reasons where there are any."""
        return [":".join(filter(None, (event.type, event.reason))) for event in self.events]


def dead(*steps: Step, **options: Any) -> Bench:
    """Make a bench whose stored access token has no life left."""
    bench = Bench(*steps, **options)
    bench.put(a_record())
    return bench.at(DEAD)


def unsaved() -> tuple[Bench, FlakyStore]:
    """Make a bench whose store takes the intent and then fails: memory has the only copy of the new pair."""
    store = FlakyStore()
    bench = dead(granted(2), store=store)
    store.fail("save", None, *[FULL] * 1_000)
    assert bench.token() == "at_2"
    return bench, store


def kept(bench: Bench, **expected: Any) -> None:
    """Check that the session is in the store as it was, but for what is expected."""
    record = bench.stored()
    assert record is not None
    same = {"generation": 1, "refresh_token": Secret("rt_1"), "refresh_started_at": None, "refresh_not_before": None}
    wanted = {**same, **expected}
    assert {name: getattr(record, name) for name in wanted} == wanted


def until(condition: Callable[[], object], *, patience: float = 10.0) -> None:
    """Wait until another thread has brought ``condition`` about."""
    ends_at = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < ends_at, "it never came about"
        time.sleep(0.001)


def in_thread(work: Callable[[], Any]) -> Callable[[], Any]:
    """Begin ``work`` on a thread; the returned function waits for its result, or the error it raised."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results.append(error)

    def join() -> object:
        thread.join(30)
        assert results, "the thread hangs"
        return results[0]

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return join
