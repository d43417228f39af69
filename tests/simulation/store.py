"""The store that all processes share, and its locks: each call is a scheduling point, and may fail."""

import math
from collections.abc import Callable
from typing import Any, NoReturn

from hellojohn._errors import StoreCorrupt, StoreLocked, StoreUnavailable
from tests.simulation.facts import ANYBODY, JUNK, Facts
from tests.simulation.plan import Chance, Mood, Plan
from tests.simulation.scheduler import Scheduler, Task

NEWER = '{"v": 99'
"""How what a later version of the SDK may have stored begins. The user can sign in over it, and out of it."""

SEALED = "sealed"
"""How what another key of an encrypted store could read begins."""

_OFTEN, _STALE, _SLOW = 0.9, 0.3, 0.8


def is_readable_elsewhere(text: str | None) -> bool:
    """Return whether a later version of the SDK, or another key, could read a text."""
    return text is not None and (text.startswith(SEALED) or (text.startswith(NEWER) and text.endswith("}")))


class Hold:
    """A lock while a task has it."""

    def __init__(self, task: Task, ends_at: float | None) -> None:
        self.task = task
        self.ends_at = ends_at
        self.dead = False


class _Lock:
    """Only ``__exit__`` gives it back: a generator would, as soon as no variable refers to it."""

    def __init__(self, store: "VirtualStore", key: str, timeout: float) -> None:
        self._store = store
        self._key = key
        self._timeout = timeout
        self.hold: Hold | None = None

    def __enter__(self) -> "_Value | None":
        """Take it."""
        self.hold = self._store.acquire(self._key, self._timeout)
        return _Value(self._store, self._key, self) if self._store.fused else None

    def __exit__(self, *_: object) -> None:
        """Give it back, unless a save has done so."""
        if self.hold is not None:
            self._store.release(self._key, self.hold)


class _Value:
    """The text under a locked key, in a store that saves round trips."""

    def __init__(self, store: "VirtualStore", key: str, lock: _Lock) -> None:
        self._store = store
        self._key = key
        self._lock = lock
        self._first: tuple[str | None] | None = (store.texts.get(key),)

    def load(self) -> str | None:
        """Return the text: first the one that came with the lock."""
        first, self._first = self._first, None
        if first is None:
            return self._store.load(self._key)
        self._store.seen(self._key, first[0])
        return self._store.opened(first[0])

    def save(self, text: str, *, expires_in: float | None = None, release: bool = False) -> None:
        """Save, and give the lock back in the same step if that is wanted."""
        if self._lock.hold is None:
            raise StoreLocked("The lock was released.")
        self._store.save(self._key, text, expires_in=expires_in)
        if release:
            hold, self._lock.hold = self._lock.hold, None
            self._store.let_go(self._key, hold)


