"""Sign in, call an API, survive expiry and an outage, and ask the user to sign in when the session is over.

It runs without an account, against an emulator of the service in the same process:

    pip install '.[emulator]'
    python examples/quickstart.py

A real app has no emulator: ``HelloJohn()`` reads its settings from ``HELLOJOHN_TENANT_ID`` and
``HELLOJOHN_PUBLISHABLE_KEY``, and ``base_url`` is the address of the app's API.
"""

import httpx

from hellojohn import HelloJohn, NotSignedIn, ServiceUnavailable, SessionExpired
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator


def ask(api: httpx.Client) -> str:
    """Call the API once, and return the result in words for the user."""
    try:
        answer = api.get("/resource")
    except NotSignedIn:
        return "please sign in"
    except SessionExpired as error:
        return f"please sign in again (the session has ended: {error.reason})"
    except ServiceUnavailable as error:
        return f"please try again in {error.retry_after or 5:.0f} s; you are still signed in"
    return f"the API answers with status {answer.status_code}"


def main() -> None:
    """Let a month pass in a second."""
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
        print(f"Signed in as {session.user.email}:", ask(api))

        emulator.advance("2h")  # an access token is valid for an hour
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
