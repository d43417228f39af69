"""A web back end: one session per browser, in Redis or Valkey, shared by all workers and hosts.

It needs a Redis or Valkey server on this machine. The emulator of the service runs in the same process:

    pip install '.[redis,emulator]' fastapi python-multipart
    python examples/web_backend.py

In production, set ``HELLOJOHN_TENANT_ID``, ``HELLOJOHN_PUBLISHABLE_KEY``, ``REDIS_URL`` and ``API_URL``, the
address of your API. Run ``uvicorn --workers 4 web_backend:app`` behind a proxy that terminates https.
"""

import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from hashlib import sha256
from html import escape
from typing import Annotated, TypeAlias

import httpx
import redis
import uvicorn
from fastapi import Depends, FastAPI, Form, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import TypeAdapter

from hellojohn import (
    ApiError,
    AsyncHelloJohn,
    ChallengeExpired,
    MfaChallenge,
    MfaRequired,
    RedisStore,
    ServiceUnavailable,
    Session,
    SignInRequired,
    StoreError,
)

CHALLENGE = TypeAdapter(MfaChallenge)
COOKIE = "__Host-session"  # browsers insist on https and on this host for such a name
WORDS = {"expired": "Your time is up.", "revoked": "Your session was ended elsewhere."}
FORM = """<h1>Sign in</h1>{}<form method="post"><input name="email"><input name="password" type="password">
<label><input name="remember" type="checkbox">Remember me</label><button>Sign in</button></form>"""
CODE = """<h1>Second factor</h1>{}<form method="post"><input name="code" autocomplete="one-time-code">
<button>Go on</button></form>"""
HOME = """<h1>Hello {}</h1>Status {}<form method="post" action="/sign-out"><button>Sign out</button></form>"""


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[dict[str, object]]:
    """Open the clients that all requests of this worker share."""
    with redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://localhost"), socket_timeout=5) as server:
        async with AsyncHelloJohn(store=RedisStore(server)) as hj, httpx.AsyncClient() as api:
            yield {"hj": hj, "api": api, "server": server}


async def visitor(request: Request) -> AsyncHelloJohn:
    """Return the client for this browser's session. Account names are logged, so the name is a hash."""
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        raise HTTPException(403)  # a form of another site; older browsers rely on SameSite
    hj: AsyncHelloJohn = request.state.hj
    return hj.for_account(sha256(request.cookies.get(COOKIE, "").encode()).hexdigest())


def page(text: str, status: int = 200, **headers: str) -> Response:
    """Build a page that must not be cached."""
    return HTMLResponse(text, status, {"Cache-Control": "no-store", **headers})


app = FastAPI(lifespan=lifespan, openapi_url=None)
Visitor: TypeAlias = Annotated[AsyncHelloJohn, Depends(visitor)]
Field: TypeAlias = Annotated[str, Form()]


@app.get("/")
async def home(request: Request, user: Visitor) -> Response:
    """Call the API for the user. The handlers at the end deal with the errors."""
    address, api = os.environ["API_URL"], request.state.api
    answer = await api.get(f"{address}/resource", auth=user.httpx_auth(origins=[address]))
    session = await user.auth.session()
    name = session.user.email if session else None
    return page(HOME.format(escape(name or "you"), answer.status_code))


@app.get("/sign-in")
async def ask(reason: str = "") -> Response:
    """Show the form, and the reason for it."""
    return page(FORM.format(WORDS.get(reason, "")))


@app.post("/sign-in")
async def sign_in(
    request: Request, old: Visitor, email: Field, password: Field, remember: Field = ""
) -> Response:
    """Start a session under a new cookie: an attacker may have planted the old one."""
    await old.auth.sign_out()  # it cannot be reached without its cookie
    request.cookies[COOKIE] = secrets.token_urlsafe(32)
    user = await visitor(request)
    try:
        session = await user.auth.sign_in(email, password, remember_me=bool(remember))
    except MfaRequired as due:
        waiting = CHALLENGE.dump_json(due.challenge)
        await run_in_threadpool(request.state.server.set, f"challenge:{user.account}", waiting, ex=300)
        return with_cookie(request, RedirectResponse("/code", 303))
    except ApiError as refused:
        return page(FORM.format(escape(str(refused))), 401)
    return with_cookie(request, RedirectResponse("/", 303), session)


@app.get("/code")
async def ask_code() -> Response:
    """Show the second form."""
    return page(CODE.format(""))


@app.post("/code")
async def verify(request: Request, user: Visitor, code: Field) -> Response:
    """Answer the challenge that is stored under the cookie. Any worker can do it."""
    waiting = await run_in_threadpool(request.state.server.get, f"challenge:{user.account}")
    if waiting is None:
        return RedirectResponse("/sign-in?reason=expired", 303)
    try:
        session = await user.auth.verify_mfa(CHALLENGE.validate_json(waiting), code)
    except ChallengeExpired:
        return RedirectResponse("/sign-in?reason=expired", 303)
    except ApiError as refused:
        return page(CODE.format(escape(str(refused))), 401)
    return with_cookie(request, RedirectResponse("/", 303), session)


def with_cookie(request: Request, answer: Response, session: Session | None = None) -> Response:
    """Set the cookie. It ends with the browser unless the user ticked the box."""
    end = session.expires_at if session and session.remember_me else None
    cookie = request.cookies[COOKIE]
    answer.set_cookie(COOKIE, cookie, expires=end, secure=True, httponly=True, samesite="lax")
    return answer


@app.post("/sign-out")
async def sign_out(user: Visitor) -> Response:
    """End the session, here and at the service."""
    await user.auth.sign_out()
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="lax")
    return answer


@app.exception_handler(SignInRequired)
async def to_sign_in(_: Request, error: SignInRequired) -> Response:
    """Send the user to sign-in, from any route."""
    return RedirectResponse(f"/sign-in?reason={getattr(error, 'reason', '')}", 303)


@app.exception_handler(ServiceUnavailable)
@app.exception_handler(StoreError)
@app.exception_handler(redis.RedisError)
async def try_later(_: Request, trouble: Exception) -> Response:
    """Keep the cookie and the session: an outage does not sign the user out."""
    wait = getattr(trouble, "retry_after", None) or 5
    return page("<h1>Please try again</h1>You are still signed in.", 503, **{"Retry-After": f"{wait:.0f}"})


if __name__ == "__main__":
    from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator

    with Emulator() as emulator:
        os.environ["API_URL"] = os.environ["HELLOJOHN_API_URL"] = emulator.url
        os.environ["HELLOJOHN_TENANT_ID"] = emulator.tenant_id
        os.environ["HELLOJOHN_PUBLISHABLE_KEY"] = emulator.publishable_key
        print(f"Sign in as {DEMO_EMAIL} with the password {DEMO_PASSWORD!r}.")
        uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
