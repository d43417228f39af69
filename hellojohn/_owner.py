"""Runs an operation to its end on a thread of its own, whatever happens to the caller.

A refresh that was begun must be stored. Its caller may be cancelled, time out or be interrupted; a thread
that belongs to nobody is not. Threads exist only while there is work. At interpreter exit the work under way
is waited for, as long as one refresh may take and no longer.
"""

import atexit
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_here = threading.local()

MAX_THREADS = 64
EXIT_WAIT = 20.0
_REST = 0.2


class Owner:
    """A pool of threads that start when there is work, and end when there has been none for a moment."""

    def __init__(self, max_threads: int = MAX_THREADS) -> None:
        """Make an empty pool."""
        self._max_threads = max_threads
        self.reset()

    def reset(self) -> None:
        """Start anew, as a forked child must: its parent's threads are not here."""
        lock = threading.Lock()
        self._idle = threading.Condition(lock)
        self._wanted = threading.Condition(lock)
        self._jobs: deque[Callable[[], None]] = deque()
        self._busy = 0
        self._lent = 0
        self.exits_at: float = math.inf
        self._resting = 0
        self._outlives_exit = False

    def run(self, work: Callable[[], T]) -> "Future[T]":
        """Carry ``work`` out; the future cannot be cancelled, so no caller takes it from another."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        self._submit(lambda: _carry_out(work, future))
        return future

    def wait(self, timeout: float) -> bool:
        """Wait until nothing is under way; return whether that came about in time."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._jobs and self._busy == 0, timeout)

    @contextmanager
    def lending(self) -> Generator[None]:
        """Give this thread's place to another one, while it runs code of the app's that may wait for one."""
        if getattr(_here, "owner", None) is not self:
            yield
            return
        with self._idle:
            self._lent += 1
            short = len(self._jobs) > self._resting
        if short:
            self._start()
        try:
            yield
        finally:
            with self._idle:
                self._lent -= 1

    def _submit(self, job: Callable[[], None]) -> None:
        with self._idle:
            self._jobs.append(job)
            if len(self._jobs) <= self._resting:
                self._wanted.notify()
                return
            if self._is_full():
                return
        self._start()

    def _is_full(self) -> bool:
        return self._busy - self._lent >= self._max_threads

    def _start(self) -> None:
        self._outlive_exit()
        try:
            threading.Thread(target=self._work, name="hellojohn-owner", daemon=True).start()
        except RuntimeError:  # the interpreter is too far gone, or the system too full, for a new thread
            self._work()

    def _outlive_exit(self) -> None:
        """Have a child of multiprocessing wait as well: at its end, it runs its own finalizers only."""
        if self._outlives_exit:
            return
        self._outlives_exit = True
        process = sys.modules.get("multiprocessing.process")
        if process is not None and process.parent_process() is not None:
            from multiprocessing.util import Finalize  # noqa: PLC0415 - loaded already in such a child

            Finalize(None, self.finish, exitpriority=10)

    def _work(self) -> None:
        _here.owner = self
        while (job := self._next()) is not None:
            job()
            del job  # a thread at rest must not keep an account in memory
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()
        _here.owner = None

    def _next(self) -> Callable[[], None] | None:
        """Take a job; only here is it counted, so that a caller interrupted before cannot upset the count."""
        with self._idle:
            self._resting += 1
            self._wanted.wait_for(lambda: self._jobs, _REST)
            self._resting -= 1
            if not self._jobs or self._is_full():
                return None
            self._busy += 1
            return self._jobs.popleft()

    def finish(self) -> None:
        """Tell the work under way that the interpreter ends, and give it the time of one refresh."""
        self.exits_at = min(self.exits_at, time.monotonic() + EXIT_WAIT)
        if self._jobs:  # whoever submitted them was interrupted before a thread was started
            self._start()
        self.wait(max(self.exits_at - time.monotonic(), 0.0))


def _carry_out(work: Callable[[], T], future: "Future[T]") -> None:
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
        future.set_exception(error)
    else:
        future.set_result(result)


OWNER = Owner()
atexit.register(OWNER.finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=OWNER.reset)
