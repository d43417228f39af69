"""A process that runs out of file descriptors when the service has just rotated the tokens."""

import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("resource", reason="only on systems with resource limits")

PROGRAM = """
    import os, resource, sys
    import httpx
    from hellojohn import FileStore, HelloJohn

    folder, body = sys.argv[1:]
    now, taken = [1_700_000_000.0], []

    def answer(request):
        if request.url.path.endswith("sign-out"):
            return httpx.Response(204)
        if request.url.path.endswith("refresh"):
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            try:
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                pass
            dated = {"Date": "Sun, 15 Jun 2025 15:06:40 GMT"}
            return httpx.Response(200, content=body.encode(), headers=dated)
        return httpx.Response(200, json={"access_token": "at_1", "refresh_token": "rt_1", "expires_in": 60})

    settings = {
        "tenant_id": "t",
        "publishable_key": "pk_1",
        "store": FileStore(folder),
        "transport": httpx.MockTransport(answer),
        "clock": lambda: now[0],
    }
    hj = HelloJohn(**settings)
    hj.auth.sign_in("ada@example.com", "correct horse")
    now[0] += 61
    token = hj.auth.access_token()
    for descriptor in taken:
        os.close(descriptor)
    hj.close()
    with HelloJohn(**settings) as again:
        print(token, again.auth.access_token())
"""

ANSWERS = {
    "opaque": '{"access_token": "at_2", "refresh_token": "rt_2", "expires_in": 60}',
    "jwt": '{"access_token": "e30.eyJpYXQiOjEsImV4cCI6NjF9.e30", "refresh_token": "rt_2"}',
    "date": '{"session": {"access_token": "at_2", "refresh_token": "rt_2",'
    ' "access_token_expires_at": "2025-06-15T16:06:40Z"}}',
}


@pytest.mark.parametrize("name", ANSWERS)
def test_rotated_pair_outlives_a_lack_of_descriptors(tmp_path, name):
    """The new pair is used, and saved when descriptors are free again: nothing is imported in between."""
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path / "sessions"), ANSWERS[name]]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    used, saved = run.stdout.split()
    assert used == saved != "at_1"
