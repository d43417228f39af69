"""One engine on a scripted service and virtual time, for the tests of the session engine."""

import json
import math
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from hellojohn._clock import Timing
from hellojohn._config import read_settings
from hellojohn._models import AuthEvent, Session
from hellojohn._secret import Secret
from hellojohn._session import calls, operations
from hellojohn._session.account import Account
from hellojohn._session.acquire import acquire
from hellojohn._session.engine import Engine
from hellojohn._session.freshness import TokenSnapshot
from hellojohn._session.operations import SignInRequest
from hellojohn._session.record import EndedRecord, SessionRecord, Stored
from hellojohn._session.record_format import dump, parse
from hellojohn._session.workers import WorkerPool
from hellojohn._waiting import run
from hellojohn._wire import Answer, ApiRequest, ApiResponse, Delivery, TransportFailure, make_dialect, single
from hellojohn.stores import MemoryStore

START = 1_700_000_000.0
API = "https://api.example.com"
TENANT = "tnt_1"
KEY = f"default@{TENANT}@api.example.com"
TTL = 1_000.0
STALE = TTL * 0.85
EXPIRING = TTL - 29
EXPIRED = TTL + 1

NOT_SENT = TransportFailure(Delivery.NOT_SENT, "ConnectError: the call was not sent")
LOST = TransportFailure(Delivery.UNKNOWN, "ReadError: no whole answer came to the sent call")
HTML = b"<html><body>Forbidden by the company proxy</body></html>"


def a_record(**changes: Any) -> SessionRecord:
    """Return the record of a session that was signed in at START."""
    fields: dict[str, Any] = {
        "api_url": API,
        "tenant_id": TENANT,
        "sign_in_id": "first",
        "generation": 1,
        "access_token": Secret("at_1"),
        "refresh_token": Secret("rt_1"),
        "refreshed_at": START,
        "ttl": TTL,
        "created_at": START,
        "session_id": "ses_1",
    }
    return SessionRecord(**{**fields, **changes})


def another_session(**changes: Any) -> SessionRecord:
    """Return the record of a session that another process has signed in."""
    fields = {"sign_in_id": "second", "session_id": "ses_2", "refreshed_at": START + TTL}
    tokens = {"access_token": Secret("at_b"), "refresh_token": Secret("rt_b")}
    return a_record(**{**fields, **tokens, **changes})


def response(status: int = 200, body: object = None, **headers: str) -> ApiResponse:
    """Return an answer. Underscores in the names of headers stand for hyphens."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ApiResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


def problem(status: int, code: str, **headers: str) -> ApiResponse:
    """Return an error in the documented shape."""
    return response(status, {"error": {"code": code, "message": "Words.", "status": status}}, **headers)


def tokens(name: object = 2, **changes: Any) -> ApiResponse:
    """Return an answer with the pair ``at_<name>`` and ``rt_<name>``."""
    body = {"access_token": f"at_{name}", "refresh_token": f"rt_{name}", "expires_in": TTL, **changes}
    return response(200, {key: value for key, value in body.items() if value is not None})


class VirtualTime:
    """Time that passes when something sleeps, or when a test sets it."""

    def __init__(self) -> None:
        self.wall = START
        self.elapsed = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.wall += seconds
        self.elapsed += seconds

    def at(self, seconds: float) -> None:
        """Set the wall clock to so many seconds after START."""
        self.wall = START + seconds


Step = Answer | Callable[[], Answer]


class Gate:
    """A step of the service that waits until the test opens it."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._reached = threading.Event()
        self._opened = threading.Event()

    def __call__(self) -> Answer:
        """Report the request, wait, and answer."""
        self._reached.set()
        assert self._opened.wait(20), "the test did not open the gate"
        return self._step() if callable(self._step) else self._step

    def wait(self) -> None:
        """Wait until the request is there."""
        assert self._reached.wait(20), "the request did not come"

    def open(self) -> None:
        """Let the service answer."""
        self._opened.set()


class Service:
    """A service that gives the answers it was given, in order, and remembers the requests.

    Attributes:
        steps: The next answers to refreshes and other calls. A sign-out needs none.
        sign_outs: The answers to sign-outs; 204 after the last one.
        requests: The requests that arrived.
    """

    def __init__(self, *steps: Step) -> None:
        self.steps: deque[Step] = deque(steps)
        self.sign_outs: deque[Step] = deque()
        self.requests: list[tuple[ApiRequest, float]] = []
        self._lock = threading.Lock()

    def send(self, request: ApiRequest, deadline: float) -> Answer:
        """Answer a request."""
        with self._lock:
            self.requests.append((request, deadline))
            if request.path in ("/v1/auth/sign-out", "/v2/auth/logout"):
                step: Step = self.sign_outs.popleft() if self.sign_outs else response(204, b"")
            else:
                assert self.steps, f"an unexpected request came: {request}"
                step = self.steps.popleft()
        return step() if callable(step) else step

    def presented(self, path: str) -> list[str]:
        """Return the refresh tokens that were presented at a path, in order."""
        bodies = [request.body or {} for request, _ in self.requests if request.path == path]
        return [token.reveal() for body in bodies if isinstance(token := body["refresh_token"], Secret)]

    @property
    def refreshed(self) -> list[str]:
        """The refresh tokens that were presented for a refresh."""
        return self.presented("/v1/auth/token/refresh")

    @property
    def signed_out(self) -> list[str]:
        """The refresh tokens whose sessions were signed out."""
        return self.presented("/v1/auth/sign-out")


