"""Daemon threads for the work of this room that may block: fetching keys, reading a store, remote checks.

A thread starts when there is work, and ends after a moment without any. The threads are daemons,
because nothing here is lost at exit: keys and revocations can be read again.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable

from hellojohn._limits import FETCH_THREADS, REMOTE_THREADS, WORKER_REST
from hellojohn.verify._forks import watch_forks

Job = Callable[[], None]
"""Work for a thread. It must not raise."""


class Workers:
    """At most ``limit`` threads that run jobs in order."""

    def __init__(self, name: str, limit: int) -> None:
        """Start without threads."""
        self._name = name
        self._limit = limit
        self._reset()
        watch_forks(self, Workers._reset)

    def submit(self, job: Job) -> bool:
        """Have a thread run ``job``. Return ``False`` if it has no thread and cannot start one."""
        with self._lock:
            self._jobs.append(job)
            if len(self._jobs) <= self._resting:
                self._wanted.notify()
                return True
            if self._running >= self._limit:
                return True
            self._running += 1
        if self._start():
            return True
        with self._lock:
            self._running -= 1
            if self._running or job not in self._jobs:
                return True  # another thread takes it
            self._jobs.remove(job)
        return False

    def _reset(self) -> None:
        """Start again in a forked child, which has none of the parent's threads."""
        self._lock = threading.Lock()
        self._wanted = threading.Condition(self._lock)
        self._jobs: deque[Job] = deque()
        self._running = 0
        self._resting = 0

    def _start(self) -> bool:
        # On Python 3.11, a thread that is started while the interpreter is finalized waits for ever.
        if sys.is_finalizing():
            return False
        for daemon in (True, False):  # a sub-interpreter may allow no daemon threads
            try:
                threading.Thread(target=self._work, name=self._name, daemon=daemon).start()
            except RuntimeError:
                continue
            return True
        return False

    def _work(self) -> None:
        while (job := self._next()) is not None:
            job()
            del job  # a resting thread must not keep a client in memory

    def _next(self) -> Job | None:
        with self._lock:
            if not self._jobs:
                self._resting += 1
                self._wanted.wait_for(lambda: self._jobs, WORKER_REST)
                self._resting -= 1
            if self._jobs:
                return self._jobs.popleft()
            self._running -= 1
            return None


FETCHERS = Workers("hellojohn-keys", FETCH_THREADS)
CALLERS = Workers("hellojohn-verify", REMOTE_THREADS)
