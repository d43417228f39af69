"""``hellojohn demo``: it holds, it reads well everywhere, and it cannot hold when a claim does not."""

import io
import os
import re
import sys

import pytest
from rich.console import Console

from hellojohn.cli import _demo, _steps
from hellojohn.cli._narrator import ClaimFailedError, Narrator
from hellojohn.emulator import Emulator

_TITLES = [title for title, _ in _steps.STEPS]
_CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def _told(text):
    return [line.partition(". ")[2] for line in text.splitlines() if re.match(r"\d\. ", line)]


def test_every_step_holds(run):
    """The main job, end to end."""
    result = run("demo", "--fast")
    assert result.exit_code == 0, result.output
    assert _told(result.output) == _TITLES
    assert result.output.count("\u2713") == len(_TITLES) + 1
    assert "All held: one sign-in, a month, 5 refreshes" in result.output


def test_it_is_plain_text_in_a_pipe(start):
    """A log or a file gets no control codes, no trailing blanks, and lines of 80 columns at most."""
    process = start("demo", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert _told(out) == _TITLES
    assert out.isascii()
    assert out.replace("\n", "").isprintable()
    assert max(len(line) for line in out.splitlines()) <= 80
    assert [line for line in out.splitlines() if line != line.rstrip()] == []


@pytest.mark.skipif(os.name != "posix", reason="only on POSIX there are pseudo-terminals")
def test_it_has_colours_in_a_terminal(start):
    """The same story, in 80 columns."""
    import pty  # noqa: PLC0415 - POSIX only
    import termios  # noqa: PLC0415

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    environment = os.environ | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    process = start("demo", "--fast", stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    text = _read_all(ours)
    assert process.wait(timeout=30) == 0
    assert "\x1b[32m\u2713" in text
    plain = _CODES.sub("", text)
    assert _told(plain) == _TITLES
    assert max(len(line) for line in plain.splitlines()) <= 80


def _read_all(terminal):
    with os.fdopen(terminal, "rb") as opened:
        data = b""
        try:
            while more := opened.read1():
                data += more
        except OSError:  # the process has closed its end
            pass
    return data.decode().replace("\r\n", "\n")


class _ShortSessions(Emulator):
    """Grants less than it was asked for."""

    def __init__(self, **options):
        super().__init__(**options)
        self.configure(session_duration="1d")


class _FailingApi(Emulator):
    """Its API is broken."""

    def __init__(self, **options):
        super().__init__(**options)
        self.fail("resource", status=500, times=None)


class _CountsDouble(Emulator):
    """As if every refresh was made twice."""

    @property
    def rotations(self):
        return 2 * super().rotations


class _TakesEverything(Emulator):
    """Its API goes on taking the tokens it was to refuse."""

    def reject_access_tokens(self):
        pass


class _SeesReuse(Emulator):
    """As if a refresh token had come twice."""

    @property
    def reuses(self):
        return 1


class _StaysUp(Emulator):
    """Does not go away at the first request."""

    asked = False

    def stop(self):
        if self.asked:
            super().stop()
        self.asked = True


class _Immortal(Emulator):
    """Time stands still for it in the end."""

    def advance(self, by):
        if by != "1d":
            super().advance(by)


@pytest.mark.parametrize(
    ("number", "service", "complaint"),
    [
        (1, _ShortSessions, "Not so: The service granted what was asked for"),
        (2, _FailingApi, "Not so: The access token went along by itself."),
        (3, _CountsDouble, "Not so: Nobody waited for the refresh."),
        (4, _TakesEverything, "Not so: One refresh, one replay"),
        (5, _SeesReuse, "Not so: Exactly one refresh"),
        (6, _StaysUp, "Not so: Nobody was signed out."),
        (9, _Immortal, "Not so: The service's word ended it"),
    ],
)
def test_a_claim_that_does_not_hold_fails_the_demo(run, monkeypatch, number, service, complaint):
    """The checks are real: with a fault planted, the step says so and the demo ends there."""
    monkeypatch.setattr(_demo, "Emulator", service)
    result = run("demo", "--fast")
    assert result.exit_code == 1
    assert _told(result.output) == _TITLES[:number]
    assert f"\u2717 {complaint}" in result.output
    assert f"The demo failed at step {number} of {len(_TITLES)}." in result.output
    assert "All held" not in result.output


def test_a_restart_that_finds_nothing_fails_the_demo(run, monkeypatch, tmp_path):
    """The second process is a real one: given another folder, it is not signed in."""
    monkeypatch.setattr(_demo, "STEPS", (_steps.STEPS[0], _steps.STEPS[6]))
    stage = _steps.Stage
    monkeypatch.setattr(
        _demo, "Stage", lambda tell, emulator, _, *rest: stage(tell, emulator, tmp_path / "empty", *rest)
    )
    result = run("demo", "--fast")
    assert result.exit_code == 1
    assert "NotSignedIn" in result.output
    assert "The demo failed at step 2 of 2." in result.output


def test_an_error_fails_the_demo(run, monkeypatch):
    """Any error is reported in one line, and the demo ends there."""
    monkeypatch.setattr(sys, "executable", os.devnull)
    monkeypatch.setattr(_demo, "STEPS", (_steps.STEPS[0], _steps.STEPS[6]))
    result = run("demo", "--fast")
    assert result.exit_code == 1
    assert "\u2717 PermissionError" in result.output
    assert "Traceback" not in result.output


def test_a_session_that_is_lost_fails_the_demo(run, monkeypatch):
    """A step that needs a session does not go on without one."""
    monkeypatch.setattr(_demo, "STEPS", _steps.STEPS[-2:])
    result = run("demo", "--fast")
    assert result.exit_code == 1
    assert "Not so: There is a session." in result.output


@pytest.mark.parametrize(
    ("options", "colours", "paced"),
    [([], "1", True), (["--fast"], "1", False), ([], None, False), (["--fast"], None, False)],
)
def test_it_pauses_for_readers_only(run, monkeypatch, options, colours, paced):
    """A terminal gets time to read. A pipe gets none, and ``--fast`` gives none."""
    pauses = []
    monkeypatch.setattr(_demo, "play", lambda _, *, pause: not pauses.append(pause))
    assert run("demo", *options, env={"FORCE_COLOR": colours}).exit_code == 0
    assert [pause > 0 for pause in pauses] == [paced]


def test_the_narrator_pauses_before_a_title(monkeypatch):
    """The pause falls between the steps."""
    pauses = []
    monkeypatch.setattr("hellojohn.cli._narrator.time.sleep", pauses.append)
    tell = Narrator(Console(file=io.StringIO()), pause=0.5)
    tell.title("A title")
    tell.prose("Prose")
    assert pauses == [0.5]


def test_the_narrator_wraps_and_hangs():
    """A long fact stays in its column, and nothing is broken in two."""
    file = io.StringIO()
    tell = Narrator(Console(file=file, width=40), pause=0)
    tell.fact("a label", "word " * 8 + "https://a-very-long.example.com/that-is-kept-whole")
    assert file.getvalue().splitlines() == [
        "   a label     word word word word word",
        "               word word word",
        "               https://a-very-long.example.com/that-is-kept-whole",
    ]


def test_a_claim_is_told_only_when_it_holds():
    """A claim that does not hold is not printed as if it did."""
    file = io.StringIO()
    tell = Narrator(Console(file=file), pause=0)
    with pytest.raises(ClaimFailedError, match=r"Two and two are five\."):
        tell.claim("Two and two are five.", holds=False)
    assert file.getvalue() == ""
