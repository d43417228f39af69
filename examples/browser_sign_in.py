"""Sign in with the browser, from a program in a terminal or from a window on a desktop.

It runs without an account, against an emulator of the service in the same process:

    pip install '.[emulator]'
    python examples/browser_sign_in.py
    python examples/browser_sign_in.py --window

A page opens in the browser. Sign in there with the user that is printed. On a machine without a browser, open
the printed address elsewhere, and paste the address that the other browser ends on.

A real app has no emulator. Its addresses ``http://127.0.0.1:8765/callback``, and those with 8766 and 8767,
must be registered with the service, which compares them as text.
"""

import select
import sys

from hellojohn import AsyncHelloJohn, ChallengeExpired, HelloJohn, ServiceUnavailable
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator


def typed() -> str:
    """Return a line that the person has typed, or nothing so far.

    ``input`` would go on waiting when the browser is back, and would take the next line of the terminal. On
    Windows, ``select`` cannot wait for a terminal, and no address can be pasted.
    """
    if not select.select([sys.stdin], [], [], 0.2)[0]:
        return ""
    line = sys.stdin.readline()
    if not line:  # the terminal is gone
        raise EOFError
    return line


def sign_in(hj: HelloJohn) -> int:
    """Sign in through a provider; return the exit code."""
    try:
        session = hj.auth.sign_in_with_browser(
            "google",
            remember_me=True,
            prompt=lambda line: print(line, file=sys.stderr),
            paste=typed if sys.stdin.isatty() else None,
        )
    except ChallengeExpired as error:
        print(f"You have not signed in: {error}", file=sys.stderr)
        return 1
    except ServiceUnavailable as error:
        print(f"Please try again: {error}", file=sys.stderr)
        return 75
    print(f"Signed in as {session.user.email} for {session.duration}")
    return 0


def main() -> int:
    """Run it against an emulator."""
    with Emulator() as emulator:
        tenant_id, key, api_url = emulator.tenant_id, emulator.publishable_key, emulator.url
        print(f"In the browser, sign in as {DEMO_EMAIL} with {DEMO_PASSWORD!r}.", file=sys.stderr)
        if "--window" in sys.argv:
            from browser_sign_in_window import show_window  # noqa: PLC0415 - a server may have no tkinter

            return show_window(AsyncHelloJohn(tenant_id=tenant_id, publishable_key=key, api_url=api_url))
        with HelloJohn(tenant_id=tenant_id, publishable_key=key, api_url=api_url) as hj:
            return sign_in(hj)


if __name__ == "__main__":
    sys.exit(main())
