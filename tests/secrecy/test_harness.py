"""The harness finds planted secrets: a walk that sees nothing would pass every test."""

import asyncio
import copy
import logging
import pickle

import pytest

from hellojohn import HelloJohnError
from hellojohn._secret import Secret
from hellojohn._session.events import Events
from hellojohn._session.freshness import TokenSnapshot
from hellojohn._session.workers import WorkerPool
from tests.secrecy.markers import ACCESS, PASSWORD
from tests.secrecy.tracebacks import exposed_by
from tests.secrecy.walk import HOLDERS, exposed


def planted(**attributes):
    """Return an object of the package that holds what it should not."""
    events = Events(WorkerPool())
    events.__dict__.update(attributes)
    return events


@pytest.mark.parametrize(
    "holds",
    [
        PASSWORD,
        PASSWORD.encode(),
        {"deep": [("down", {PASSWORD})]},
        {PASSWORD: 1},
        lambda hidden=PASSWORD: hidden,
        HelloJohnError(PASSWORD),
        planted(further=PASSWORD),
    ],
    ids=["text", "bytes", "deep", "key", "default", "error", "object"],
)
def test_plain_secret_is_found(holds):
    """A plain secret is found in a container, a closure, an error and another object."""
    assert exposed(planted(kept=holds))


def test_closure_is_searched():
    """What a callback or an operation holds lives as long as it does."""
    kept = PASSWORD
    assert exposed(planted(kept=lambda: kept))


def test_wrapped_secret_is_not_a_leak():
    """A Secret may be kept anywhere."""
    assert exposed(planted(kept=Secret(PASSWORD))) == []


def misused():
    """Return an error of the package whose frame holds a plain secret."""
    with pytest.raises(TypeError) as caught:
        Events(WorkerPool()).on(PASSWORD)
    return caught.value


def test_frames_of_the_package_are_searched():
    """The local variables of a function that raises are in the traceback."""
    assert [leak for leak in exposed_by(misused()) if "callback" in leak]


def test_parts_of_an_error_are_searched():
    """A cause, a context, a note and an attribute are logged together with the error."""
    for error in (HelloJohnError("a"), HelloJohnError("b"), HelloJohnError("c"), HelloJohnError("d")):
        assert exposed_by(error) == []
    first, second, third, fourth = (HelloJohnError("x") for _ in range(4))
    first.__cause__ = ValueError(PASSWORD)
    second.__context__ = ValueError(PASSWORD)
    third.add_note(PASSWORD)
    fourth.detail = {"token": PASSWORD}
    for error in (first, second, third, fourth):
        assert exposed_by(error)


def test_log_line_is_searched(listener):
    """The text, the arguments and the traceback of a log line are searched."""
    logger = logging.getLogger("hellojohn.planted")
    logger.debug("sent %s", PASSWORD)
    logger.debug("%s", {"token": PASSWORD})
    logger.error("failed", exc_info=misused())
    assert {leak.split(":")[0] for leak in listener.leaks} == {"hellojohn.planted"}
    assert len(listener.leaks) >= 3
    listener.leaks.clear()


def test_holders_are_two_and_masked():
    """The two classes that may hold a plain secret show nothing, and do not pickle."""
    assert set(HOLDERS) == {Secret, TokenSnapshot}
    secret = Secret(ACCESS)
    assert exposed(secret) == []
    for copies in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            copies(secret)
    assert not hasattr(secret, "__dict__")


async def test_lost_task_is_searched(listener):
    """What asyncio logs about a task that nothing awaited is searched."""

    async def lose():
        raise HelloJohnError(PASSWORD)

    task = asyncio.get_running_loop().create_task(lose())
    await asyncio.sleep(0)
    del task
    await asyncio.sleep(0)
    assert [leak for leak in listener.leaks if leak.startswith("asyncio")]
    listener.leaks.clear()
