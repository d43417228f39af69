"""A web back end: one session per browser, in Redis or Valkey, shared by all workers and hosts.

It needs a Redis or Valkey server on this machine. The emulator of the service runs in the same process:

    pip install '.[fastapi,redis,emulator]' python-multipart
    python examples/web_backend.py

In production, set ``HELLOJOHN_TENANT_ID``, ``HELLOJOHN_PUBLISHABLE_KEY``, ``REDIS_URL``, ``API_URL``, the
address of your API, and ``ORIGIN``, the public address of the site, such as ``https://example.com``. Register
``https://example.com/callback`` for the sign-in with Google. Run
``uvicorn --workers 4 --factory web_backend:create_app`` behind a proxy that terminates https.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from html import escape
from typing import Annotated, TypeAlias

import httpx
import redis
import uvicorn
from fastapi import Depends, FastAPI, Form, Request
from fastapi.responses import HTMLResponse, Response

from hellojohn import ApiError, AsyncHelloJohn, RedisStore, Session
from hellojohn.integrations.fastapi import BrowserSessions

WORDS = {
    "expired": "Your time is up.",
    "revoked": "Your session was ended elsewhere.",
    "not_completed": "You have not signed in.",
}
LAYOUT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{0}</title>
<main><h1>{0}</h1><p role="alert">{1}</p>{2}</main>"""
FORM = """<form method="post">
<p><label>Email <input name="email" type="email" autocomplete="username" required></label>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<p><label><input name="remember" type="checkbox"> Remember me</label><p><button>Sign in</button>
<button name="google" value="1" formnovalidate>Sign in with Google</button></form>"""
CODE = """<form method="post">
<p><label>Code <input name="code" autocomplete="one-time-code" required></label>
<p><button>Go on</button></form>"""
HOME = """<p><a href="/orders">Orders</a><form method="post" action="/sign-out">
<button>Sign out</button> <button name="everywhere" value="1">Sign out everywhere</button></form>"""

Text: TypeAlias = Annotated[str, Form()]


def page(title: str, content: str, problem: str = "", status: int = 200) -> Response:
    """Make a page that no cache may keep."""
    html = LAYOUT.format(escape(title), escape(problem), content)
    return HTMLResponse(html, status, {"Cache-Control": "no-store"})


def create_app() -> FastAPI:  # noqa: C901 - one small view for each page
    """Make the app, which reads its settings from the environment."""
    server = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://localhost"), socket_timeout=5)
    hj = AsyncHelloJohn(store=RedisStore(server))
    api_url, api = os.environ["API_URL"], httpx.AsyncClient()
    browsers = BrowserSessions(hj, mfa_url="/code", origin=os.environ.get("ORIGIN"))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        with server:
            async with hj, api:
                yield

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    browsers.install(app)  # a session that is over leads to sign-in, and an outage is answered with 503

    @app.get("/")
    async def home(session: Annotated[Session, Depends(browsers.session)]) -> Response:
        return page(f"Hello {session.user.email or 'you'}", HOME)

    @app.get("/orders")
    async def orders(user: Annotated[AsyncHelloJohn, Depends(browsers.client)]) -> Response:
        answer = await api.get(f"{api_url}/resource", auth=user.httpx_auth(origins=[api_url]))
        return page("Orders", f"<p>The API answered with status {answer.status_code}.")

    @app.get("/sign-in")
    async def ask(reason: str = "") -> Response:
        return page("Sign in", FORM, WORDS.get(reason, ""))

    @app.post("/sign-in")
    async def sign_in(
        request: Request, email: Text = "", password: Text = "", remember: Text = "", google: Text = ""
    ) -> Response:
        try:
            if google:
                return await browsers.sign_in_with_oauth(request, "google", remember_me=bool(remember))
            return await browsers.sign_in(request, email, password, remember_me=bool(remember))
        except ApiError as refused:
            return page("Sign in", FORM, str(refused), 401)

    @app.get("/callback")
    async def complete(request: Request) -> Response:
        return await browsers.complete_oauth(request)

    @app.get("/code")
    async def ask_code() -> Response:
        return page("Second factor", CODE)

    @app.post("/code")
    async def verify(request: Request, code: Text) -> Response:
        try:
            return await browsers.verify_mfa(request, code)
        except ApiError as refused:
            return page("Second factor", CODE, str(refused), 401)

    @app.post("/sign-out")
    async def sign_out(request: Request, everywhere: Text = "") -> Response:
        return await browsers.sign_out(request, everywhere=bool(everywhere))

    return app


if __name__ == "__main__":
    from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator

    with Emulator() as emulator:
        os.environ["API_URL"] = os.environ["HELLOJOHN_API_URL"] = emulator.url
        os.environ["HELLOJOHN_TENANT_ID"] = emulator.tenant_id
        os.environ["HELLOJOHN_PUBLISHABLE_KEY"] = emulator.publishable_key
        print(f"Sign in as {DEMO_EMAIL} with the password {DEMO_PASSWORD!r}.")
        uvicorn.run(create_app(), port=int(os.environ.get("PORT", "8000")))
