BUGS = {}


<<<<<<< HEAD
def plant(name):
    pass
=======
from hellojohn import _account, _refresh, _retry, _sign, _vault
from hellojohn._account import Account
from hellojohn._errors import ExpiryReason, StoreCorrupt
from hellojohn._flight import Flight, Landing
from hellojohn._session.freshness import Freshness, Schedule
from hellojohn._session.record import SessionRecord, SetAside
from hellojohn._refresh import Refresher, Result
from hellojohn._vault import Held, Vault
from hellojohn._view import View
from hellojohn._wire import Answer, ApiResponse, Outcome, OutcomeKind
from hellojohn._wire.v1 import V1

BUGS: dict[str, "Bug"] = {}


class Bug(NamedTuple):
    """A bug, and how the simulation tells that it saw this one.

    Attributes:
        plant: Plants it, for as long as this process lives.
        violation: How the violation begins, as a pattern: an invariant's number, or words.
    """

    plant: Callable[[], None]
    violation: str


def plant(name: str | None) -> None:
    """Plant the bug of that name, if one is named."""
    if name is not None:
        BUGS[name].plant()


def _breaks(violation: str) -> Callable[[Callable[[], None]], None]:
    def add(plant: Callable[[], None]) -> None:
        BUGS[plant.__name__.strip("_").replace("_", "-")] = Bug(plant, violation)

    return add


# ---------------------------------------------------------------------- invariant 1


@_breaks("[136]:")
def _no_lock() -> None:
    """Refresh without the store's lock."""

    @contextmanager
    def locked(self: Vault, key: str, _patience: float = 0.0) -> Generator[Held]:
        yield Held(self, key)

    Vault.locked = locked


@_breaks("[13]:")
def _no_second_look() -> None:
    """Refresh what is in memory, without a look at the store under the lock."""

    def refresh(self: Refresher, held: Held, known: Record, *, wanted: Callable[[], bool]) -> Result:
        return self._ask(held, known, wanted)

    Refresher.refresh = refresh


@_breaks("1:|[a-z_]+ raised")
def _no_adoption() -> None:
    """Refresh although another process has just done so."""
    refresh = Refresher.refresh

    def again(self: Refresher, held: Held, known: Record, *, wanted: Callable[[], bool]) -> Result:
        record = held.load()
        return (
            refresh(self, held, known, wanted=wanted) if record is None else self._ask(held, record, wanted)
        )

    Refresher.refresh = again


@_breaks("1:")
def _unsaved_is_dropped() -> None:
    """Let go of an account whose session is nowhere but in its memory."""
    show = Account.show

    def dropping(self: Account, *arguments: Any, **options: Any) -> bool:
        shown = show(self, *arguments, **options)
        self.context.unsaved.clear()
        return shown

    Account.show = dropping


@_breaks("[13]:")
def _unsaved_always_wins() -> None:
    """Save what the store would not take before, whatever it holds by now."""

    def copy_to_save(held: Held, unsaved: Record) -> Record:
        held.load()
        return unsaved

    _account.copy_to_save = copy_to_save


# ---------------------------------------------------------------------- invariant 2


@_breaks("2:")
def _no_save() -> None:
    """Use the new token, and do not store it."""
    Refresher._save = lambda _self, _held, _record, new, *_: Result(new, rotated=True)


@_breaks("2:")
def _save_after_use() -> None:
    """Store the new token after others can use it."""
    locked, save = Vault.locked, Vault.save

    @contextmanager
    def late(self: Vault, key: str) -> Generator[Held]:
        with locked(self, key) as held:
            pending: list[Record] = []
            held.save = pending.append
            yield held
            for record in pending:
                save(self, key, record)

    Vault.locked = late


# ---------------------------------------------------------------------- invariant 3


@_breaks("3:")
def _save_without_compare() -> None:
    """Take for granted that nobody has signed out while the service was asked."""
    _refresh.to_save = lambda _held, record, *_: record


@_breaks("3:")
def _no_epochs() -> None:
    """Let what was begun before a sign-out show its session after it."""
    stopped = property(lambda _self: 0, lambda _self, _epoch: None)
    Account.epoch = stopped  # type: ignore[assignment] - a property in a slot's place: it never grows


@_breaks("3: .* comes back as good")
def _junk_hides_nothing() -> None:
    """Take junk in the store for no reason to ask whether the session was signed out."""
    Record.spent = lambda self: self


