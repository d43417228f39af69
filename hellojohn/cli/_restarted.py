"""The demo's second process: it knows a folder, and finds the session there.

Its arguments are the folder, the API's address, and by how many seconds the demo's clock is ahead.
"""

import sys
import time

from hellojohn import FileStore, HelloJohn


def main(folder: str, url: str, ahead: str) -> None:
    """Call the API with the session that the folder holds."""
    moved = float(ahead)
    with (
        HelloJohn(store=FileStore(folder), clock=lambda: time.time() + moved) as hj,
        hj.client(base_url=url) as api,
    ):
        answer = api.get("/resource")
        print(f"{answer.status_code}, to session {answer.json()['session_id']}")  # noqa: T201 - its result


if __name__ == "__main__":
    main(*sys.argv[1:])