class Bench:
    """One client's engine.

    Attributes:
        time: Its clocks.
        service: Its service.
        store: Its store.
        account: Its default account.
        events: What its callbacks saw.
    """

    def __init__(
        self,
        *steps: Step,
        store: Any = None,
        time: VirtualTime | None = None,
        service: Service | None = None,
        api: str = "v1",
        **settings: Any,
    ) -> None:
        self.time = time or VirtualTime()
        self.service = service or Service()
        self.service.steps.extend(steps)
        self.store = MemoryStore() if store is None else store
        self.workers = WorkerPool()
        known = {"tenant_id": TENANT, "publishable_key": Secret("pk_1"), "client_id": "cli_1", "api_url": API}
        read = read_settings(api=api, **{**known, **settings}, clock=lambda: self.time.wall)
        self.engine = Engine(
            read,
            store=self.store,
            dialect=make_dialect(
                api,
                base_url=API,
                tenant_id=TENANT,
                client_id="cli_1",
                publishable_key=Secret("pk_1"),
                secret_key=None,
            ),
            send=self.service.send,
            load=lambda: None,
            timing=Timing(lambda: self.time.wall, lambda: self.time.elapsed, self.time.sleep),
            workers=self.workers,
        )
        self.account: Account = self.engine.account("default")
        self.events: list[AuthEvent] = []
        self.engine.events.on(self.events.append)

    # ------------------------------------------------------------ the store, as another process sees it

    def put(self, record: Stored) -> None:
        """Store a record."""
        MemoryStore.save(self.store, KEY, dump(record).reveal())

    def put_text(self, text: str) -> None:
        """Store any text."""
        MemoryStore.save(self.store, KEY, text)

    def stored(self) -> Stored | None:
        """Return the content of the store."""
        text = MemoryStore.load(self.store, KEY)
        return None if text is None else parse(text)

    def session_record(self) -> SessionRecord:
        """Return the stored session."""
        stored = self.stored()
        assert isinstance(stored, SessionRecord)
        return stored

    def end_record(self) -> EndedRecord:
        """Return the stored end of a session."""
        stored = self.stored()
        assert isinstance(stored, EndedRecord)
        return stored

    # ------------------------------------------------------------ calls of an app

    def sign_in(self, name: object = "s", **changes: Any) -> Session:
        """Sign in. The service answers with the pair of that name."""
        self.service.steps.appendleft(tokens(name, **{"session_id": f"ses_{name}", **changes}))
        return self.ask_to_sign_in()

    def ask_to_sign_in(self) -> Session:
        """Sign in. The service answers with its next step."""
        dialect = self.engine.context.service.dialect
        request = dialect.sign_in(
            "ada@example.com", Secret("correct horse"), duration=None, captcha_token=None
        )
        wanted = SignInRequest(single(request, dialect.read_tokens))
        return run(operations.sign_in(self.account, wanted))

    def sign_out(self, *, everywhere: bool = False) -> bool:
        """Sign out."""
        return run(operations.sign_out(self.account, everywhere=everywhere))

    def session(self) -> Session | None:
        """Return the session without asking the service."""
        return run(calls.session(self.account))

    def token(self, *, timeout: float | None = None) -> str:
        """Return a token that can be sent."""
        return run(acquire(self.account, timeout=timeout)).record.access_token.reveal()

    def after_refusal(self, refused: TokenSnapshot | None = None) -> str:
        """Return a token after the API has refused one."""
        snapshot = refused or self.snapshot()
        return run(acquire(self.account, snapshot)).record.access_token.reveal()

    def snapshot(self) -> TokenSnapshot:
        """Return the token in use."""
        return run(acquire(self.account))

    def refresh(self) -> Session:
        """Refresh, as ``auth.refresh`` does."""
        return run(calls.refresh(self.account))

    # ------------------------------------------------------------ looking at it

    def settle(self) -> None:
        """Wait until nothing runs any more and all events are delivered."""
        while flights := tuple(self.engine.context.flights):
            for flight in flights:
                flight.wait(20)
        delivered = self.engine.events.flushed()
        if delivered is not None:
            delivered.wait(20)

    def seen(self) -> list[str]:
        """Return the events so far, with their reasons."""
        self.settle()
        return [":".join(filter(None, (event.type, event.reason))) for event in self.events]


def expired_token(*steps: Step, **options: Any) -> Bench:
    """Return a bench whose stored session has an expired access token."""
    bench = Bench(*steps, **options)
    bench.put(a_record())
    bench.time.at(EXPIRED)
    return bench


def in_thread(work: Callable[[], Any]) -> Callable[[], Any]:
    """Begin ``work`` on a thread. The returned function waits for its result, or for the error it raised."""
    results: list[Any] = []

    def target() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()

    def join() -> Any:
        thread.join(20)
        assert results, "the thread hangs"
        return results[0]

    return join


def finite(seconds: float) -> bool:
    """Return whether a number of seconds is a real deadline."""
    return math.isfinite(seconds) and seconds > 0
