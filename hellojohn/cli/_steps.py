"""The demo's steps: each does one thing that an app does, and checks the claims that it prints.

``STEPS`` at the end is the order. A step that fails raises: a claim that does not hold, or any other error.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue
from threading import Barrier
from typing import Final

import httpx

from hellojohn import (
    AuthEvent,
    AuthEventType,
    ExpiryReason,
    HelloJohn,
    HelloJohnError,
    ServiceUnavailable,
    Session,
    SessionExpired,
)
from hellojohn.cli._narrator import ClaimFailedError, Narrator
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator

_CALLERS: Final = 50
_PATIENCE: Final = 30.0
_A_MONTH: Final = timedelta(days=30)
_HALF_A_DAY: Final = timedelta(hours=12)
_BRIEFLY: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class Stage:
    """The objects that the steps share.

    Attributes:
        tell: Prints the text of a step.
        emulator: The service, and an API that takes its tokens.
        folder: Where the session is kept.
        hj: The client.
        api: The app's own httpx client, with the client's auth.
        statuses: The status codes of the API's answers.
        events: The events that the app has received.
    """

    tell: Narrator
    emulator: Emulator
    folder: Path
    hj: HelloJohn
    api: httpx.Client
    statuses: list[int]
    events: SimpleQueue[AuthEvent]

    def session(self) -> Session:
        """Return the session.

        Raises:
            ClaimFailedError: There is none.
        """
        session = self.hj.auth.session()
        if session is None:
            raise ClaimFailedError("There is a session.")
        return session

    def refused(self) -> HelloJohnError | None:
        """Call the API; return the error, or ``None`` if there is an answer."""
        try:
            self.api.get("/resource")
        except HelloJohnError as error:
            return error
        return None

    def hear(self, kind: AuthEventType) -> Session:
        """Return the session of the next event of a kind.

        Raises:
            queue.Empty: It does not come.
        """
        while True:
            event = self.events.get(timeout=_PATIENCE)
            if event.type is kind and event.session is not None:
                return event.session


def _sign_in(stage: Stage) -> None:
    stage.tell.code("session = hj.auth.sign_in(email, password, remember_me=True)")
    session = stage.hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=True)
    granted = (session.expires_at or session.created_at) - session.created_at
    stage.tell.fact("asked for", session.duration and f"{session.duration.days} days")
    stage.tell.fact("it ends", session.expires_at and f"on {session.expires_at:%d %B %Y at %H:%M} UTC")
    stage.tell.claim(
        "The service granted what was asked for, and the client knows when it ends.",
        holds=session.duration == _A_MONTH and abs(granted - _A_MONTH) < _BRIEFLY,
    )


def _call(stage: Stage) -> None:
    stage.tell.code(f'api = hj.wrap(httpx.Client(base_url="{stage.emulator.url}"))')
    stage.tell.code('api.get("/resource")')
    answer = stage.api.get("/resource")
    named = answer.json().get("session_id")
    stage.tell.fact("answer", f"{answer.status_code}, to session {named}")
    stage.tell.claim(
        "The access token went along by itself.",
        holds=answer.is_success and named == stage.session().id,
    )


def _refresh_ahead(stage: Stage) -> None:
    stage.tell.prose("57 minutes later the token has 3 left. The service holds refreshes back.")
    stage.tell.code('api.get("/resource")')
    rotations, before = stage.emulator.rotations, stage.session()
    stage.emulator.advance("57m")
    began = time.perf_counter()
    with stage.emulator.hold("token/refresh") as hold:
        answer = stage.api.get("/resource")
        took = time.perf_counter() - began
        hold.wait_arrived()
        unfinished = stage.emulator.rotations == rotations
    released = time.perf_counter()
    after = stage.hear(AuthEventType.TOKEN_REFRESHED)
    stage.tell.fact("the call", f"{answer.status_code} after {_ms(took)}, with the refresh still under way")
    stage.tell.fact("the refresh", f"done {_ms(time.perf_counter() - released)} after the service let it go")
    stage.tell.fact("the token", f"good until {_time(before)} before, until {_time(after)} now")
    stage.tell.claim(
        "Nobody waited for the refresh.",
        holds=answer.is_success and unfinished and stage.emulator.rotations == rotations + 1,
    )


def _heal(stage: Stage) -> None:
    stage.tell.prose("The API refuses every token issued so far, though none has expired.")
    stage.tell.code('api.post("/resource", json={"text": "to be sent twice"})')
    rotations, seen = stage.emulator.rotations, len(stage.statuses)
    stage.emulator.reject_access_tokens()
    answer = stage.api.post("/resource", json={"text": "to be sent twice"})
    on_the_wire = stage.statuses[seen:]
    stage.tell.fact("on the wire", ", then ".join(str(status) for status in on_the_wire))
    stage.tell.fact("the caller", f"sees {answer.status_code}")
    stage.tell.claim(
        "One refresh, one replay, the whole body again.",
        holds=on_the_wire == [401, 200]
        and stage.emulator.rotations == rotations + 1
        and answer.json()["body_length"] == len(answer.request.content),
    )


def _crowd(stage: Stage) -> None:
    stage.tell.prose(f"Two hours later the token is dead, and {_CALLERS} threads call at once.")
    stage.tell.code('api.get("/resource")')
    rotations = stage.emulator.rotations
    stage.emulator.advance("2h")
    together = Barrier(_CALLERS)

    def call(_: int) -> int:
        together.wait(_PATIENCE)
        return stage.api.get("/resource").status_code

    with ThreadPoolExecutor(_CALLERS) as threads:
        statuses = Counter(threads.map(call, range(_CALLERS)))
    refreshes = stage.emulator.rotations - rotations
    stage.tell.fact("answers", ", ".join(f"{count} times {status}" for status, count in statuses.items()))
    stage.tell.fact("refreshes", refreshes)
    stage.tell.claim(
        "Exactly one refresh, and no refresh token was presented twice.",
        holds=statuses == {200: _CALLERS} and refreshes == 1 and stage.emulator.reuses == 0,
    )


def _outage(stage: Stage) -> None:
    stage.tell.prose("Two hours later the token is dead again, and so is the service.")
    stage.tell.code('api.get("/resource")')
    before = stage.session()
    stage.emulator.advance("2h")
    stage.emulator.stop()
    began = time.perf_counter()
    error = stage.refused()
    stage.tell.fact("raised", f"{type(error).__name__}, after {time.perf_counter() - began:.1f} s of trying")
    stage.tell.claim(
        "Nobody was signed out.",
        holds=isinstance(error, ServiceUnavailable) and stage.session().id == before.id,
    )
    stage.emulator.start()
    stage.emulator.advance("10s")  # after a failed refresh, no other is tried for some seconds
    answer = stage.api.get("/resource")
    stage.tell.prose("Ten seconds later the service is back.")
    stage.tell.fact("answer", answer.status_code)
    stage.tell.claim(
        "The same session goes on.",
        holds=answer.is_success and answer.json().get("session_id") == before.id,
    )


def _restart(stage: Stage) -> None:
    stage.tell.prose("The session is in a file. Another process gets the folder and nothing else.")
    stage.tell.code("hj = HelloJohn(store=FileStore(folder))")
    answer = _answer_to_another_process(stage)
    stage.tell.fact("answer", answer)
    stage.tell.claim(
        "It is signed in, and asked for no password.",
        holds=answer == f"200, to session {stage.session().id}",
    )


def _last_day(stage: Stage) -> None:
    left = stage.session().time_left() or timedelta()
    stage.tell.prose(f"{(left - _HALF_A_DAY).days} days later, half a day before the end, the user is back.")
    stage.tell.code("hj.on(tell_the_user)")
    stage.emulator.advance(left - _HALF_A_DAY)
    answer = stage.api.get("/resource")
    session = stage.hear(AuthEventType.SESSION_EXPIRING)
    left = session.time_left() or timedelta()
    stage.tell.fact("answer", answer.status_code)
    stage.tell.fact("the event", f"SESSION_EXPIRING: {round(left / timedelta(hours=1))} hours left")
    stage.tell.claim(
        "The app can say so in time.",
        holds=answer.is_success and timedelta() < left <= _HALF_A_DAY,
    )


def _end(stage: Stage) -> None:
    stage.tell.prose("A day later the month is over.")
    for line in _REDIRECT.splitlines():
        stage.tell.code(line)
    stage.emulator.advance("1d")
    over = stage.refused()
    reason = over.reason if isinstance(over, SessionExpired) else None
    stage.tell.fact("raised", f"{type(over).__name__}, {reason}")
    stage.tell.fact("redirect", f"/sign-in?reason={reason}")
    stage.tell.claim(
        "The service's word ended it, and the app knows why.",
        holds=reason is ExpiryReason.EXPIRED and stage.hj.auth.session() is None,
    )


_REDIRECT = """\
try:
    api.get("/resource")