@_breaks("[13]:")
def _sign_out_keeps_the_record() -> None:
    """Sign out at the service and in memory only."""
    Vault.delete = lambda _self, _key: None


def _ends(when: Callable[[Answer, Outcome], bool], reason: ExpiryReason) -> None:
    outcome = V1.outcome

    def ending(self: V1, answer: Answer) -> Outcome:
        found = outcome(self, answer)
        return Outcome(OutcomeKind.SESSION_ENDED, reason=reason) if when(answer, found) else found

    V1.outcome = ending


@_breaks("3:")
def _a_503_ends_the_session() -> None:
    """Take a service that is away for the end of the session."""
    _ends(lambda answer, _: isinstance(answer, ApiResponse) and answer.status == 503, ExpiryReason.EXPIRED)


@_breaks("3:")
def _a_proxy_ends_the_session() -> None:
    """Take a proxy's 401 for the service's."""
    _ends(lambda _, found: found.kind is OutcomeKind.FOREIGN_RESPONSE, ExpiryReason.REVOKED)


@_breaks("3:")
def _a_lost_answer_ends_the_session() -> None:
    """Give a session up because an answer was lost."""
    _ends(lambda _, found: found.kind is OutcomeKind.UNKNOWN, ExpiryReason.REFRESH_OUTCOME_UNKNOWN)


@_breaks("3:")
def _a_dead_token_ends_the_session() -> None:
    """End the session with its access token."""
    state = Schedule.state

    def ending(self: Schedule, now: float) -> Freshness:
        return Freshness.OVER if now >= self.dead_at else state(self, now)

    Schedule.state = ending


@_breaks("3:")
def _no_intent() -> None:
    """Begin a refresh without a note of it, and lie about its end after a crash."""
    save = Vault.save
    Vault.save = lambda self, key, record: save(self, key, record.changed(refresh_started_at=None))


@_breaks("3:")
def _no_doubt() -> None:
    """Forget that an earlier attempt may have been carried out."""
    _retry.Attempts._observe = lambda _self, outcome: outcome


@_breaks("3:")
def _sign_out_fails_silently() -> None:
    """Say that a sign-out is done though the store kept the session."""
    forget = _sign._forget
    _sign._forget = lambda *arguments: (forget(*arguments)[0], None)


# ---------------------------------------------------------------------- invariant 6


@_breaks("6:")
def _junk_is_dropped() -> None:
    """Delete what is corrupt."""

    def quarantine(self: Vault, key: str, problem: StoreCorrupt) -> SetAside:
        self.delete(key)
        return SetAside(str(problem))

    Vault.quarantine = quarantine


@_breaks("6:")
def _junk_is_overwritten() -> None:
    """Say that it was set aside, and leave it for the next save to replace."""
    Vault.quarantine = lambda _self, _key, problem: SetAside(str(problem))


# ---------------------------------------------------------------------- invariant 7, and liveness


@_breaks("liveness:")
def _a_failure_never_lands() -> None:
    """Forget those who wait when an operation fails."""
    land = Flight.land

    def landing(self: Flight, result: Landing) -> None:
        if result.error is None:
            land(self, result)

    Flight.land = landing


@_breaks("7:")
def _the_lock_is_kept() -> None:
    """Leave the lock behind."""
    _vault._release = lambda _lock: None


@_breaks("1:|[a-z_]+ raised|use: a token")
def _the_caller_carries_it_out() -> None:
    """Refresh inside the caller, so that its end is the refresh's."""

    def start(self: Flight, *, blocking: bool) -> None:
        self._under_way[self] = None
        self._begin()

    Flight.start = start


@_breaks("7:")
def _a_timer_goes_on() -> None:
    """Refresh from a timer, whoever wants it."""
    settle = Account._settle

    def settling(self: Account, *arguments: Any) -> Landing:
        self.context.owner.run(lambda: _tick(self))
        return settle(self, *arguments)

    Account._settle = settling


def _tick(account: Account) -> None:
    while not account.context.closed:
        account.context.refresher.timing.sleep(60.0)


@_breaks("use: a refused")
def _a_refused_token_is_handed_out() -> None:
    """Hand out the token that was refused."""
    View.is_of_same_token = lambda _self, _other: False


@_breaks("[a-z_]+ raised")
def _a_stores_own_error_comes_out() -> None:
    """Let out whatever a store raises."""
    _vault._guard = lambda _method, call: call()
>>>>>>> core
