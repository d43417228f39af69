"""The store that all processes share, and its locks: each call is a scheduling point, and may fail."""

from collections.abc import Callable
from typing import NoReturn

from hellojohn._errors import StoreLocked, StoreUnavailable
from tests.simulation.facts import Facts
from tests.simulation.plan import Chance, Mood, Plan
from tests.simulation.scheduler import Scheduler, Task

NEWER = '{"v": 99}'
"""What a newer version of the SDK may have stored: the user may sign in over it, and out of it."""

_OFTEN, _STALE, _SLOW = 0.9, 0.3, 0.8


class Hold:
    """A lock while somebody has it."""

    def __init__(self, task: Task, ends_at: float | None) -> None:
        self.task = task
        self.ends_at = ends_at
        self.dead = False


class _Lock:
    """Nothing gives it back but its ``__exit__``: a generator would, when nobody knows it any more."""

    def __init__(self, acquire: Callable[[], Hold], release: Callable[[Hold], None]) -> None:
        self._acquire = acquire
        self._release = release
        self._hold: Hold | None = None

    def __enter__(self) -> None:
        """Take it."""
        self._hold = self._acquire()

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        assert self._hold is not None
        self._release(self._hold)


class VirtualStore:
    """A ``TokenStore`` in virtual time.

    Attributes:
        lease: Seconds a lock lasts at most; ``None`` if it dies with its holder's process.
        texts: What is kept, by key.
        faults: How likely a call fails while all is well.
        mood: What fails most of the time: nothing, or what ``Mood`` names.
        reason_to_remove: Tells why the present task may remove the record of a key, if it may.
    """

    quarantine: Callable[[str], str | None] | None

    def __init__(self, scheduler: Scheduler, chance: Chance, facts: Facts, plan: Plan) -> None:
        self._scheduler = scheduler
        self._chance = chance
        self._facts = facts
        self._keeps_aside = plan.keeps_aside
        self._junk: list[str] = []
        self._seen: set[tuple[Task | None, str]] = set()
        self._holds: dict[str, Hold] = {}
        self._waiting: dict[str, list[Callable[[], None]]] = {}
        self.lease = plan.lease
        self.texts: dict[str, str] = {}
        self.faults = plan.store
        self.mood = plan.mood
        self.reason_to_remove: Callable[[str], str | None] = lambda _: None
        self.quarantine = self._quarantine if plan.keeps_aside else None

    # ------------------------------------------------------------------ what an engine calls

    def load(self, key: str) -> str | None:
        """Return the text under ``key``."""
        self._reach("load", key)
        text = self.texts.get(key)
        if text is not None and text != NEWER and key not in self._facts.records:
            self._see(key, text)
        task = self._scheduler.current
        slow = _SLOW if task is None or task.inside != key else _STALE
        while self._chance.happens(slow):
            self._scheduler.pause(stoppable=True)
        return text

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Put ``text`` under ``key``."""
        late = self._reach("save", key, writes=True)
        self.texts[key] = text
        if not self._is_aside(key):
            self._facts.stored(key, text)
        self._check_junk()
        self._fail_late(key, late=late)

    def delete(self, key: str) -> None:
        """Remove what is under ``key``."""
        late = self._reach("delete", key, writes=True)
        self._remove(key, late=late)
        self._check_junk()
        self._fail_late(key, late=late)

    def lock(self, key: str, timeout: float) -> "_Lock":
        """Lock ``key``."""
        return _Lock(lambda: self._acquire(key, timeout), lambda hold: self._release(key, hold))

    # ------------------------------------------------------------------ what the world does to it

    @property
    def holds(self) -> dict[str, Hold]:
        """Who has which lock now; what a dead process left behind is there as well."""
        return self._holds

    def bury(self, home: object) -> None:
        """A process is dead: its locks go at once, or when their leases end."""
        for key, hold in tuple(self._holds.items()):
            if hold.task.home is home:
                hold.dead = True
                if hold.ends_at is None:
                    self._free(key)

    def expire(self, *, losable: bool) -> None:
        """Free the locks whose leases are over; a living holder loses its own where that can happen."""
        for key, hold in tuple(self._holds.items()):
            if hold.ends_at is not None and hold.ends_at <= self._scheduler.now and (hold.dead or losable):
                self.lose(key)

    def lose(self, key: str) -> None:
        """Take a lock from its holder."""
        hold = self._holds[key]
        self._scheduler.note("loses the lock", hold.task)
        if not hold.dead:
            self._facts.lost_lock(key, hold.task)
        self._free(key)

    def corrupt(self, key: str, junk: str) -> None:
        """Replace what is under ``key`` by junk; under somebody's lock, it counts when it has been seen."""
        self._facts.left(key, "anybody")
        self._forgive(key)
        self.texts[key] = junk
        if key not in self._holds and junk != NEWER:
            self._junk.append(junk)

    # ------------------------------------------------------------------ one call

    def _reach(self, what: str, key: str, *, writes: bool = False) -> bool:
        """Take turns, and fail before anything has happened; return whether to fail when it has."""
        self._scheduler.pause(stoppable=True)
        self._scheduler.note(what, key)
        if writes:
            self._check_fence(key)
        fails = self._chance.happens(_OFTEN if self._is_down(what) else self.faults)
        late = fails and writes and self._chance.happens(0.3)
        if fails and not late:
            self._fail(key)
        return late

    def _is_down(self, what: str) -> bool:
        full = self.mood is Mood.FULL or (self.mood is Mood.LATE and self._facts.has_answer())
        return self.mood is Mood.DOWN or (full and what == "save")

    def _fail(self, key: str) -> NoReturn:
        self._facts.failed(key)
        self._scheduler.note("fails")
        if self._chance.happens(0.2):
            raise RuntimeError("a store of somebody's may raise anything")
        raise StoreUnavailable("The disk is full.")

    def _fail_late(self, key: str, *, late: bool) -> None:
        if late:
            self._fail(key)

    def _check_fence(self, key: str) -> None:
        task = self._scheduler.current
        mine = task is not None and task.inside == key
        hold = self._holds.get(key)
        if mine and self.lease is not None and (hold is None or hold.task is not task):
            self._facts.failed(key)
            raise StoreLocked("The lock was lost.")

    def _remove(self, key: str, *, late: bool) -> None:
        task, hold = self._scheduler.current, self._holds.get(key)
        home = None if task is None else task.home
        if key in self._facts.records:
            reason = self.reason_to_remove(key)
            if reason is None:
                self._facts.wrong(f"3: {home} removes a session that nobody has ended")
            if hold is not None and hold.task is not task:
                self._facts.pair_of(self._facts.records[key]).session.torn = True
            self._facts.left(key, "anybody" if late else home, signed_out=reason == "signed out")
        elif (hold is None or hold.task is not task) and (task, self.texts.get(key)) not in self._seen:
            self._forgive(key)
        self.texts.pop(key, None)

    def _quarantine(self, key: str) -> str | None:
        late = self._reach("set aside", key, writes=True)
        if key in self._facts.records:
            self._facts.wrong("6: a good record is set aside")
        text = self.texts.pop(key, None)
        where = f"{key}.corrupt-{len(self.texts)}-{self._scheduler.turns}"
        if text is not None:
            self.texts[where] = text
        self._check_junk()
        self._fail_late(key, late=late)
        return None if text is None else where

    def _see(self, key: str, junk: str) -> None:
        """Somebody has seen what is there: now it counts for them, and if they have the lock, for all."""
        task, hold = self._scheduler.current, self._holds.get(key)
        self._seen.add((task, junk))
        if hold is not None and hold.task is task and not self._is_aside(key):
            self._junk.append(junk)
            self._facts.blinded()

    def _forgive(self, key: str) -> None:
        """Who goes without the lock cannot know what is there a moment later."""
        self._junk = [text for text in self._junk if text != self.texts.get(key)]

    def _check_junk(self) -> None:
        if self._junk:
            kept = set(self.texts.values())
            if not kept.issuperset(self._junk):
                self._junk.clear()
                self._facts.wrong("6: what was corrupt is gone without a trace")

    def _is_aside(self, key: str) -> bool:
        return ".corrupt" in key

    # ------------------------------------------------------------------ locks

    def _acquire(self, key: str, timeout: float) -> Hold:
        scheduler = self._scheduler
        scheduler.pause(stoppable=True)
        ends_at = scheduler.now + timeout
        stuck = self.mood in (Mood.DOWN, Mood.STUCK)
        if self._chance.happens(_OFTEN if stuck else self.faults):
            scheduler.note("finds no lock")
            if key not in self._facts.records:  # whoever signs out cannot know what it was, and who has it
                self._facts.locked_out(key, scheduler.current)
            if self._chance.happens(0.7 if self.mood is Mood.STUCK else 0.5):
                raise StoreLocked("Somebody else has held it all the time.")
            self._fail(key)
        while key in self._holds:
            scheduler.note("waits for the lock", self._holds[key].task)
            self._waiting.setdefault(key, []).append(scheduler.waker())
            if not scheduler.park(ends_at, stoppable=True) and key in self._holds:
                self._facts.locked_out(key, self._holds[key].task)
                raise StoreLocked("Somebody else has held it all the time.")
        task = scheduler.current
        assert task is not None
        hold = self._holds[key] = Hold(task, None if self.lease is None else scheduler.now + self.lease)
        task.inside = key
        scheduler.note("locks", key)
        return hold

    def _release(self, key: str, hold: Hold) -> None:
        scheduler = self._scheduler
        scheduler.pause()
        hold.task.inside = None
        if self._holds.get(key) is hold:
            scheduler.note("unlocks", key)
            self._free(key)
        if self._chance.happens(self.faults):
            raise StoreUnavailable("The lock server went away.")

    def _free(self, key: str) -> None:
        del self._holds[key]
        for wake in self._waiting.pop(key, ()):
            wake()
