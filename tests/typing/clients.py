# pyright: reportUnnecessaryTypeIgnoreComment=true
"""Never run: type checkers must accept or refuse each line of it. The arguments of the clients.

A line with ``type: ignore`` must be refused: an unused comment is an error itself.
"""

from typing import assert_type

import httpx
import httpx2
import requests

from hellojohn import AsyncHelloJohn, AuthEvent, HelloJohn, Session


def plain(event: AuthEvent) -> None:
    """Be a callback."""


async def later(event: AuthEvent) -> None:
    """Be a coroutine function, which nothing would await."""


def callbacks(hj: HelloJohn, other: AsyncHelloJohn) -> None:
    """Subscribe to events."""
    stop = hj.on(plain)
    assert_type(stop(), None)
    other.on(lambda event: None)
    hj.on(later)  # type: ignore[arg-type]
    other.on(later)  # type: ignore[arg-type]


def wrapped(hj: HelloJohn, other: AsyncHelloJohn) -> None:
    """Attach the token to the app's clients, and get them back with their own type."""
    assert_type(hj.wrap(httpx.Client()), httpx.Client)
    assert_type(hj.wrap(httpx2.Client()), httpx2.Client)
    assert_type(other.wrap(httpx.AsyncClient()), httpx.AsyncClient)
    assert_type(other.wrap(httpx2.AsyncClient()), httpx2.AsyncClient)
    hj.wrap(requests.Session())  # type: ignore[type-var]
    hj.wrap(httpx.AsyncClient())  # type: ignore[type-var]
    other.wrap(httpx.Client())  # type: ignore[type-var]


def created(hj: HelloJohn, other: AsyncHelloJohn) -> None:
    """Create HTTP clients with the arguments of httpx."""
    api = hj.client(base_url="https://api.example.com", timeout=3.0, headers={"X-App": "1"}, http2=False)
    assert_type(api, httpx.Client)
    assert_type(other.client(origins=["https://api.example.com"]), httpx.AsyncClient)
    hj.client(base_url="https://api.example.com", proxy=None, headers=None, transport=None, cert=("c", "k"))
    hj.client(bases_url="https://api.example.com")  # type: ignore[call-arg]
    hj.client(base_url="https://api.example.com", timeout="soon")  # type: ignore[arg-type]
    hj.client(base_url="https://api.example.com", auth=("user", "word"))  # type: ignore[call-arg]
    hj.client(base_url="https://api.example.com", transport=httpx.AsyncHTTPTransport())  # type: ignore[arg-type]


async def bound(hj: HelloJohn, other: AsyncHelloJohn) -> None:
    """Bind accounts, and keep the kind of client."""
    assert_type(hj.for_account("ada"), HelloJohn)
    assert_type(other.for_account("ada"), AsyncHelloJohn)
    assert_type(hj.auth.sign_in("ada@example.com", "a password"), Session)
    assert_type(await other.auth.sign_out(), bool)
    assert_type(await other.auth.session(), Session | None)
    HelloJohn("tnt_1")  # type: ignore[call-arg]
    HelloJohn(tenant_id="tnt_1", api="v3")  # type: ignore[arg-type]


async def services(hj: HelloJohn, other: AsyncHelloJohn) -> None:
    """Sign in as a service."""
    origins = ["https://api.example.com"]
    httpx.AsyncClient(auth=hj.service_auth(client_secret="s", scopes=["a"], origins=origins))
    httpx2.Client(auth=other.httpx2_service_auth(client_secret="s", origins="*"))
    requests.Session().auth = hj.requests_service_auth(client_secret="s", origins=origins)
    assert_type(hj.service_token(client_secret="s", refused="t"), str)
    assert_type(await other.service_token(client_secret="s", scopes=("a", "b")), str)
    hj.service_auth(scopes=["a"], origins=origins)  # type: ignore[call-arg]
    hj.service_token("s")  # type: ignore[call-arg]
    hj.service_token(client_secret=None)  # type: ignore[arg-type]
