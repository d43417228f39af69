"""An asyncio app: many calls at once, one refresh for all of them, a new sign-in, and a clean shutdown.

It runs without an account, against an emulator of the service in the same process:

    pip install '.[emulator]'
    python examples/async_app.py

A real app has no emulator: ``AsyncHelloJohn()`` reads its settings from ``HELLOJOHN_TENANT_ID`` and
``HELLOJOHN_PUBLISHABLE_KEY``, and ``base_url`` is the address of the app's API.
"""

import asyncio

import httpx

from hellojohn import AsyncHelloJohn, AuthEvent, SessionExpired
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator


async def sign_in(hj: AsyncHelloJohn) -> None:
    """Stand in for the app's sign-in form."""
    session = await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=False)
    print(f"Signed in for {session.duration}")


async def work(api: httpx.AsyncClient, calls: int) -> int:
    """Send ``calls`` requests at once; return how many succeeded. The first error cancels the others."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(api.get(f"/resource/{n}")) for n in range(calls)]
    return sum(task.result().is_success for task in tasks)


async def run(emulator: Emulator, hj: AsyncHelloJohn, api: httpx.AsyncClient) -> None:
    """Let a day and a half pass in a moment."""
    await sign_in(hj)
    print(f"{await work(api, 50)} calls answered")

    emulator.advance("2h")  # an access token is valid for an hour
    print(f"{await work(api, 50)} calls answered after {emulator.rotations} refresh")

    emulator.advance("1d")  # sign_in asked for a session of 24 hours
    try:
        await work(api, 50)
    except* SessionExpired:
        await sign_in(hj)
    print(f"{await work(api, 50)} calls answered")

    await hj.auth.sign_out()
    print(f"Session: {await hj.auth.session()}")


async def main() -> None:
    """Open the emulator and the clients, and close them in the right order."""
    with Emulator() as emulator:
        async with AsyncHelloJohn(
            tenant_id=emulator.tenant_id,
            publishable_key=emulator.publishable_key,
            api_url=emulator.url,
            clock=emulator.clock,
        ) as hj:
            hj.on(show)
            async with hj.client(base_url=emulator.url) as api:
                await run(emulator, hj, api)


def show(event: AuthEvent) -> None:
    """Print an event of the session. Callbacks run on a thread of the SDK, not on the event loop."""
    print(f"- {event.type}", f"({event.reason})" if event.reason else "")


if __name__ == "__main__":
    asyncio.run(main())
