"""An asyncio app: many calls at once, one refresh for all of them, a new sign-in, and a clean end.

It runs as it is, against an emulator of the service inside this process:

    pip install 'hellojohn[emulator]'
    python examples/async_app.py

In an app of your own there is no emulator: ``AsyncHelloJohn()`` takes its settings from
``HELLOJOHN_TENANT_ID`` and ``HELLOJOHN_PUBLISHABLE_KEY``, and ``base_url`` is the address of your API.
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
    """Make ``calls`` requests at once; return how many were answered. The first error ends the others."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(api.get(f"/resource/{n}")) for n in range(calls)]
    return sum(task.result().is_success for task in tasks)


async def run(emulator: Emulator, hj: AsyncHelloJohn, api: httpx.AsyncClient) -> None:
    """Work for a day and a half, as if an hour took no time."""
    await sign_in(hj)
    print(f"{await work(api, 50)} calls answered")

    emulator.advance("2h")  # an access token lives for an hour
    print(f"{await work(api, 50)} calls answered after {emulator.rotations} refresh")

    emulator.advance("1d")  # the session was asked for with 24 hours
    try:
        await work(api, 50)
    except* SessionExpired:
        await sign_in(hj)
    print(f"{await work(api, 50)} calls answered")

    await hj.auth.sign_out()
    print(f"Session: {await hj.auth.session()}")


async def main() -> None:
    """Open what the app needs, and close it in the right order whatever happens."""
    with Emulator() as emulator:
        async with AsyncHelloJohn(
            tenant_id=emulator.tenant_id,
            publishable_key=emulator.publishable_key,
            api_url=emulator.url,
            clock=emulator.clock,
        ) as hj:
            hj.on(tell)
            async with hj.client(base_url=emulator.url) as api:
                await run(emulator, hj, api)


def tell(event: AuthEvent) -> None:
    """Follow what happens to the session. Callbacks run on a thread of the SDK's, not on the event loop."""
    print(f"- {event.type}", f"({event.reason})" if event.reason else "")


if __name__ == "__main__":
    asyncio.run(main())
