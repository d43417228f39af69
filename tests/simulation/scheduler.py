"""Tasks that take turns, and the time that passes between them. Knows nothing of sessions.

Each task is a greenlet. It runs until it reaches a scheduling point (``pause``, ``park``, ``sleep``); who
goes on is the caller's choice. Time is a number here: it moves when ``advance_to`` is called.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from greenlet import getcurrent, greenlet

START = 1_700_000_000.0


class Stop(BaseException):
    """Unwinds a task whose caller gave up, or whose process is gone."""


class Task:
    """One thread of control.

    Attributes:
        name: What it is called in a trace.
        home: The process it belongs to; ``None`` for the network.
        stoppable: Whether a caller may give up where the task stands now.
        inside: The key of the lock that it believes to hold.
        doomed: Whether it shall do nothing more: every scheduling point stops it again.
    """

    __slots__ = ("_greenlet", "_ticket", "_woken", "doomed", "home", "inside", "name", "stoppable")

    def __init__(self, name: str, work: Callable[[], None], home: object) -> None:
        self.name = name
        self.home = home
        self.stoppable = False
        self.doomed = False
        self.inside: str | None = None
        self._greenlet = greenlet(work)
        self._ticket = 0
        self._woken = False

    def __repr__(self) -> str:
        """Show the name."""
        return self.name

    def go_on(self) -> None:
        """Run to the next scheduling point. Called outside of every task."""
        self._greenlet.parent = getcurrent()
        self._greenlet.switch()

    def stop(self) -> bool:
        """Unwind it from where it stands; return whether it has come to its end."""
        if self._greenlet:
            self._greenlet.parent = getcurrent()
            self._greenlet.throw(Stop())
        return not self._greenlet


class Scheduler:
    """The tasks of one schedule.

    Attributes:
        now: The true time.
        current: Who runs; ``None`` between two turns.
        ready: Who could run next, in no particular order.
        trace: What happened: moment, task, words.
        turns: How many turns were taken.
    """

    def __init__(self) -> None:
        self.now = START
        self.current: Task | None = None
        self.turns = 0
        self.ready: list[Task] = []
        self.trace: list[tuple[float, object, str, object]] = []
        self.tasks: dict[Task, None] = {}
        self._timers: list[tuple[float, int, Task, int]] = []
        self._serials = count()
        self._names: dict[str, int] = {}

    def clock(self) -> float:
        """Return the true time."""
        return self.now

    def note(self, what: str, detail: object = "") -> None:
        """Add a line to the trace."""
        self.trace.append((self.now, self.current, what, detail))

    # ------------------------------------------------------------------ outside of the tasks

    def start(self, name: str, work: Callable[[], None], home: object = None) -> Task:
        """Make a task that is ready to run."""
        number = self._names[name] = self._names.get(name, 0) + 1
        task = Task(f"{name}-{number}", lambda: self._carry_out(task, work), home)
        self.tasks[task] = None
        self.ready.append(task)
        return task

    def run(self, place: int) -> Task:
        """Let the task at this place of ``ready`` run to its next scheduling point."""
        ready = self.ready
        task = ready[place]
        ready[place] = ready[-1]
        ready.pop()
        self.turns += 1
        self.current = task
        try:
            task.go_on()
        finally:
            self.current = None
        return task

    def stop(self, task: Task, *, for_good: bool = False) -> None:
        """Unwind a task; unless it is for good, its cleaning up may take further turns."""
        task.doomed = for_good
        task._ticket += 1
        if task in self.ready:
            self.ready.remove(task)
        self.current = task
        try:
            if task.stop():
                self.tasks.pop(task, None)
        finally:
            self.current = None

    def next_moment(self) -> float | None:
        """Return when the next timer ends."""
        timers = self._timers
        while timers and timers[0][2]._ticket != timers[0][3]:
            heappop(timers)
        return timers[0][0] if timers else None

    def advance_to(self, moment: float) -> None:
        """Let time pass; whoever waited for a moment up to this one becomes ready."""
        self.now = max(self.now, moment)
        while (due := self.next_moment()) is not None and due <= self.now:
            task = heappop(self._timers)[2]
            task._ticket += 1
            self.ready.append(task)

    # ------------------------------------------------------------------ inside of a task

    def pause(self, *, stoppable: bool = False) -> None:
        """Let others run."""
        task = self.current
        if task is None:
            return
        if task.doomed:
            raise Stop
        self.ready.append(task)
        self._leave(task, stoppable)

    def park(self, until: float | None = None, *, stoppable: bool = False) -> bool:
        """Wait to be woken by the waker made before, or for the moment; return whether it was the former."""
        task = self._present()
        if task.doomed:
            raise Stop
        task._woken = False
        if until is not None:
            heappush(self._timers, (max(until, self.now), next(self._serials), task, task._ticket))
        self._leave(task, stoppable)
        return task._woken

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        self.waker()
        self.park(self.now + seconds)

    def waker(self) -> Callable[[], None]:
        """Return what ends the present task's next ``park``; used later, it does nothing."""
        task = self._present()
        task._ticket += 1
        ticket = task._ticket

        def wake() -> None:
            if task._ticket == ticket:
                task._ticket += 1
                task._woken = True
                self.ready.append(task)

        return wake

    def _leave(self, task: Task, stoppable: bool) -> None:  # noqa: FBT001 - on the hot path
        task.stoppable = stoppable
        parent = task._greenlet.parent
        assert parent is not None
        parent.switch()
        task.stoppable = False

    def _present(self) -> Task:
        assert self.current is not None, "only a task can wait"
        return self.current

    def _carry_out(self, task: Task, work: Callable[[], None]) -> None:
        try:
            work()
        except Stop:
            self.note("stopped")
        self.tasks.pop(task, None)
