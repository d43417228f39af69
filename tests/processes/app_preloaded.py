"""A web back end that signs in before ``gunicorn --preload`` forks its workers.

Its time is the modification time of the file ``CLOCK``. A request waits until every worker has one.
"""

import multiprocessing
import os
from pathlib import Path

from hellojohn import FileStore, HelloJohn
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD

hj = HelloJohn(
    store=FileStore(os.environ["SESSIONS"]), clock=lambda: Path(os.environ["CLOCK"]).stat().st_mtime
)
hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=True)
hj.auth.refresh()
api = hj.client(base_url=os.environ["HELLOJOHN_API_URL"])
all_workers = multiprocessing.get_context("fork").Barrier(int(os.environ["WEB_CONCURRENCY"]))


def app(_environment, start_response):
    """Answer with the worker's number and the status of the API's answer."""
    all_workers.wait(30)
    status = api.get("/resource").status_code
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {status}".encode()]
