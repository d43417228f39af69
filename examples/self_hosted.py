"""The open-source server: remember me, an outage of its database, and a call that the server cannot answer.

It runs without a server, against an emulator of the service in the same process:

    pip install '.[emulator]'
    python examples/self_hosted.py

A real app has no emulator: ``HelloJohn(api="v2")`` reads ``HELLOJOHN_API_URL``, ``HELLOJOHN_TENANT_ID`` (the
tenant's slug) and ``HELLOJOHN_CLIENT_ID``.
"""

from hellojohn import HelloJohn, NotSupported, ServiceUnavailable, SessionExpired
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator


def ask(hj: HelloJohn) -> str:
    """Use the session, and return the result in words."""
    try:
        hj.auth.access_token()
    except SessionExpired as error:
        return f"the session has ended: {error.reason}"
    except ServiceUnavailable:
        return "please try again later; you are still signed in"
    return "signed in"


def main() -> None:
    """Let a month pass, with an outage in it."""
    with (
        Emulator(api="v2") as emulator,
        HelloJohn(
            api="v2",
            tenant_id=emulator.tenant_id,
            client_id=emulator.client_id,
            api_url=emulator.url,
            clock=emulator.clock,
        ) as hj,
    ):
        session = hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=True)
        print(f"Signed in for {session.duration}:", ask(hj))

        emulator.advance("2h")
        with emulator.database_away():  # the server says SESSION_EXPIRED, and the SDK looks again
            print("The database is away:", ask(hj))
        emulator.advance("2m")
        print("It is back:", ask(hj))

        try:
            hj.auth.send_magic_link(DEMO_EMAIL)
        except NotSupported as error:
            print("Not on this server:", str(error).partition(":")[0])

        for _ in range(29):
            emulator.advance("1d")
            hj.auth.access_token()
        emulator.advance("1d")
        print("A month later:", ask(hj))


if __name__ == "__main__":
    main()
