"""The harness finds what it is made to find: a walk that sees nothing would pass everything."""

import asyncio
import copy
import logging
import pickle

import pytest

from hellojohn import HelloJohnError
from hellojohn._session.events import Events
from hellojohn._secret import Secret
from hellojohn._view import View
from tests.secrecy.markers import ACCESS, PASSWORD
from tests.secrecy.tracebacks import exposed_by
from tests.secrecy.walk import HOLDERS, exposed


def planted(**attributes):
    """Return an object of the package that holds something it should not."""
    events = Events()
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
def test_a_plain_secret_is_found_wherever_it_is_kept(holds):
    """In a container, a closure, an error or another object."""
    assert exposed(planted(kept=holds))


def test_a_closure_is_looked_into():
    """Callbacks and operations are closures: what they hold lives as long as they do."""
    kept = PASSWORD
    assert exposed(planted(kept=lambda: kept))


def test_a_wrapped_secret_is_no_leak():
    """That is what the wrapper is for."""
    assert exposed(planted(kept=Secret(PASSWORD))) == []


def misused():
    """Return an error of the package's whose frame holds a plain secret."""
    with pytest.raises(TypeError) as caught:
        Events().on(PASSWORD)
    return caught.value


def test_the_frames_of_the_package_are_looked_into():
    """A function of the package's that raises has its locals in the traceback."""
    assert [leak for leak in exposed_by(misused()) if "callback" in leak]


def test_what_an_error_drags_along_is_looked_into():
    """A cause, a context, a note and an attribute show up in logs as the error does."""
    for error in (HelloJohnError("a"), HelloJohnError("b"), HelloJohnError("c"), HelloJohnError("d")):
        assert exposed_by(error) == []
    first, second, third, fourth = (HelloJohnError("x") for _ in range(4))
    first.__cause__ = ValueError(PASSWORD)
    second.__context__ = ValueError(PASSWORD)
    third.add_note(PASSWORD)
    fourth.detail = {"token": PASSWORD}
    for error in (first, second, third, fourth):
        assert exposed_by(error)


def test_a_log_line_is_heard(ear):
    """Its text, its arguments and its traceback."""
    logger = logging.getLogger("hellojohn.planted")
    logger.debug("said %s", PASSWORD)
    logger.debug("%s", {"token": PASSWORD})
    logger.error("failed", exc_info=misused())
    assert {leak.split(":")[0] for leak in ear.leaks} == {"hellojohn.planted"}
    assert len(ear.leaks) >= 3
    ear.leaks.clear()


def test_the_holders_are_few_and_masked():
    """The two classes that may hold a plain secret show nothing, are not copied and do not pickle."""
    assert set(HOLDERS) == {Secret, View}
    secret = Secret(ACCESS)
    assert exposed(secret) == []
    for copies in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            copies(secret)
    assert not hasattr(secret, "__dict__")


async def test_an_error_nobody_waited_for_is_heard(ear):
    """What asyncio reports of lost tasks goes to its logger."""

    async def lose():
        raise HelloJohnError(PASSWORD)

    task = asyncio.get_running_loop().create_task(lose())
    await asyncio.sleep(0)
    del task
    await asyncio.sleep(0)
    assert [leak for leak in ear.leaks if leak.startswith("asyncio")]
    ear.leaks.clear()
