"""Service to service: one token for all calls, an outage of the server, and a scope that was not granted.

It runs without a server, against an emulator of the service in the same process:

    pip install '.[emulator]'
    python examples/service.py

A real service has no emulator: ``HelloJohn(api="v2")`` reads ``HELLOJOHN_API_URL``, ``HELLOJOHN_TENANT_ID``
(the tenant's slug) and ``HELLOJOHN_CLIENT_ID``. The secret comes from where the service keeps its secrets.
"""

import httpx

from hellojohn import ConfigurationError, HelloJohn, ServiceUnavailable
from hellojohn.emulator import Emulator


def read_orders(api: httpx.Client) -> str:
    """Call the API, and return the result in words."""
    try:
        return f"the API answers {api.get('/resource/orders').status_code}"
    except ServiceUnavailable as error:
        return f"no token, try again in {error.retry_after or 5:.0f} s"
    except ConfigurationError as error:
        return f"fix the settings: {error}"


def main() -> None:
    """Call an API for an hour, through an outage of the auth server."""
    with Emulator(api="v2") as emulator:
        secret = emulator.add_client("worker", scopes=["orders:read"], confidential=True)
        with HelloJohn(
            api="v2",
            tenant_id=emulator.tenant_id,
            client_id="worker",
            api_url=emulator.url,
            clock=emulator.clock,
        ) as hj:
            auth = hj.service_auth(client_secret=secret, scopes=["orders:read"], origins=[emulator.url])
            with httpx.Client(base_url=emulator.url, auth=auth) as api:
                print("First call:", read_orders(api))
                for _ in range(99):
                    read_orders(api)
                print("A hundred calls, and tokens asked for:", emulator.calls("oauth2/token"))

                emulator.advance("30m")
                print("Half an hour later:", read_orders(api))
                print("Tokens asked for:", emulator.calls("oauth2/token"))

                emulator.fail("oauth2/token", status=503, retry_after=30, times=None)
                emulator.advance("14m")
                print("The auth server is down:", read_orders(api))
                emulator.advance("5m")
                print("The token has expired:", read_orders(api))
                emulator.clear_failures()
                emulator.advance("1m")
                print("It is back:", read_orders(api))

            wider = hj.service_auth(
                client_secret=secret, scopes=["orders:read", "orders:write"], origins=[emulator.url]
            )
            with httpx.Client(base_url=emulator.url, auth=wider) as api:
                print("With another scope:", read_orders(api))


if __name__ == "__main__":
    main()
