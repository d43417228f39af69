"""The threads of the engine: lanes, limits, the end of the program, forks and sub-interpreters."""

import logging
import math
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable

import pytest

from hellojohn._limits import NETWORK_THREADS, RETIRE_WAIT, SIGN_IN_THREADS, STORE_THREADS
from hellojohn._session import workers
from hellojohn._session.workers import Job, Lane, NoThreadError, WorkerPool


class Jobs:
    """Jobs that wait until the test lets them end."""

    def __init__(self, workers: WorkerPool) -> None:
        self.workers = workers
        self.running = threading.Semaphore(0)
        self.end = threading.Event()

    def submit(self, lane: Lane, *, must_finish: bool = False) -> None:
        """Submit one."""
        self.workers.submit(Job(self._run, lane, must_finish))

    def wait_for(self, count: int) -> None:
        """Wait until so many run."""
        for _ in range(count):
            assert self.running.acquire(timeout=20)

    def _run(self) -> None:
        self.running.release()
        assert self.end.wait(20)


@pytest.fixture
def jobs() -> "Jobs":
    """Jobs on a separate pool."""
    return Jobs(WorkerPool())


def names(prefix: str = "hellojohn-") -> list[str]:
    """Return the names of the engine's threads."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(prefix)]


def run_script(script: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run a program in a child process."""
    return subprocess.run(
        [python, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("lane", "limit"),
    [
        (Lane.STORE, STORE_THREADS),
        (Lane.NETWORK, NETWORK_THREADS - SIGN_IN_THREADS),
        (Lane.SIGN_IN, SIGN_IN_THREADS),
    ],
)
def test_each_lane_has_its_limit(jobs: Jobs, lane: Lane, limit: int) -> None:
    """A lane runs as many jobs at once as it has threads, and the others wait for them."""
    for _ in range(limit + 5):
        jobs.submit(lane)
    jobs.wait_for(limit)
    assert not jobs.running.acquire(timeout=0.05)
    jobs.end.set()
    jobs.wait_for(5)


def test_full_lane_does_not_stop_another(jobs: Jobs) -> None:
    """A store read and a sign-in start at once while every refresh thread waits for a stalled service."""
    for _ in range(NETWORK_THREADS):
        jobs.submit(Lane.NETWORK)
    jobs.wait_for(NETWORK_THREADS - SIGN_IN_THREADS)
    jobs.submit(Lane.STORE)
    jobs.submit(Lane.SIGN_IN)
    jobs.wait_for(2)
    jobs.end.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_job_that_raises_takes_no_place_in_its_lane(jobs: Jobs) -> None:
    """A plug-in that raises SystemExit ends its thread, and the lane keeps its limit."""

    def fail() -> None:
        raise SystemExit

    for _ in range(STORE_THREADS + 5):
        jobs.workers.submit(Job(fail, Lane.STORE, must_finish=False))
    for _ in range(STORE_THREADS):
        jobs.submit(Lane.STORE)
    jobs.wait_for(STORE_THREADS)
    jobs.end.set()


def test_threads_end_when_there_is_no_work(jobs: Jobs) -> None:
    """No thread is left a moment after the work is done."""
    jobs.submit(Lane.STORE)
    jobs.end.set()
    ends_at = time.monotonic() + 10
    while names("hellojohn-store"):
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def test_retire_ends_resting_threads_at_once(jobs: Jobs) -> None:
    """After retire() no resting thread is left, as a sub-interpreter demands."""
    jobs.end.set()
    for _ in range(4):
        jobs.submit(Lane.NETWORK)
    jobs.wait_for(4)
    lane = jobs.workers._lanes[Lane.NETWORK]
    while lane.resting < len(lane.threads):
        pass
    jobs.workers.retire()
    assert not lane.threads


def test_end_of_the_program_waits_for_what_must_finish(jobs: Jobs) -> None:
    """finish() waits for a refresh and not for a read."""
    jobs.submit(Lane.STORE)
    jobs.wait_for(1)
    jobs.workers.finish()
    jobs.submit(Lane.NETWORK, must_finish=True)
    jobs.wait_for(1)
    finished = threading.Event()

    def finish() -> None:
        jobs.workers.finish()
        finished.set()

    threading.Thread(target=finish).start()
    assert not finished.wait(0.05)
    jobs.end.set()
    assert finished.wait(20)


def test_no_thread_is_a_typed_error(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started, submit() raises and takes the job back."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(NoThreadError):
            jobs.submit(Lane.STORE)
    jobs.end.set()
    jobs.submit(Lane.STORE)
    jobs.wait_for(1)
    assert not jobs.running.acquire(timeout=0.05)


def test_job_of_an_interrupted_caller_runs_at_the_end(jobs: Jobs) -> None:
    """A job whose caller was interrupted before its thread started runs at the end of the program."""
    jobs.end.set()
    jobs.workers._lanes[Lane.NETWORK].jobs.append(Job(jobs._run, Lane.NETWORK, must_finish=True))
    jobs.workers.finish()
    jobs.wait_for(1)


def test_pool_is_retired_inside_its_own_lock(jobs: Jobs) -> None:
    """A signal handler or a finalizer that closes a client may run while this thread has the lock."""
    jobs.end.set()
    jobs.submit(Lane.STORE)
    jobs.wait_for(1)

    def close() -> None:
        with jobs.workers._lock:
            jobs.workers.retire()

    closing = threading.Thread(target=close, daemon=True)
    closing.start()
    closing.join(20)
    assert not closing.is_alive()


def test_nothing_is_refreshed_after_the_end_of_the_wait(jobs: Jobs) -> None:
    """A refresh that began now would die with the program, and its token would be used."""
    jobs.workers.finish()
    assert jobs.workers.exits_at == -math.inf


def test_job_that_raises_is_not_waited_for(jobs: Jobs) -> None:
    """Even if the app's log handler raises as well."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ValueError(record)

    handler = Broken()
    logging.getLogger("hellojohn").addHandler(handler)
    try:
        jobs.workers.submit(Job(lambda: 1 / 0, Lane.NETWORK, must_finish=True))
        begun = time.monotonic()
        jobs.workers.finish()
        assert time.monotonic() - begun < 10
    finally:
        logging.getLogger("hellojohn").removeHandler(handler)


def test_exit_waits_for_one_refresh_at_most(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that never ends keeps the program as long as the limit says, and no longer."""
    monkeypatch.setattr(workers, "EXIT_WAIT", 0.1)
    jobs.submit(Lane.NETWORK, must_finish=True)
    jobs.wait_for(1)
    begun = time.monotonic()
    jobs.workers.finish()
    assert time.monotonic() - begun < 0.1 + RETIRE_WAIT + 1
    jobs.end.set()


def test_job_that_raises_costs_no_thread(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    """A job that raises anything is logged, and its thread goes on with the next one."""

    def fail() -> None:
        raise SystemExit("rt_secret")

    for _ in range(SIGN_IN_THREADS + 1):
        jobs.workers.submit(Job(fail, Lane.SIGN_IN, must_finish=True))
    jobs.end.set()
    jobs.submit(Lane.SIGN_IN)
    jobs.wait_for(1)
    jobs.workers.finish()
    assert "raised SystemExit" in caplog.text
    assert "rt_secret" not in caplog.text


def test_resting_thread_keeps_nothing_in_memory(jobs: Jobs) -> None:
    """A thread without work does not hold the job that it ran last."""

    class Account:
        """Something that a job refers to."""

    account = Account()
    gone = weakref.ref(account)
    ran = threading.Event()

    def work(account: Account) -> Callable[[], None]:
        return lambda: (ran.set(), str(account))[0]

    jobs.workers.submit(Job(work(account), Lane.STORE, must_finish=False))
    del account
    assert ran.wait(20)
    ends_at = time.monotonic() + 10
    while gone() is not None:
        assert time.monotonic() < ends_at


_CLIENT = """
    from hellojohn import HelloJohn
    from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
    from hellojohn.testing._settings import settings_for
    emulator = Emulator()
    emulator.start()
    hj = HelloJohn(**settings_for(emulator))
    hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
"""


def test_sign_out_in_a_finalizer_at_exit_ends() -> None:
    """A sign-out in a ``__del__`` that runs while the interpreter ends does not hang."""
    script = (
        _CLIENT
        + """
    class App:
        def __del__(self):
            try:
                print("result", hj.auth.sign_out())
            except Exception as error:
                print("error", type(error).__name__)
    import builtins
    builtins.app = App()
    """
    )
    done = run_script(script)
    assert done.returncode == 0, done.stderr
    # While coverage is measured, the interpreter may end without running the finalizer.
    assert done.stdout.startswith(("result", "error ServiceUnavailable")) or not done.stdout, done.stdout


def test_exit_does_not_wait_for_a_read_that_never_ends() -> None:
    """A program ends at once although a store (a keyring's prompt) never answers a read."""
    script = """
    import asyncio, atexit, threading, time
    atexit.register(lambda: print(time.monotonic() - begun < 10))  # runs after the SDK's own handler
    from hellojohn import AsyncHelloJohn, MemoryStore
    class Stuck(MemoryStore):
        def load(self, key):
            reading.set()
            threading.Event().wait()
    reading = threading.Event()
    hj = AsyncHelloJohn(tenant_id="t", publishable_key="pk_1", store=Stuck())
    async def read():
        task = asyncio.create_task(hj.auth.session())
        await asyncio.to_thread(reading.wait)
        task.cancel()
    asyncio.run(read())
    begun = time.monotonic()
    """
    done = run_script(script)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def test_sub_interpreter_can_end_right_after_close() -> None:
    """A sub-interpreter that ends right after close() does not abort the process."""
    interpreters = pytest.importorskip("_xxsubinterpreters", reason="only on Pythons with this module")
    del interpreters
    inner = textwrap.dedent("""
    from hellojohn import HelloJohn, MemoryStore
    hj = HelloJohn(tenant_id="t", publishable_key="pk_1", store=MemoryStore())
    assert hj.auth.sign_out() is True
    hj.close()
    """)
    script = f"""
    import _xxsubinterpreters as interpreters
    for _ in range(5):
        identity = interpreters.create(isolated=False)
        interpreters.run_string(identity, {inner!r})
        interpreters.destroy(identity)
    print("ended")
    """
    done = run_script(script)
    assert done.stdout == "ended\n", done.stderr
