"""The threads that run operations to their end, even if the callers give up.

A refresh that has begun must be stored. Its caller may be cancelled, time out or be interrupted; a worker
thread is not. Each lane has its own threads, so that a read of the store never waits behind a slow service:

    lane      work                                          threads
    --------  --------------------------------------------  -------------------------------------------
    STORE     reads and saves of the token store            at most STORE_THREADS
    NETWORK   refreshes and other calls of the service      at most NETWORK_THREADS - SIGN_IN_THREADS
    SIGN_IN   sign-ins and sign-outs                        what NETWORK leaves, SIGN_IN_THREADS at least
    EVENTS    callbacks of the app, one at a time a client  at most EVENT_THREADS

A thread starts when there is work for it, and ends after a moment without work. The end of the program
waits for work that must be saved, but at most EXIT_WAIT seconds.
"""

import atexit
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from hellojohn._limits import (
    EVENT_THREADS,
    EXIT_WAIT,
    NETWORK_THREADS,
    RETIRE_WAIT,
    SIGN_IN_THREADS,
    STORE_THREADS,
    THREAD_REST,
)
from hellojohn._logs import logger_of

logger = logger_of("hellojohn")


class Lane(Enum):
    """A group of threads; see the table above."""

    STORE = "store"
    NETWORK = "network"
    SIGN_IN = "sign-in"
    EVENTS = "events"


_THREADS = {
    Lane.STORE: STORE_THREADS,
    Lane.NETWORK: NETWORK_THREADS - SIGN_IN_THREADS,
    Lane.SIGN_IN: SIGN_IN_THREADS,
    Lane.EVENTS: EVENT_THREADS,
}


class NoThreadError(RuntimeError):
    """No thread can be started: the process has too many, or the interpreter is exiting."""


class Job(NamedTuple):
    """Work for a thread.

    Attributes:
        run: The work. It must not raise.
        lane: Where it runs.
        must_finish: Whether the end of the program waits for it.
    """

    run: Callable[[], None]
    lane: Lane
    must_finish: bool


class WorkerPool:
    """The lanes and their threads.

    Attributes:
        exits_at: When the program stops waiting for work, by the monotonic clock. Infinite before its end,
            and minus infinity after it.
    """

    def __init__(self) -> None:
        """Start without threads."""
        self.exits_at: float = math.inf
        self.reset()

    def reset(self) -> None:
        """Start again in a forked child, which has none of the parent's threads."""
        self._lock = threading.RLock()  # a signal handler or a __del__ may close a client while it is held
        self._finished = threading.Condition(self._lock)
        self._lanes = {lane: _Lane(limit, self._lock) for lane, limit in _THREADS.items()}
        self._finishing = 0
        self._retiring = 0
        self._waits_in_child = False

    def submit(self, job: Job) -> None:
        """Have a thread of the job's lane run it.

        Raises:
            NoThreadError: The lane has no thread and none can be started.
        """
        lane = self._lanes[job.lane]
        with self._lock:
            lane.jobs.append(job)
            if len(lane.jobs) <= lane.resting:
                lane.wanted.notify()
                return
            if len(lane.threads) >= lane.limit:
                return
        if self._start(job.lane):
            return
        with self._lock:
            if lane.threads or job not in lane.jobs:
                return  # another thread of the lane takes it
            lane.jobs.remove(job)
        raise NoThreadError("No thread can be started for hellojohn.")

    def finish(self) -> None:
        """At the end of the program: wait for work that must be saved, then end the threads."""
        self.exits_at = min(self.exits_at, time.monotonic() + EXIT_WAIT)
        for name, lane in self._lanes.items():
            if lane.jobs and not lane.threads:  # its caller was interrupted before the thread started
                self._start(name)
        with self._lock:
            wait = max(self.exits_at - time.monotonic(), 0.0)
            self._finished.wait_for(lambda: not self._has_work_to_finish(), wait)
            self.exits_at = -math.inf  # from now on nothing waits for a refresh, so none may begin
        self.retire()

    def retire(self) -> None:
        """End the threads without work, and wait for them: a sub-interpreter must not end before they do.

        Threads that still work end when they have done it, if that takes no longer than ``RETIRE_WAIT``.
        """
        ends_at = time.monotonic() + RETIRE_WAIT
        with self._lock:
            self._retiring += 1
            threads = [thread for lane in self._lanes.values() for thread in lane.threads]
            for lane in self._lanes.values():
                lane.wanted.notify_all()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(ends_at - time.monotonic(), 0.0))
        with self._lock:
            self._retiring -= 1

    def _has_work_to_finish(self) -> bool:
        waiting = (job.must_finish for lane in self._lanes.values() for job in lane.jobs)
        return self._finishing > 0 or any(waiting)

    def _start(self, lane: Lane) -> bool:
        # On Python 3.11, a thread that is started while the interpreter is finalized waits for ever.
        if sys.is_finalizing():
            return False
        self._wait_in_child()
        try:
            self._thread(lane, daemon=True).start()
        except RuntimeError:  # the thread limit, an exiting interpreter, or one without daemon threads
            try:
                self._thread(lane, daemon=False).start()
            except RuntimeError:
                return False
        return True

    def _thread(self, lane: Lane, *, daemon: bool) -> threading.Thread:
        name = f"hellojohn-{lane.value}"
        return threading.Thread(target=self._work, args=(self._lanes[lane],), name=name, daemon=daemon)

    def _wait_in_child(self) -> None:
        """Wait at the end of a ``multiprocessing`` child as well: it does not run ``atexit``."""
        if self._waits_in_child:
            return
        self._waits_in_child = True
        process = sys.modules.get("multiprocessing.process")
        if process is not None and process.parent_process() is not None:
            from multiprocessing.util import Finalize  # noqa: PLC0415 - loaded already in such a child

            Finalize(None, self.finish, exitpriority=10)

    def _work(self, lane: "_Lane") -> None:
        thread = threading.current_thread()
        with self._lock:
            if len(lane.threads) >= lane.limit:
                return
            lane.threads.add(thread)
        while (job := self._next(lane, thread)) is not None:
            try:
                job.run()
            except BaseException as error:  # noqa: BLE001 - a thread must go on for the others
                # Without the traceback: the text of the exception may be a token.
                logger.error("An operation of hellojohn raised %s.", type(error).__name__)  # noqa: TRY400
            finally:
                self._done(job)
            del job  # a resting thread must not keep an account in memory

    def _next(self, lane: "_Lane", thread: threading.Thread) -> Job | None:
        with self._lock:
            if not lane.jobs:
                lane.resting += 1
                lane.wanted.wait_for(lambda: lane.jobs or self._retiring, THREAD_REST)
                lane.resting -= 1
            if not lane.jobs:
                lane.threads.discard(thread)
                return None
            job = lane.jobs.popleft()
            self._finishing += job.must_finish
            return job

    def _done(self, job: Job) -> None:
        with self._lock:
            self._finishing -= job.must_finish
            self._finished.notify_all()


class _Lane:
    """The jobs of one lane and its threads. A thread counts itself, so that an interrupt upsets no count."""

    def __init__(self, limit: int, lock: "threading.RLock") -> None:
        self.limit = limit
        self.jobs: deque[Job] = deque()
        self.wanted = threading.Condition(lock)
        self.threads: set[threading.Thread] = set()
        self.resting = 0


WORKERS = WorkerPool()
atexit.register(WORKERS.finish)
