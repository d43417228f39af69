"""The examples run as a reader runs them: as programs, without arguments or settings."""

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"

QUICKSTART = """\
Before sign-in: please sign in
Signed in as demo@example.com: the API answers with status 200
Two hours later: the API answers with status 200; refreshes so far: 1
The service is down: please try again in 60 s; you are still signed in
It is back: the API answers with status 200
A month later: please sign in again (the session has ended: expired)
"""

ASYNC_APP = """\
- SIGNED_IN
Signed in for 1 day, 0:00:00
50 calls answered
50 calls answered after 1 refresh
- SESSION_EXPIRED (expired)
- SIGNED_IN
Signed in for 1 day, 0:00:00
50 calls answered
- SIGNED_OUT
Session: None
"""


def _run(name, folder):
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("HELLOJOHN_")}
    ended = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name],
        cwd=folder,
        env=surroundings,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stderr == ""
    assert ended.returncode == 0
    assert list(folder.iterdir()) == []
    return ended.stdout


def test_quickstart_prints_its_story(tmp_path):
    """The first program that a reader runs works at once and leaves nothing behind."""
    assert _run("quickstart.py", tmp_path) == QUICKSTART


def test_async_app_refreshes_once_and_signs_in_again(tmp_path):
    """Fifty calls at once cause one refresh, and the app survives the end of its session."""
    lines = [line.rstrip() for line in _run("async_app.py", tmp_path).splitlines()]
    assert lines.count("- TOKEN_REFRESHED") == 1
    lines.remove("- TOKEN_REFRESHED")  # a callback may print it before or after the next line
    assert lines == ASYNC_APP.splitlines()
