"""The contract of a token store, as a test class for the SDK's stores and for yours. Needs pytest."""

# ruff: noqa: S101 - a test class asserts

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import ClassVar, Self

import pytest

from hellojohn._errors import StoreLocked
from hellojohn.stores import TokenStore
from hellojohn.stores._capabilities import lease_of
from hellojohn.testing._in_process_contract import InProcessStoreContract, assert_whole, locked
from hellojohn.testing._store_child import count_up_on_signal, hold, write_stamped

_PATIENCE = 60.0
_TIMEOUT = 0.1


class TokenStoreContract(InProcessStoreContract):
    """The tests that every token store must pass: subclass it, define ``make_store``, and run pytest.

    Child processes get the pickled ``recipe()``, by default the bound ``make_store``: the attributes that the
    test sets on ``self`` must pickle, and its module must be importable. Otherwise override ``recipe``.

    Attributes:
        lease: Seconds for which a killed process may keep a lock. Zero if the system frees the lock.
    """

    lease: ClassVar[float] = 0.0

    def recipe(self) -> Callable[[], TokenStore]:
        """Return a function that makes a store in a child process; it must pickle."""
        return self.make_store

    def test_the_store_states_its_lease(self) -> None:
        """The SDK ends a refresh before the lease ends, so ``lease`` must be the time that a lock lasts."""
        assert lease_of(self.make_store()) == (self.lease or None)

    def test_a_holder_saves_only_while_it_has_the_lock(self) -> None:
        """A holder whose lease ran out gets ``StoreLocked`` and changes nothing. Without a lease it saves."""
        store, other = self.make_store(), self.make_store()
        with locked(store, "key") as value:
            value.save("mine")
            if not self.lease:
                with pytest.raises(StoreLocked), other.lock("key", _TIMEOUT):
                    pytest.fail("two holders at once")
                value.save("mine again")
                assert store.load("key") == "mine again"
                return
            with other.lock("key", self.lease + _PATIENCE / 4):
                other.save("key", "newer")
                for release in (False, True):
                    with pytest.raises(StoreLocked):
                        value.save("late", release=release)
            with pytest.raises(StoreLocked):
                store.save("key", "late")
            with pytest.raises(StoreLocked):
                store.delete("key")
        assert store.load("key") == "newer"

    def test_a_lock_excludes_processes(self) -> None:
        """Processes that add one under the lock lose no addition, from their first use of the storage on."""
        with ExitStack() as stack:
            children = [
                stack.enter_context(_Child(count_up_on_signal, self.recipe(), "key", 10)) for _ in range(3)
            ]
            for child in children:
                child.wait_until_ready()
            for child in children:
                child.signal()
            for child in children:
                child.finish()
        assert self.make_store().load("key") == "30"

    def test_a_killed_holder_frees_its_lock(self) -> None:
        """The lock is free after the lease at the latest, and not before the holder was killed."""
        store = self.make_store()
        with _Child(hold, self.recipe(), "key") as child:
            child.wait_until_ready()
            with pytest.raises(StoreLocked), store.lock("key", 0.05):
                pytest.fail("two holders at once")
        with store.lock("key", self.lease + _PATIENCE / 4):
            store.save("key", "text")
        assert store.load("key") == "text"

    def test_a_killed_writer_leaves_a_whole_text(self) -> None:
        """Every read finds the old text or the new one, and the key can be written again."""
        store = self.make_store()
        for moment in (0.0, 0.005, 0.02):
            with _Child(write_stamped, self.recipe(), "key", 1_000_000) as child:
                child.wait_until_ready()
                child.signal()
                until = time.monotonic() + moment
                while time.monotonic() < until:
                    assert_whole(store.load("key"))
            assert_whole(store.load("key"))
        with store.lock("key", self.lease + _PATIENCE / 4):
            store.save("key", "text")
        assert store.load("key") == "text"


class _Child:
    """A process that does ``task`` to the store that ``recipe`` makes there; it is killed at the end."""

    def __init__(
        self, task: Callable[..., None], recipe: Callable[[], TokenStore], *arguments: object
    ) -> None:
        start = "from hellojohn.testing._store_child import main; main()"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", start],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._input, self._output = self._process.stdin, self._process.stdout
        pickle.dump((task, recipe, arguments), self._input)
        self._input.flush()

    def wait_until_ready(self) -> None:
        """Wait until the child has reached the point that its task reports."""
        assert self._output.readline() == b"ready\n", "the child failed: see its error output"

    def signal(self) -> None:
        """Let the child continue."""
        self._input.write(b"\n")
        self._input.flush()

    def finish(self) -> None:
        """Wait until the child has done its task."""
        assert self._process.wait(_PATIENCE) == 0, "the child failed: see its error output"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._input.close()
        self._output.close()
