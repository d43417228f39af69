"""Tasks that take turns, and the time that passes between them. It knows nothing of sessions.

Each task is a greenlet. It runs until it reaches a scheduling point (``pause``, ``park``, ``sleep``). The
user of the scheduler chooses which task goes on. Time is a number: it moves when ``advance_to`` is called.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any

from greenlet import getcurrent, greenlet

START = 1_700_000_000.0


class Stop(BaseException):
    """Unwinds a task whose caller gave up, or whose process is gone."""


class Task:
    """One thread of control.

    Attributes:
        name: Its name in a trace.
        home: The process it belongs to; ``None`` for the network.
        parent: The task that started it; ``None`` if the world did.
        call: The call of an application that it carries out, if it is a caller.
        began: The turn in which it was started.
        stoppable: Whether a caller may give up where the task stands now.
        inside: The key of the lock that the task believes to hold.
        locked_at: The readings of the process's clocks when it took the lock.
        doomed: Whether every scheduling point stops it again.
        frozen: Whether its process is suspended: the task is not run, and its timers wait.
        overtaken: Whether it only looks for what to take back, after a later operation has overtaken it.
    """

    __slots__ = (
        "__weakref__",
        "_greenlet",
        "_ticket",
        "_woken",
        "_work",
        "began",
        "call",
        "doomed",
        "frozen",
        "home",
        "inside",
        "locked_at",
        "name",
        "overtaken",
        "parent",
        "stoppable",
    )

    def __init__(
        self, name: str, work: Callable[[], None], home: object, parent: "Task | None", began: int
    ) -> None:
        self.name = name
        self.home = home
        self.parent = parent
        self.call: Any = None
        self.overtaken = False
        self.began = began
        self.stoppable = False
        self.doomed = False
        self.frozen = False
        self.inside: str | None = None
        self.locked_at: Any = None
        self._work: Callable[[], None] | None = work
        self._greenlet: greenlet | None = None
        self._ticket = 0
        self._woken = False

    def __repr__(self) -> str:
        """Show the name."""
        return self.name


class Scheduler:
    """The tasks of one schedule. The greenlet that makes it is the one that runs them.

    Attributes:
        now: The true time.
        current: The task that runs; ``None`` between two turns.
        ready: The tasks that could run next, in no particular order.
        frozen: The tasks of suspended processes that could run otherwise.
        tasks: All tasks that have not ended.
        trace: What happened: moment, task, words.
        turns: How many turns were taken.
        stalled: The seconds that passed although a task could run: the machine was slow.
    """

    def __init__(self) -> None:
        self.now = START
        self.current: Task | None = None
        self.turns = 0
        self.stalled = 0.0
        self.ready: list[Task] = []
        self.frozen: list[Task] = []
        self.trace: list[tuple[float, object, str, object]] = []
        self.tasks: dict[Task, None] = {}
        self._timers: list[tuple[float, int, Task, int]] = []
        self._serials = count()
        self._names: dict[str, int] = {}
        self._root = getcurrent()

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
        task = Task(f"{name}-{number}", work, home, self.current, self.turns)
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
        thread = task._greenlet
        try:
            if thread is None:
                if not _idle:
                    greenlet(_serve, self._root).switch()
                task._greenlet = _idle.pop()
                task._greenlet.switch((self, task))
            else:
                thread.switch()
        finally:
            self.current = None
        return task

    def stop(self, task: Task, *, for_good: bool = False) -> None:
        """Unwind a task; unless it is for good, its cleaning up may take further turns."""
        task.doomed = for_good
        task._ticket += 1
        for waiting in (self.ready, self.frozen):
            if task in waiting:
                waiting.remove(task)
        if task._greenlet is None:
            self.tasks.pop(task, None)
            return
        self.current = task
        try:
            task._greenlet.throw(Stop())
        finally:
            self.current = None

    def freeze(self, home: object) -> None:
        """Suspend all tasks of a process."""
        for task in self.tasks:
            if task.home is home:
                task.frozen = True
        self.frozen += [task for task in self.ready if task.home is home]
        self.ready = [task for task in self.ready if task.home is not home]

    def thaw(self, home: object, *, later: float = 0.0) -> None:
        """Let the tasks of a suspended process go on; their timers end so many seconds later."""
        for task in self.tasks:
            if task.home is home:
                task.frozen = False
        if later:
            self._timers = [
                (moment + later if task.home is home else moment, number, task, ticket)
                for moment, number, task, ticket in self._timers
            ]
            heapify(self._timers)
        self.ready += [task for task in self.frozen if task.home is home]
        self.frozen = [task for task in self.frozen if task.home is not home]

    def next_moment(self) -> float | None:
        """Return when the next timer ends."""
        timers, held = self._timers, []
        while timers and (timers[0][2]._ticket != timers[0][3] or timers[0][2].frozen):
            timer = heappop(timers)
            if timer[2]._ticket == timer[3]:
                held.append(timer)
        moment = timers[0][0] if timers else None
        for timer in held:
            heappush(timers, timer)
        return moment

    def advance_to(self, moment: float) -> None:
        """Let time pass; every task that waited for a moment up to this one becomes ready."""
        moment = max(self.now, moment)
        due = self.next_moment()
        if self.ready:
            self.stalled += moment - self.now
        elif due is not None:
            self.stalled += max(moment - max(due, self.now), 0.0)
        self.now = moment
        held = []
        while self._timers and self._timers[0][0] <= self.now:
            timer = heappop(self._timers)
            task = timer[2]
            if task._ticket != timer[3]:
                continue
            if task.frozen:
                held.append(timer)
                continue
            task._ticket += 1
            self.ready.append(task)
        for timer in held:
            heappush(self._timers, timer)

    # ------------------------------------------------------------------ inside of a task

    def pause(self, *, stoppable: bool = False) -> None:
        """Let others run."""
        task = self.current
        if task is None:
            return
        if task.doomed:
            raise Stop
        self.ready.append(task)
        task.stoppable = stoppable
        self._root.switch()
        task.stoppable = False

    def park(self, until: float | None = None, *, stoppable: bool = False) -> bool:
        """Wait to be woken by the waker made before, or for the moment; return whether it was the former."""
        task = self._present()
        if task.doomed:
            raise Stop
        task._woken = False
        if until is not None:
            heappush(self._timers, (max(until, self.now), next(self._serials), task, task._ticket))
        task.stoppable = stoppable
        self._root.switch()
        task.stoppable = False
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
                (self.frozen if task.frozen else self.ready).append(task)

        return wake

    def _present(self) -> Task:
        assert self.current is not None, "only a task can wait"
        return self.current

    def _carry_out(self, task: Task) -> None:
        work, task._work = task._work, None
        assert work is not None
        try:
            work()
        except Stop:
            self.note("stopped")
        self.tasks.pop(task, None)
        task._greenlet = None
        task._ticket += 1  # its cleaning up may have left a waker behind


_idle: list[greenlet] = []
"""Greenlets without a task: to make one takes as long as many turns."""


def _serve() -> None:
    """Carry out one task after the other. Without a task, nothing of a schedule stays in memory."""
    thread = getcurrent()
    assert thread.parent is not None
    switch = thread.parent.switch
    while True:
        _idle.append(thread)
        scheduler, task = switch()
        scheduler._carry_out(task)
        del scheduler, task
