"""``hj.doctor()``: how the client and its session are, and what to do. Shows no secret, changes nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from hellojohn._account import Account
from hellojohn._errors import HelloJohnError
from hellojohn._record import Record
from hellojohn.wire import Call, Lost, Reply

_DEADLINE = 10.0
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
        clock = "unknown" if self.clock_offset is None else f"{self.clock_offset:+.0f} s against the service"
        facts = {
            "account": self.account,
            **self.store,
            **self.session,
            "service": self.service,
            "clock": clock,
        }
        lines = [f"{name:14} {fact}" for name, fact in facts.items()]
        lines += [f"advice         {sentence}" for sentence in self.advice or ("none: all is well.",)]
        return "\n".join(lines)


def diagnose(account: Account) -> Diagnosis:
    """Look at the store, the session and the service. It blocks: run it on an owner thread."""
    advice: list[str] = []
    record = _stored(account, advice)
    answer = account.services.send(Call("GET", "/auth/me"), _DEADLINE)
    offset = _clock_offset(answer, account.clock) if isinstance(answer, Reply) else None
    if isinstance(answer, Lost):
        advice.append("The service does not answer: check api_url, the proxy settings and the network.")
    if offset is not None and abs(offset) > _CLOCK_SLACK:
        advice.append("This machine's clock is wrong: set it, or session ends will be shown wrongly.")
    if record is not None:
        advice += _advice_on(record, account)
    store = account.services.vault.describe()
    return Diagnosis(
        account=account.name,
        store={name: fact for name, fact in store.items() if name != "advice"},
        session={} if record is None else _facts(record, account),
        service="answers" if isinstance(answer, Reply) else answer.detail,
        clock_offset=offset,
        advice=(*advice, *filter(None, [store.get("advice")])),
    )


def _stored(account: Account, advice: list[str]) -> Record | None:
    try:
        record = account.services.vault.read(account.key)
    except HelloJohnError as error:
        advice.append(str(error))
        return None
    if record is None:
        advice.append(f"Nobody is signed in as {account.name!r}: call sign_in.")
    return record


def _clock_offset(answer: Reply, clock: Callable[[], float]) -> float | None:
    try:
        return clock() - parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None


def _facts(record: Record, account: Account) -> dict[str, str]:
    now = account.clock()
    session = account.public(record)
    return {
        "session": f"{record.session_id or 'without an id'}, generation {record.generation}",
        "session ends": "unknown" if session.expires_at is None else _moment(session.expires_at),
        "last refresh": f"{_ago(now - record.refreshed_at)}: {_outcome(record, account, now)}",
        "access token": f"lives until {_moment(session.access_token_expires_at)}",
    }


def _outcome(record: Record, account: Account, now: float) -> str:
    if record.intent_at is not None:
        return f"succeeded; one begun {_ago(now - record.intent_at)} has no known outcome"
    if account.last_error is not None:
        return f"succeeded; one since then failed ({type(account.last_error).__name__})"
    return "succeeded"


def _advice_on(record: Record, account: Account) -> list[str]:
    advice: list[str] = []
    idle = account.services.idle_timeout
    if record.intent_at is not None:
        advice.append("A refresh was cut off: the next one tells whether the session has survived.")
    if record.retry_at is not None and record.retry_at > account.clock():
        advice.append(
            "The service asked for a pause between refreshes: too many processes without a shared store?"
        )
    if idle is not None and record.ttl > idle and not account.services.background_refresh:
        advice.append("The access token outlives the idle timeout: switch background_refresh on.")
    return advice


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= size:
            return f"{seconds / size:.1f} {unit} ago"
    return f"{seconds:.0f} s ago"
