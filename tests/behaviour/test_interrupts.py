"""Ctrl-C at any line of a call: the session survives, and the next caller does not hang."""

import linecache
import sys
from pathlib import Path

import pytest

import hellojohn
from hellojohn import HelloJohn
from tests.behaviour.pace import StrictService
from tests.behaviour.scripted import EMAIL, PASSWORD, DictStore
from tests.both_faces import EventLog, in_thread, until

PACKAGE = str(Path(hellojohn.__file__).parent)
MOST = 600
"""More lines than any of these calls runs on the caller's thread."""


class Interrupt:
    """Raises ``KeyboardInterrupt`` on this thread at the n-th line that it runs in the package.

    Python handles no signal between the end of a ``with`` block and its exit, so neither does this.
    """

    def __init__(self, line: int) -> None:
        self._left = line
        self.raised = False

    def __call__(self, frame, _event, _arg):
        """Trace the frames of the package."""
        return self._trace if frame.f_code.co_filename.startswith(PACKAGE) else None

    def _trace(self, frame, event, _arg):
        text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        if event == "line" and not text.startswith("with "):
            self._left -= 1
            if self._left == 0:
                self.raised = True
                sys.settrace(None)
                raise KeyboardInterrupt
        return self._trace


def interrupted(call, line: int) -> bool:
    """Interrupt a call at a line; return whether it ran so many lines."""
    before, interrupt = sys.gettrace(), Interrupt(line)
    sys.settrace(interrupt)
    try:
        call()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return interrupt.raised


class Desk:
    """A signed-in client of a strict service."""

    def __init__(self) -> None:
        self.service = StrictService()
        self.store = DictStore()
        self.hj: HelloJohn = self.service.client(store=self.store)
        self.hj.auth.sign_in(EMAIL, PASSWORD)
        self.log = EventLog(self.hj)

    def refreshed_once(self) -> None:
        """Check that the next caller gets the token of the only refresh."""
        assert in_thread(self.hj.auth.access_token)() == "at_2"
        self.log.wait_for("TOKEN_REFRESHED")
        self.hj.close()
        assert self.service.presented() == ["rt_1"]
        assert self.service.reuses == 0
        assert '"rt_2"' in self.store.text()


@pytest.mark.parametrize("after", [60, 58], ids=["waiting", "in the background"])
def test_interrupt_at_any_line_of_a_token_request(after):
    """The refresh that an interrupted caller began, or was about to begin, serves the next caller."""
    for line in range(1, MOST):
        desk = Desk()
        desk.service.at(minutes=after)
        if not interrupted(desk.hj.auth.access_token, line):
            desk.hj.close()
            break
        desk.service.at(hours=1, minutes=1)
        desk.refreshed_once()
        assert desk.log.names() == ["TOKEN_REFRESHED"], f"line {line}"
    assert 20 < line < MOST


def test_interrupt_at_any_line_of_a_forced_refresh():
    """An interrupted refresh() leaves a session that works, with one or two refreshes and no reuse."""
    for line in range(1, MOST):
        desk = Desk()
        if not interrupted(desk.hj.auth.refresh, line):
            desk.hj.close()
            break
        assert in_thread(desk.hj.auth.refresh)().id == "ses_1", f"line {line}"
        desk.hj.close()
        assert desk.service.reuses == 0
        assert desk.service.presented() in (["rt_1"], ["rt_1", "rt_2"])
    assert 20 < line < MOST


def test_interrupt_at_any_line_of_a_read():
    """The caller who reads the store does so for all, and the next one reads it again."""
    service, store = StrictService(), DictStore()
    service.client(store=store).auth.sign_in(EMAIL, PASSWORD)
    for line in range(1, MOST):
        hj = service.client(store=store)
        if not interrupted(hj.auth.session, line):
            hj.close()
            break
        assert in_thread(hj.auth.session)().id == "ses_1", f"line {line}"
        assert in_thread(hj.auth.access_token)() == "at_1", f"line {line}"
        hj.close()
    assert 20 < line < MOST


def test_interrupt_at_any_line_of_a_sign_out():
    """An interrupted sign_out() signs the user out or changes nothing, and the next one completes it."""
    for line in range(1, MOST):
        desk = Desk()
        if not interrupted(desk.hj.auth.sign_out, line):
            desk.hj.close()
            break
        until(lambda desk=desk: (desk.hj.auth.session() is None) == (desk.store.texts == {}))
        assert in_thread(desk.hj.auth.sign_out)() is True, f"line {line}"
        assert desk.hj.auth.session() is None
        assert desk.store.texts == {}
        desk.hj.close()
        assert set(desk.log.names()) == {"SIGNED_OUT"}, f"line {line}"
    assert 20 < line < MOST


def test_interrupt_at_any_line_of_a_sign_in():
    """An interrupted sign_in() has signed Ada in or not; Bob, who signs in next, is the one who stays."""
    for line in range(1, MOST):
        service, store = StrictService(), DictStore()
        hj: HelloJohn = service.client(store=store)
        log = EventLog(hj)
        if not interrupted(lambda hj=hj: hj.auth.sign_in(EMAIL, PASSWORD), line):
            hj.close()
            break
        session = in_thread(lambda hj=hj: hj.auth.sign_in("bob@example.com", PASSWORD))()
        assert session.user.email == "bob@example.com", f"line {line}"
        hj.close()
        assert log.events[-1].session == session, f"line {line}"
        assert in_thread(service.client(store=store).auth.session)() == session, f"line {line}"
    assert 20 < line < MOST
