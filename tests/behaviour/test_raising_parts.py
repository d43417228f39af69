"""Parts of an app that raise at the worst moment, between the answer of a refresh and its save."""

import enum
import logging
import sys
from contextlib import suppress

import pytest

from hellojohn import ConfigurationError, HelloJohn, MemoryStore
from tests.behaviour.pace import StrictService
from tests.behaviour.scripted import EMAIL, PASSWORD
from tests.both_faces import EventLog, close, in_thread, settle
from tests.fake_stores import FailingStore

MOST = 30
"""More calls of the clock than a refresh makes."""


class Raising(logging.Handler):
    """A handler that expects other records than it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.raised = 0

    def emit(self, record):
        """Raise."""
        self.raised += 1
        raise ValueError(record.args)


@pytest.fixture
def handler():
    """Put such a handler on the logger of the SDK."""
    handler, logger = Raising(), logging.getLogger("hellojohn")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


class Clock:
    """A clock that fails at one of its calls."""

    def __init__(self, clock, wrong) -> None:
        self._clock = clock
        self._wrong = wrong
        self.left = 0

    def __call__(self):
        """Return the time, or fail."""
        self.left -= 1
        if self.left != 0:
            return self._clock()
        if self._wrong is OSError:
            raise OSError("no clock")
        return self._wrong


async def test_log_handler_that_raises_loses_no_session(owner, service, handler):
    """The line about a failed save comes before the save is tried again."""
    store = FailingStore()
    hj = service.client(owner, store=store)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    service.at(hours=2)
    store.fail("save", skip=1, times=1)
    assert await settle(hj.auth.access_token()) == "at_2"
    assert handler.raised
    await close(hj)
    assert service.client(store=store).auth.access_token() == "at_2"


async def test_log_handler_that_raises_ends_no_events(owner, service, handler):
    """A callback that fails is reported, and the others hear of everything that follows."""
    hj = service.client(owner)

    def broken(event):
        raise ValueError(event)

    hj.on(broken)
    log = EventLog(hj)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    await settle(hj.auth.sign_out())
    log.wait_for("SIGNED_OUT")
    assert log.names() == ["SIGNED_IN", "SIGNED_OUT"]
    assert handler.raised


@pytest.mark.parametrize("wrong", [OSError, None, "noon", float("nan")], ids=repr)
def test_clock_that_fails_once_loses_no_session(wrong):
    """The caller may get an error, before or after the refresh. The pair of an answer is saved."""
    for call in range(1, MOST):
        service, store = StrictService(), MemoryStore()
        clock = Clock(service.clock, wrong)
        hj = service.client(store=store, clock=clock)
        hj.auth.sign_in(EMAIL, PASSWORD)
        clock.left = call
        with suppress(OSError, TypeError):
            hj.auth.refresh()
        if clock.left > 0:
            break
        assert in_thread(hj.auth.refresh)().id == "ses_1", f"call {call}"
        hj.close()
        assert service.reuses == 0, f"call {call}"
    assert 5 < call < MOST - 1


def test_store_that_exits_in_a_save_loses_no_session(service):
    """SystemExit counts as a failed save, which is tried again."""
    store = FailingStore()
    hj = service.client(store=store)
    hj.auth.sign_in(EMAIL, PASSWORD)
    service.at(hours=2)
    store.fail("save", skip=1, times=1, error=SystemExit())
    assert hj.auth.access_token() == "at_2"
    assert service.client(store=store).auth.access_token() == "at_2"


class Account(str, enum.Enum):  # noqa: UP042 - StrEnum formats itself as its text
    """Names of accounts as an app may write them."""

    MAIN = "main"


def test_account_named_by_an_enum(service):
    """Its text counts, however the class formats itself."""
    store = MemoryStore()
    service.client(store=store, account=Account.MAIN).auth.sign_in(EMAIL, PASSWORD)
    assert service.client(store=store, account="main").auth.session() is not None
    assert service.client(store=store).for_account(Account.MAIN).account == "main"


def test_clients_for_accounts_beside_close(service):
    """Each is made, or refused because the client was closed, and close() raises nothing."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            hj: HelloJohn = service.client()
            kept = [hj.for_account(f"k{number}") for number in range(300)]

            def make(hj=hj, kept=kept):
                with suppress(ConfigurationError):
                    for number in range(2_000):
                        kept.append(hj.for_account(f"n{number}"))

            making = [in_thread(make) for _ in range(4)]
            hj.close()
            for made in making:
                made()
            with pytest.raises(ConfigurationError):
                hj.for_account("late")
    finally:
        sys.setswitchinterval(interval)
