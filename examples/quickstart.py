"""Sign in, call an API, live through expiry and an outage, and ask the user to sign in when it is over.

It runs as it is, against an emulator of the service inside this process:

    pip install 'hellojohn[emulator]'
    python examples/quickstart.py

In an app of your own there is no emulator: ``HelloJohn()`` takes its settings from ``HELLOJOHN_TENANT_ID``
and ``HELLOJOHN_PUBLISHABLE_KEY``, and ``base_url`` is the address of your API.
"""

import httpx

from hellojohn import HelloJohn, NotSignedIn, ServiceUnavailable, SessionExpired
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator


def ask(api: httpx.Client) -> str:
    """Call the API once, and put into words for the user what came of it."""
    try:
        answer = api.get("/resource")
    except NotSignedIn:
        return "please sign in"
    except SessionExpired as over:
        return f"please sign in again (the session is over: {over.reason})"
    except ServiceUnavailable as trouble:
        return f"please try again in {trouble.retry_after or 5:.0f} s; you are still signed in"
    return f"the API answers with status {answer.status_code}"


def main() -> None:
    """Spend a month in a second."""
    with (
        Emulator() as emulator,
        HelloJohn(
            tenant_id=emulator.tenant_id,
            publishable_key=emulator.publishable_key,
            api_url=emulator.url,
            clock=emulator.clock,
        ) as hj,
        hj.client(base_url=emulator.url) as api,
    ):
        print("Before sign-in:", ask(api))

        session = hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=True)
        print(f"Signed in as {session.user.email if session.user else '?'}:", ask(api))

        emulator.advance("2h")  # an access token lives for an hour
        print(f"Two hours later: {ask(api)}; refreshes so far: {emulator.rotations}")

        emulator.fail("token/refresh", status=503, retry_after=60, times=None)
        emulator.advance("2h")
        print("The service is down:", ask(api))

        emulator.clear_failures()
        emulator.advance("1m")
        print("It is back:", ask(api))

        emulator.advance("30d")  # what remember_me=True asked for
        print("A month later:", ask(api))


if __name__ == "__main__":
    main()