class VirtualStore:
    """A ``TokenStore`` in virtual time.

    Attributes:
        lease: Seconds a lock lasts at most; ``None`` if it ends with its holder's process.
        fused: Whether a lock returns the locked value.
        texts: The texts, by key.
        faults: How likely a call fails while all is well.
        mood: What fails most of the time: nothing, or what ``Mood`` names.
        before_save: Notes what a process wants to save, whether or not the store takes it.
        on_save: Judges and notes a save of a key and text.
        on_remove: Judges and notes the removal of a key; the flag says whether the store reports a failure.
        quarantine: Moves a damaged text away; ``None`` in a store without such a method.
    """

    quarantine: Callable[[str], str | None] | None

    def __init__(self, scheduler: Scheduler, chance: Chance, facts: Facts, plan: Plan) -> None:
        self._scheduler = scheduler
        self._chance = chance
        self._facts = facts
        self._fine = plan.fine
        self._junk: list[str] = []
        self._seen: set[tuple[Task | None, str]] = set()
        self._read: dict[tuple[Task | None, str], str | None] = {}
        self._saved: dict[str, str] = {}
        self._holds: dict[str, Hold] = {}
        self._waiting: dict[str, list[Callable[[], None]]] = {}
        self.lease = plan.lease
        self.fused = plan.fused
        self.texts: dict[str, str] = {}
        self.faults = plan.store
        self.mood = plan.mood
        self.before_save: Callable[[str], None] = lambda _text: None
        self.on_save: Callable[[str, str], None] = lambda _key, _text: None
        self.on_remove: Callable[[str, bool], None] = lambda _key, _late: None
        self.quarantine = self._quarantine if plan.quarantines else None

    # ------------------------------------------------------------------ for the engine

    def load(self, key: str) -> str | None:
        """Return the text under ``key``."""
        self._reach("load", key)
        text = self.texts.get(key)
        self.seen(key, text)
        task = self._scheduler.current
        slow = _SLOW if task is None or task.inside != key else _STALE
        while self._chance.happens(slow):
            self._scheduler.pause(stoppable=True)
        return self.opened(text)

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Put ``text`` under ``key``."""
        if not self._is_aside(key):
            self.before_save(text)
        late = self._reach("save", key, writes=True)
        if self._is_aside(key) and not self._has_lock(key.partition(".corrupt")[0]):
            self._forgive(key)  # without its lock, it cannot know that the place was taken
        if self.is_junk(key) and not self._is_guarded(key) and not self._has_seen(key):
            self._forgive(key)  # a sign-in that shared a lock may save a moment after that was given back
        self.texts[key] = self._saved[key] = text
        if not self._is_aside(key):
            with self._facts.still_blind(key, after=late):
                self.on_save(key, text)
        self._written(key, late=late)

    def delete(self, key: str) -> None:
        """Remove the text under ``key``."""
        late = self._reach("delete", key, writes=True)
        self._remove(key, late=late)
        self._written(key, late=late)

    def lock(self, key: str, timeout: float) -> _Lock:
        """Lock ``key``."""
        return _Lock(self, key, timeout)

    # ------------------------------------------------------------------ for the world

    @property
    def holds(self) -> dict[str, Hold]:
        """Return the holder of each lock, also the locks that dead processes left behind."""
        return self._holds

    def bury(self, home: object) -> None:
        """A process is dead: its locks go at once, or when their leases end."""
        for key, hold in tuple(self._holds.items()):
            if hold.task.home is home:
                hold.dead = True
                if hold.ends_at is None:
                    self._free(key)

    def expire(self, *, losable: bool) -> None:
        """Free the locks whose leases have ended; a living holder loses its own where that can happen."""
        for key, hold in tuple(self._holds.items()):
            over = hold.ends_at is not None and hold.ends_at <= self._scheduler.now
            if over and (hold.dead or hold.task.frozen or losable):
                self.lose(key)

    def lose(self, key: str) -> None:
        """Take a lock from its holder."""
        hold = self._holds[key]
        self._scheduler.note("loses the lock", hold.task)
        if not hold.dead:
            self._facts.lost_lock(key, hold.task)
        self._free(key)

    def corrupt(self, key: str, junk: str) -> None:
        """Replace the text under ``key`` by junk; under a lock, it counts when it has been seen."""
        if key not in self._facts.records and key in self._facts.last:  # perhaps it was the reason of its end
            self._facts.last[key].left.add(ANYBODY)
        self._facts.left(key, JUNK)
        self._facts.excuse(key)
        self._forgive(key)
        self.texts[key] = junk
        if key not in self._holds:
            self._junk.append(junk)

    # ------------------------------------------------------------------ one call

    def _reach(self, what: str, key: str, *, writes: bool = False) -> bool:
        """Take turns, and fail before anything has happened; return whether to fail when it has."""
        self._scheduler.pause(stoppable=True)
        self._scheduler.note(what, key)
        if writes:
            self._check_fence(key)
            if key in self._holds and not self._is_covered(key):
                self._facts.locked_out(key, self._holds[key].task)
        fails = self._chance.happens(_OFTEN if self._is_down(what) else self.faults)
        late = fails and writes and self._chance.happens(0.3)
        if fails and not late:
            self._fail(key)
        return late

    def _written(self, key: str, *, late: bool) -> None:
        self._check_junk()
        if late:
            self._fail(key)
        if self._fine:
            self._scheduler.pause()

    def seen(self, key: str, text: str | None) -> None:
        """Note that the present task has read a text; junk counts from here on."""
        self._read[self._scheduler.current, key] = text
        if text != self.texts.get(key):
            return
        if text is not None and self.is_junk(key):
            self._see(key, text)
        elif key in self._facts.records and self._is_covered(key):
            self._facts.seen(key)

    def is_junk(self, key: str) -> bool:
        """Return whether no engine has saved the text under ``key``."""
        return key in self.texts and self.texts[key] != self._saved.get(key)

    def opened(self, text: str | None) -> str | None:
        """Return a text, unless another key is needed to read it."""
        if text is not None and text.startswith(SEALED):
            raise _sealed()
        return text

    def _is_down(self, what: str) -> bool:
        full = self.mood is Mood.FULL or (self.mood is Mood.LATE and self._facts.has_answer())
        return self.mood is Mood.DOWN or (full and what == "save")

    def _fail(self, key: str) -> NoReturn:
        self._facts.failed(key)
        self._scheduler.note("fails")
        if self._chance.happens(0.2):
            raise RuntimeError("the store of an app may raise anything")
        raise StoreUnavailable("The disk is full.")

    def _check_fence(self, key: str) -> None:
        task = self._scheduler.current
        mine = task is not None and task.inside == key
        hold = self._holds.get(key)
        if mine and self.lease is not None and (hold is None or hold.task is not task):
            self._facts.failed(key)
            raise StoreLocked("The lock was lost.")

    def _remove(self, key: str, *, late: bool) -> None:
        task, hold = self._scheduler.current, self._holds.get(key)
        if key in self._facts.records:
            locked = task is not None and task.inside == key
            if not locked and self._read.get((task, key)) != self.texts[key]:
                self._facts.overlooked(key)
            self.on_remove(key, late)
        elif (hold is None or hold.task is not task) and not self._has_seen(key):
            self._forgive(key)
        self.texts.pop(key, None)

    def _has_seen(self, key: str) -> bool:
        """Return whether the present task has seen the text under a key."""
        return (self._scheduler.current, self.texts.get(key)) in self._seen

    def _is_covered(self, key: str) -> bool:
        """Return whether the present task's process holds the lock."""
        task, hold = self._scheduler.current, self._holds.get(key)
        return hold is not None and task is not None and hold.task.home is task.home

    def _has_lock(self, key: str) -> bool:
        """Return whether the present task has the lock, or shares it with another of its process."""
        task, hold = self._scheduler.current, self._holds.get(key)
        lost = task is not None and task.inside == key and (hold is None or hold.task is not task)
        return self._is_covered(key) and not lost

    def _is_guarded(self, key: str) -> bool:
        """Return whether the present task has the lock, or its process has it."""
        task = self._scheduler.current
        return self._is_covered(key) or (task is not None and task.inside == key)

    def _quarantine(self, key: str) -> str | None:
        late = self._reach("quarantine", key, writes=True)
        if key in self._facts.records:
            task = self._scheduler.current
            if self._read.get((task, key)) == self.texts[key] or (task is not None and task.inside == key):
                self._facts.wrong("6: a good record is quarantined")
            else:  # without the lock, it cannot know a save of a moment ago
                self.on_remove(key, late)
        text = self.texts.pop(key, None)
        where = f"{key}.corrupt-{len(self.texts)}-{self._scheduler.turns}"
        if text is not None:
            self.texts[where] = text
        self._written(key, late=late)
        return None if text is None else where

    def _see(self, key: str, junk: str) -> None:
        """A task has seen the text: now it counts for the task, and under the lock for all."""
        task, hold = self._scheduler.current, self._holds.get(key)
        self._seen.add((task, junk))
        if task is not None and task.inside == key and not self._is_aside(key) and not task.overtaken:
            if hold is not None and hold.task is task:
                self._junk.append(junk)
            if not is_readable_elsewhere(junk) or self._facts.operation_of(task) is not None:
                self._facts.blinded(key)

    def _forgive(self, key: str) -> None:
        """A task without the lock cannot know the text a moment later."""
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

    def acquire(self, key: str, timeout: float) -> Hold:
        """Take the lock of ``key`` within so many seconds."""
        scheduler = self._scheduler
        scheduler.pause(stoppable=True)
        ends_at = scheduler.now + timeout
        stuck = self.mood in (Mood.DOWN, Mood.STUCK)
        if self._chance.happens(_OFTEN if stuck else self.faults):
            scheduler.note("finds no lock")
            self._facts.excuse(key)
            if key not in self._facts.records:  # a sign-out cannot know what is there, and who has it
                self._facts.locked_out(key, scheduler.current)
            if self._chance.happens(0.7 if self.mood is Mood.STUCK else 0.5):
                raise StoreLocked("Another process has held it all the time.")
            self._fail(key)
        self._wait_for(key, ends_at)
        task = scheduler.current
        assert task is not None
        hold = self._holds[key] = Hold(task, None if self.lease is None else scheduler.now + self.lease)
        task.inside = key
        task.locked_at = getattr(task.home, "clocks", lambda: None)()
        scheduler.note("locks", key)
        return hold

    def _wait_for(self, key: str, ends_at: float) -> None:
        scheduler = self._scheduler
        while key in self._holds:
            holder, began = self._holds[key].task, scheduler.now
            scheduler.note("waits for the lock", holder)
            self._waiting.setdefault(key, []).append(scheduler.waker())
            given = scheduler.park(ends_at, stoppable=True)
            operation, current = self._facts.operation_of(scheduler.current), scheduler.current
            if operation is not None and current is not None and not self._is_shareable(holder, current):
                operation.call.waited += scheduler.now - began
            elif current is not None and current.call is not None:
                current.call.waited += scheduler.now - began  # it reads the store itself, and has found junk
            if not given and key in self._holds:
                self._facts.excuse(key)
                raise StoreLocked("Another task has held it all the time.")

    def _is_shareable(self, holder: Task, task: Task) -> bool:
        """Return whether a task's process has the lock, and its clocks say so."""
        home: Any = holder.home
        surely = math.inf if self.lease is None else self.lease * 5 / 6
        return home is task.home and home.elapsed_since(holder.locked_at) < surely

    def release(self, key: str, hold: Hold) -> None:
        """Give a lock back; that may fail."""
        self._scheduler.pause()
        self.let_go(key, hold)
        if self._fine:
            self._scheduler.pause()
        if self._chance.happens(self.faults):
            raise StoreUnavailable("The lock server went away.")

    def let_go(self, key: str, hold: Hold) -> None:
        """Give a lock back."""
        hold.task.inside = None
        if self._holds.get(key) is hold:
            self._scheduler.note("unlocks", key)
            self._free(key)

    def _free(self, key: str) -> None:
        del self._holds[key]
        for wake in self._waiting.pop(key, ()):
            wake()


def _sealed() -> StoreCorrupt:
    message = "Another key encrypted the stored session."
    try:
        return StoreCorrupt(message, readable_elsewhere=True)
    except TypeError:  # before the attribute
        return StoreCorrupt(message)
