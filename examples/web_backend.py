"""A web back end: one session per browser, in Redis or Valkey, shared by all workers and hosts.

It needs a Redis or Valkey server on this machine. The emulator of the service runs in the same process:

    pip install '.[fastapi,redis,emulator]' python-multipart
    python examples/web_backend.py

In production, set ``HELLOJOHN_TENANT_ID``, ``HELLOJOHN_PUBLISHABLE_KEY``, ``REDIS_URL``, ``API_URL``, the
address of your API, and ``ORIGIN``, the public address of the site, such as ``https://example.com``. Run
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

WORDS = {"expired": "Your time is up.", "revoked": "Your session was ended elsewhere."}
FORM = """<h1>Sign in</h1>{}<form method="post"><input name="email"><input name="password" type="password">
<label><input name="remember" type="checkbox">Remember me</label><button>Sign in</button></form>"""
CODE = """<h1>Second factor</h1>{}<form method="post"><input name="code" autocomplete="one-time-code">
<button>Go on</button></form>"""
HOME = """<h1>Hello {}</h1>Status {}<form method="post" action="/sign-out"><button>Sign out</button></form>"""


Text: TypeAlias = Annotated[str, Form()]


def page(text: str, status: int = 200) -> Response:
    """Make a page that no cache may keep."""
    return HTMLResponse(text, status, {"Cache-Control": "no-store"})


def create_app() -> FastAPI:
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
    async def home(
        user: Annotated[AsyncHelloJohn, Depends(browsers.client)],
        session: Annotated[Session, Depends(browsers.session)],
    ) -> Response:
        answer = await api.get(f"{api_url}/resource", auth=user.httpx_auth(origins=[api_url]))
        return page(HOME.format(escape(session.user.email or "you"), answer.status_code))

    @app.get("/sign-in")
    async def ask(reason: str = "") -> Response:
        return page(FORM.format(WORDS.get(reason, "")))

    @app.post("/sign-in")
    async def sign_in(request: Request, email: Text, password: Text, remember: Text = "") -> Response:
        try:
            return await browsers.sign_in(request, email, password, remember_me=bool(remember))
        except ApiError as refused:
            return page(FORM.format(escape(str(refused))), 401)

    @app.get("/code")
    async def ask_code() -> Response:
        return page(CODE.format(""))

    @app.post("/code")
    async def verify(request: Request, code: Text) -> Response:
        try:
            return await browsers.verify_mfa(request, code)
        except ApiError as refused:
            return page(CODE.format(escape(str(refused))), 401)

    @app.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        return await browsers.sign_out(request)

    return app


if __name__ == "__main__":
    from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator

    with Emulator() as emulator:
        os.environ["API_URL"] = os.environ["HELLOJOHN_API_URL"] = emulator.url
        os.environ["HELLOJOHN_TENANT_ID"] = emulator.tenant_id
        os.environ["HELLOJOHN_PUBLISHABLE_KEY"] = emulator.publishable_key
        print(f"Sign in as {DEMO_EMAIL} with the password {DEMO_PASSWORD!r}.")
        uvicorn.run(create_app(), port=int(os.environ.get("PORT", "8000")))
