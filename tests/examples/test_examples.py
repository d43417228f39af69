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

PROTECT_AN_API = """\
GET /orders: 401, {"detail":"An access token is needed."}
GET /news: 200, "news for everyone"
GET /news: 200, "news for demo@example.com"
GET /orders: 200, "the orders of demo@example.com"
POST /orders: 403, {"detail":"A scope is missing."}
POST /orders: 200, "an order by demo@example.com"
GET /orders: 401, {"detail":"The session was revoked."}
"""

SELF_HOSTED = """\
Signed in for 30 days, 0:00:00: signed in
The database is away: please try again later; you are still signed in
It is back: signed in
Not on this server: magic links
A month later: the session has ended: duration_elapsed
"""

SERVICE = """\
First call: the API answers 200
A hundred calls, and tokens asked for: 1
Half an hour later: the API answers 200
Tokens asked for: 2
The auth server is down: the API answers 200
The token has expired: no token, try again in 30 s
It is back: the API answers 200
With another scope: fix the settings: The client does not have all of these scopes: orders:read, \
orders:write. Add them to the client, or ask for fewer.
"""

BROWSER = f"{sys.executable} {Path(__file__).with_name('login_filler.py')} %s"


def _run(name, folder, *, says="", **variables):
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HELLOJOHN_")}
    surroundings = {**ours, **variables}
    ended = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name],
        cwd=folder,
        env=surroundings,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert says in ended.stderr if says else ended.stderr == "", ended.stderr
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


def test_protected_api_answers_each_kind_of_token(tmp_path):
    """A missing token, a missing scope and a revoked session are refused, and good tokens are let through."""
    assert _run("protect_an_api.py", tmp_path) == PROTECT_AN_API


def test_admin_policies_are_set_and_sessions_end(tmp_path):
    """The policies round-trip, a bad one warns, and a revoked session is over while another goes on."""
    out = _run("admin_policies.py", tmp_path)
    assert '"session_duration": "8h"' in out
    assert "Warning: access_token_ttl is not shorter than idle_timeout." in out
    assert out.endswith("Sessions: 2\nlaptop: still signed in\nphone: revoked\n")


def test_self_hosted_survives_an_outage_and_ends_on_time(tmp_path):
    """An outage of the open-source server signs no user out, and the client ends the session itself."""
    assert _run("self_hosted.py", tmp_path) == SELF_HOSTED


def test_service_shares_a_token_and_survives_an_outage(tmp_path):
    """All calls share a token, which serves through an outage, and a missing scope is named."""
    assert _run("service.py", tmp_path) == SERVICE


def test_browser_sign_in_opens_a_browser_and_waits_for_it(tmp_path):
    """A browser that fills in the login page completes the sign-in of a program in a terminal."""
    out = _run("browser_sign_in.py", tmp_path, says="Sign in with your browser: http", BROWSER=BROWSER)
    assert out == "Signed in as demo@example.com for 30 days, 0:00:00\n"