except SessionExpired as over:
    return redirect(f"/sign-in?reason={over.reason}")"""


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _time(session: Session) -> str:
    return f"{session.access_token_expires_at:%H:%M:%S}"


def _answer_to_another_process(stage: Stage) -> str:
    ahead = stage.emulator.clock() - time.time()
    arguments = (str(stage.folder), stage.emulator.url, str(ahead))
    run = subprocess.run(  # noqa: S603 - this interpreter, and a module of this package
        [sys.executable, "-P", "-m", "hellojohn.cli._restarted", *arguments],
        env=os.environ | _variables(stage.emulator),
        capture_output=True,
        check=False,
        text=True,
        timeout=_PATIENCE,
    )
    return (run.stdout or run.stderr).strip().rpartition("\n")[2]


def _variables(emulator: Emulator) -> dict[str, str]:
    """Return the settings as an app gets them, and keep proxies out of it."""
    return {
        "HELLOJOHN_API_URL": emulator.url,
        "HELLOJOHN_TENANT_ID": emulator.tenant_id,
        "HELLOJOHN_PUBLISHABLE_KEY": emulator.publishable_key,
        "NO_PROXY": "*",
        "no_proxy": "*",
    }


STEPS: Final[tuple[tuple[str, Callable[[Stage], None]], ...]] = (
    ("Sign in with remember-me", _sign_in),
    ("Call an API through a wrapped httpx client", _call),
    ("A refresh that nobody waits for", _refresh_ahead),
    ("A 401, healed", _heal),
    (f"{_CALLERS} callers, one refresh", _crowd),
    ("An outage signs nobody out", _outage),
    ("A restart signs nobody out", _restart),
    ("The last day", _last_day),
    ("The end, and the way to sign-in", _end),
)
