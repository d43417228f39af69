"""``hj.doctor()``: how the client and its session are, and what to do. Shows no secret, changes nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from hellojohn._account import Account
from hellojohn._errors import ApiError, HelloJohnError
from hellojohn._record import Record
from hellojohn._timing import as_moment
from hellojohn._wire import Answer, ApiRequest, TransportFailure

_DEADLINE = 10.0
_CLOCK_GRAIN = 1.5
_CLOCK_SLACK = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What ``doctor`` found. ``str()`` of it is a report to read or to send in.

    Attributes:
        account: Which session in the store.
        store: Facts about the store: its kind, where it is, its lock, its permissions.
        session: Facts about the session, and about its last refresh; empty when nobody is signed in.
        service: Whether the service answers, as a sentence.
        clock_offset: Seconds by which this machine's clock is ahead of the service's, which tells whole
            seconds; ``None`` when unknown.
        advice: What to do, one sentence each; empty when all is well.
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
        lines += [f"advice         {sentence}" for sentence in self.advice or ("none: all is well.",)]
        return "\n".join(lines)


def diagnose(account: Account) -> Diagnosis:
    """Look at the store, the session and the service. It blocks: run it on an owner thread."""
    record, trouble = _stored(account)
    store = dict(account.services.vault.describe())
    answer = account.services.send(ApiRequest("GET", "/auth/me"), _DEADLINE)
    offset = _clock_offset(answer, account.clock)
    silence = _silence(account, answer)
    advice = [*trouble, store.pop("advice", ""), *_advice_on(record, account)]
    advice += _advice_on_service(answer, silence, offset)
    return Diagnosis(
        account=account.name,
        store=store,
        session={} if record is None else _facts(record, account),
        service=account.services.api_url + (f": {silence}" if silence else " answers"),
        clock_offset=offset,
        advice=tuple(dict.fromkeys(filter(None, advice))),
    )


def _stored(account: Account) -> tuple[Record | None, list[str]]:
    try:
        record = account.services.vault.read(account.key)
    except HelloJohnError as error:
        return None, [str(error)]
    if record is None:
        return None, [account.services.nobody(account.name)]
    return record, []


def _silence(account: Account, answer: Answer) -> str:
    """Return why the answer is not the service's own; a call without a token is refused, and rightly so."""
    if isinstance(answer, TransportFailure):
        return f"no answer ({answer.detail})"
    try:
        account.services.dialect.read_user(answer)
    except HelloJohnError as error:
        understood = isinstance(error, ApiError) and error.code is not None
        return "" if understood else str(error)
    return ""


def _clock_offset(answer: Answer, clock: Callable[[], float]) -> float | None:
    if isinstance(answer, TransportFailure):
        return None
    try:
        told = parsedate_to_datetime(answer.headers["date"])
        return clock() - told.replace(tzinfo=told.tzinfo or UTC).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _facts(record: Record, account: Account) -> dict[str, str]:
    now = account.clock()
    lives = f"lives until {_moment(as_moment(record.refreshed_at + record.ttl))}"
    return {
        "session": f"{record.session_id or 'without an id'}, generation {record.generation}",
        "session ends": "unknown" if record.over_at is None else _moment(as_moment(record.over_at)),
        "last refresh": _last_refresh(record, account, now),
        "access token": "spent: the next use asks for another" if record.is_spent else lives,
    }


def _last_refresh(record: Record, account: Account, now: float) -> str:
    when = _ago(now - record.refreshed_at)
    last = f"none since the sign-in {when}" if record.generation == 1 else f"{when}: succeeded"
    if record.is_spent:
        return f"{last}; the stored record was damaged since, and replaced"
    if record.intent_at is not None:
        return f"{last}; one begun {_ago(now - record.intent_at)} has no known outcome"
    if account.last_error is not None:
        return f"{last}; one since then failed ({type(account.last_error).__name__})"
    return last


def _advice_on(record: Record | None, account: Account) -> list[str]:
    """Return what to do about the session."""
    if record is None:
        return []
    services, now = account.services, account.clock()
    idle, until = services.idle_timeout, record.retry_at or now
    rules = (
        (
            record.over_at is not None and record.over_at <= now,
            "The session is over: sign in again.",
        ),
        (
            record.intent_at is not None and not record.is_spent,
            "A refresh was cut off: the next one tells whether the session has survived.",
        ),
        (
            account in services.unsaved,
            "The session is in memory only, as the store failed: mend the store before the process ends.",
        ),
        (
            until > now,
            f"The service wants no refresh until {_moment(as_moment(until))}: do processes share the store?",
        ),
        (
            idle is not None and record.ttl > idle and not services.background_refresh,
            "The access token outlives the idle timeout: switch background_refresh on.",
        ),
    )
    return [sentence for applies, sentence in rules if applies]


def _advice_on_service(answer: Answer, silence: str, offset: float | None) -> list[str]:
    rules = (
        (
            isinstance(answer, TransportFailure),
            "The service cannot be reached: check api_url, the proxy settings and the network.",
        ),
        (
            bool(silence) and not isinstance(answer, TransportFailure),
            "Something else than HelloJohn answers, or it is out of order: check api_url and the proxies.",
        ),
        (
            offset is not None and abs(offset) > _CLOCK_SLACK,
            "This machine's clock is wrong: set it, or the ends of sessions show wrongly.",
        ),
    )
    return [sentence for applies, sentence in rules if applies]


def _clock_in_words(offset: float | None) -> str:
    if offset is None:
        return "unknown"
    if abs(offset) <= _CLOCK_GRAIN:
        return "agrees with the service's"
    return f"{abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} the service's"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _ago(seconds: float) -> str:
    side = "ago" if seconds >= 0 else "ahead of this machine's clock"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= size:
            return f"{abs(seconds) / size:.1f} {unit} {side}"
    return f"{abs(seconds):.0f} s {side}"
