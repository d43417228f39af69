"""``hj.doctor()``: how the client and its session are, and what to do.

It shows no secret and changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from hellojohn._clock import Clock, as_moment
from hellojohn._config import Settings
from hellojohn._errors import HelloJohnError, StoreCorrupt
from hellojohn._limits import DOCTOR_DEADLINE, REFRESH_DEADLINE
from hellojohn._session.account import Account
from hellojohn._session.record import EndedRecord, SessionRecord
from hellojohn._session.refresh import cooldown_left
from hellojohn._wire import Answer, TransportFailure

__all__ = ["Diagnosis"]

_CLOCK_GRAIN = 1.5  # the service's clock is known to the second
_CLOCK_SLACK = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The findings of ``doctor``. ``str()`` of it is a report to read or to send in.

    Attributes:
        account: Which session in the store.
        store: Facts about the store: its kind, its place, its lock, its permissions.
        session: Facts about the session and its last refresh; empty when no user is signed in.
        service: Whether the service answers, as a sentence.
        clock_offset: Seconds by which this machine's clock is ahead of the service's, to the second; ``None``
            when unknown.
        advice: Sentences that say what to do; empty when nothing has to be done.
    """

    account: str
    store: Mapping[str, str] = field(default_factory=dict[str, str])
    session: Mapping[str, str] = field(default_factory=dict[str, str])
    service: str = ""
    clock_offset: float | None = None
    advice: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the report."""
        facts = {
            "account": self.account,
            **self.store,
            **self.session,
            "service": self.service,
            "clock": _clock_in_words(self.clock_offset),
        }
        lines = [f"{name:14} {fact}" for name, fact in facts.items()]
        lines += [f"advice         {sentence}" for sentence in self.advice or ("nothing to do",)]
        return "\n".join(lines)


def diagnose(account: Account, settings: Settings) -> Diagnosis:
    """Examine the store, the session and the service. It blocks: run it on a worker thread."""
    context, trouble = account.context, list(_missing_keys(settings))
    record: SessionRecord | None = None
    try:
        stored = context.storage.peek(account.key)
    except HelloJohnError as error:
        is_lost = isinstance(error, StoreCorrupt) and not error.readable_elsewhere
        trouble.append(f"{error} Sign in again." if is_lost else str(error))
    else:
        record = stored if isinstance(stored, SessionRecord) else None
        if record is None:
            trouble.append(_no_session(account, stored))
    store = dict(context.storage.describe())
    trouble.append(store.pop("advice", ""))
    answer, problem = _ask(account)
    offset = _clock_offset(answer, account.clock)
    facts = {} if record is None else _facts(record, account)
    advice = [*trouble, *_session_advice(record, account), *_service_advice(answer, problem, offset)]
    return Diagnosis(
        account=account.name,
        store=store,
        session=facts,
        service=f"{context.api_url}: {_in_words(answer, problem)}",
        clock_offset=offset,
        advice=tuple(dict.fromkeys(filter(None, advice))),
    )


def _missing_keys(settings: Settings) -> list[str]:
    if settings.api == "v1" and settings.publishable_key is None:
        return ["publishable_key (HELLOJOHN_PUBLISHABLE_KEY) is not set: sign-in needs it."]
    return []


def _no_session(account: Account, stored: EndedRecord | SessionRecord | None) -> str:
    if isinstance(stored, EndedRecord):
        return f"The last session has ended ({stored.reason}): sign in again."
    return account.context.not_signed_in(account.name)


def _ask(account: Account) -> tuple[Answer | None, str]:
    """Ask the service anything; return its answer, and the problem if it is not HelloJohn's own."""
    service = account.context.service
    try:
        answer = service.send(service.dialect.probe(), DOCTOR_DEADLINE)
    except HelloJohnError as error:  # of the settings for the connection
        return None, str(error)
    if isinstance(answer, TransportFailure):
        return answer, f"no answer ({answer.detail})"
    if service.dialect.is_own_answer(answer):
        return answer, ""
    return answer, f"something other than HelloJohn answers (status {answer.status})"


def _in_words(answer: Answer | None, problem: str) -> str:
    return "not asked, because a setting is wrong" if answer is None else problem or "answers"


def _clock_offset(answer: Answer | None, clock: Clock) -> float | None:
    if answer is None or isinstance(answer, TransportFailure):
        return None
    try:
        moment = parsedate_to_datetime(answer.headers["date"])
        return clock() - moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _facts(record: SessionRecord, account: Account) -> dict[str, str]:
    end = record.session_ends_at
    return {
        "session": f"{record.session_id or 'without an id'}, generation {record.generation}",
        "session ends": "unknown" if end is None else _moment(as_moment(end)),
        "last refresh": _last_refresh(record, account),
        "access token": f"expires {_moment(as_moment(record.token_expires_at))}",
    }


def _last_refresh(record: SessionRecord, account: Account) -> str:
    now = account.clock()
    when = _ago(now - record.refreshed_at)
    last = f"none since the sign-in {when}" if record.generation == 1 else f"{when}: succeeded"
    if record.refresh_started_at is not None:
        begun = _ago(now - record.refresh_started_at)
        if _may_be_running(record, now):
            return f"{last}; one begun {begun} may be under way"
        return f"{last}; the outcome of one begun {begun} is unknown"
    if account.last_error is not None:
        return f"{last}; a later one failed ({type(account.last_error).__name__})"
    return last


def _may_be_running(record: SessionRecord, now: float) -> bool:
    begun = record.refresh_started_at
    return begun is not None and 0 <= now - begun < REFRESH_DEADLINE


def _session_advice(record: SessionRecord | None, account: Account) -> list[str]:
    if record is None:
        return []
    context, now = account.context, account.clock()
    end, wait = record.session_ends_at, cooldown_left(record, now)
    advice: list[str] = []
    if end is not None and end <= now:
        advice.append("The session is over: sign in again.")
    if record.refresh_started_at is not None and not _may_be_running(record, now):
        advice.append("A refresh was cut off: the next one shows whether the session has survived.")
    if account in context.unsaved:
        advice.append("The session is in memory only, because the store failed: repair the store.")
    if wait is not None:
        advice.append(f"The last refresh failed. No other is tried for {wait:.0f} s.")
    outlives = context.idle_timeout is not None and record.ttl > context.idle_timeout
    if outlives and not context.background_refresh:
        advice.append("The access token outlives the idle timeout: switch background_refresh on.")
    return advice


def _service_advice(answer: Answer | None, problem: str, offset: float | None) -> list[str]:
    advice: list[str] = []
    if answer is None:
        advice.append(problem)
    elif isinstance(answer, TransportFailure):
        advice.append("The service cannot be reached: check api_url, the proxy settings and the network.")
    elif problem:
        advice.append(
            "Something other than HelloJohn answers: check api_url (HELLOJOHN_API_URL) and proxies."
        )
    if offset is not None and abs(offset) > _CLOCK_SLACK:
        advice.append("This machine's clock is wrong. Set it: the ends of sessions are shown wrongly.")
    return advice


def _clock_in_words(offset: float | None) -> str:
    if offset is None:
        return "unknown"
    if abs(offset) <= _CLOCK_GRAIN:
        return "agrees with the service's"
    return f"{abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} the service's"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _ago(seconds: float) -> str:
    suffix = "ago" if seconds >= 0 else "ahead of this machine's clock"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= size:
            return f"{abs(seconds) / size:.1f} {unit} {suffix}"
    return f"{abs(seconds):.0f} s {suffix}"
