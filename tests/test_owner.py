"""Owner threads: work that was begun is carried out, whatever happens to those who asked for it."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import Future

import pytest

from hellojohn import _owner
from hellojohn._owner import OWNER, Owner
from tests.engine.rig import in_thread, until


def _names() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "hellojohn-owner"]


def test_work_is_carried_out_on_a_thread_of_its_own():
    """No thread of the app's is borrowed for it."""
    owner = Owner()
    assert owner.run(threading.current_thread).result(10) is not threading.current_thread()
    assert owner.run(lambda: threading.current_thread().daemon).result(10)
    assert owner.run(lambda: threading.current_thread().name).result(10) == "hellojohn-owner"


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_whatever_it_raises_belongs_to_who_waits(error):
    """The thread goes on to the next job."""

    def fail() -> None:
        raise error

    owner = Owner(max_threads=1)
    assert owner.run(fail).exception(10) is error
    assert owner.run(lambda: 5).result(10) == 5
    assert owner.wait(10)


def test_no_caller_can_cancel_what_others_wait_for():
    """A future that is cancelled by one would be cancelled for all."""
    owner, gate = Owner(), Future()
    future = owner.run(gate.result)
    assert not future.cancel()
    gate.set_result("done")
    assert future.result(10) == "done"


def test_jobs_run_side_by_side_up_to_the_limit_and_none_is_lost():
    """A slow service for one account does not stop another, and many jobs do not make as many threads."""
    owner, gate, most = Owner(max_threads=4), Future(), []
    running = threading.Semaphore(0)

    def work(number: int) -> int:
        running.release()
        gate.result(10)
        most.append(owner._busy)
        return number

    futures = [owner.run(lambda number=number: work(number)) for number in range(40)]
    for _ in range(4):
        assert running.acquire(timeout=10)
    assert not running.acquire(blocking=False)
    gate.set_result(None)
    assert [future.result(10) for future in futures] == list(range(40))
    assert max(most) == 4
    assert owner.wait(10)


def test_threads_end_when_there_is_nothing_to_do():
    """Nothing runs while nothing is requested."""
    owner = Owner()
    for _ in range(20):
        owner.run(lambda: None).result(10)
    assert owner.wait(10)
    until(lambda: not _names())


def test_a_job_may_ask_for_another():
    """An event's callback calls the client."""
    owner = Owner()
    assert owner.run(lambda: owner.run(lambda: 7).result(10)).result(10) == 7


def test_waiting_tells_whether_all_is_done():
    """Exit waits for what is under way, for so long and no longer."""
    owner, gate = Owner(), Future()
    future = owner.run(gate.result)
    assert not owner.wait(0.01)
    gate.set_result(None)
    future.result(10)
    assert owner.wait(10)


def test_the_end_of_the_interpreter_waits_for_so_long_and_no_longer(monkeypatch):
    """A service that does not answer must not keep a program from ending."""
    owner, gate = Owner(), Future()
    owner.run(gate.result)
    monkeypatch.setattr(_owner, "EXIT_WAIT", 0.05)
    began = time.monotonic()
    owner.finish()
    assert 0.05 <= time.monotonic() - began < 5
    assert owner.exits_at <= time.monotonic()
    gate.set_result(None)
    assert owner.wait(10)


def test_a_job_whose_caller_was_interrupted_before_its_thread_began_is_carried_out_later(monkeypatch):
    """Ctrl-C between noting a job and starting its thread: the next job, or the exit, takes it along."""
    owner, done = Owner(), []

    def interrupted() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(owner, "_start", interrupted)
        for number in range(2):
            with pytest.raises(KeyboardInterrupt):
                owner.run(lambda number=number: done.append(number))
    assert (done, owner.wait(0)) == ([], False)
    owner.finish()
    assert done == [0, 1]
    assert owner.wait(0)


def test_without_a_thread_to_be_had_the_caller_does_the_work_itself(monkeypatch):
    """At the very end of the interpreter, or on a full system: slower, and nothing is lost."""

    class Full(threading.Thread):
        """No more threads."""

        def start(self) -> None:
            """Fail as Python does."""
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading, "Thread", Full)
    owner = Owner()
    assert owner.run(threading.get_ident).result(0) == threading.get_ident()
    assert owner.wait(0)


def test_a_forked_child_starts_anew():
    """Its parent's threads are not there, and it must not wait for them."""
    gate = Future()
    OWNER.run(gate.result)
    child = in_thread(lambda: _in_child(lambda: OWNER.wait(0) and OWNER.run(lambda: 5).result(10) == 5))
    assert child() == 0
    gate.set_result(None)
    assert OWNER.wait(10)


def _in_child(action) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads is what is tested
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if action() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


ENDING = """
import sys, threading, time
from hellojohn._owner import OWNER
begun = threading.Event()
def work():
    begun.set()
    time.sleep(0.2)
    sys.stdout.write("stored")
    sys.stdout.flush()
OWNER.run(work)
begun.wait()
"""


@pytest.mark.parametrize("way", ["", "sys.exit(3)", "raise ValueError('x')", "raise KeyboardInterrupt"])
def test_the_interpreter_waits_for_what_was_begun_however_it_ends(way):
    """The end of the script, an exit, an error and Ctrl-C."""
    command = [sys.executable, "-c", ENDING + way]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert run.stdout == "stored"
    assert run.returncode in ({"": [0], "sys.exit(3)": [3]}.get(way) or [1, 130, -signal.SIGINT])


def test_a_thread_that_runs_an_apps_code_lends_its_place():
    """That code may wait for this pool: with every place taken by such code, nobody would ever go on."""
    owner, here = Owner(max_threads=2), threading.Barrier(2)

    def callback() -> str:
        with owner.lending():
            here.wait(10)
            return owner.run(lambda: "served").result(10)

    assert [future.result(10) for future in [owner.run(callback), owner.run(callback)]] == ["served"] * 2
    assert owner.wait(10)


def test_a_job_that_waits_for_a_place_takes_one_that_is_lent():
    """It was there before: whoever lends a place sees to it that it is taken."""
    owner, queued = Owner(max_threads=1), Future()

    def callback() -> str:
        job = queued.result(10)
        with owner.lending():
            return job.result(10)

    first = owner.run(callback)
    queued.set_result(owner.run(lambda: "served"))
    assert first.result(10) == "served"


def test_a_child_forked_while_the_interpreter_ends_begins_anew():
    """Its own end is not near: its refreshes have time."""
    owner = Owner()
    owner.finish()
    owner.reset()
    assert owner.exits_at == math.inf


def test_only_a_thread_of_the_pool_has_a_place_to_lend():
    """A caller that carries out a first look itself is none."""
    owner, gate = Owner(max_threads=1), Future()
    first = owner.run(gate.result)
    with owner.lending():
        second = owner.run(lambda: None)
        assert owner._lent == 0
    gate.set_result(None)
    first.result(10)
    second.result(10)
