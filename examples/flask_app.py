"""A web back end in Flask: one session per browser, in Redis or Valkey, shared by all workers and hosts.

It needs a Redis or Valkey server on this machine. The emulator of the service runs in the same process:

    pip install '.[flask,redis,emulator]'
    python examples/flask_app.py

In production, set ``HELLOJOHN_TENANT_ID``, ``HELLOJOHN_PUBLISHABLE_KEY``, ``REDIS_URL``, ``API_URL``, the
address of your API, and ``ORIGIN``, the public address of the site, such as ``https://example.com``. Run
``gunicorn --workers 4 --threads 8 'flask_app:create_app()'`` behind a proxy that terminates https.
"""

import os

import httpx
import redis
from flask import Flask, g, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from hellojohn import ApiError, HelloJohn, RedisStore
from hellojohn.integrations.flask import BrowserSessions

WORDS = {"expired": "Your time is up.", "revoked": "Your session was ended elsewhere."}
LAYOUT = Markup("""<!doctype html><html lang="en"><meta charset="utf-8"><title>{0}</title>
<main><h1>{0}</h1><p role="alert">{1}</p>{2}</main>""")
FORM = Markup("""<form method="post">
<p><label>Email <input name="email" type="email" autocomplete="username" required></label>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<p><label><input name="remember" type="checkbox"> Remember me</label><p><button>Sign in</button></form>""")
CODE = Markup("""<form method="post">
<p><label>Code <input name="code" autocomplete="one-time-code" required></label>
<p><button>Go on</button></form>""")
HOME = Markup("""<p><a href="/orders">Orders</a><form method="post" action="/sign-out">
<button>Sign out</button> <button name="everywhere" value="1">Sign out everywhere</button></form>""")


def page(title: str, content: str, problem: str = "", status: int = 200) -> ResponseReturnValue:
    """Make a page that no cache may keep. ``Markup`` escapes what is put into it."""
    return LAYOUT.format(title, problem, content), status, {"Cache-Control": "no-store"}


def create_app() -> Flask:
    """Make the app, which reads its settings from the environment."""
    server = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://localhost"), socket_timeout=5)
    hj = HelloJohn(store=RedisStore(server))
    api_url, api = os.environ["API_URL"], httpx.Client()
    browsers = BrowserSessions(hj, mfa_url="/code", origin=os.environ.get("ORIGIN"))
    app = Flask(__name__)
    browsers.install(app)  # a session that is over leads to sign-in, and an outage is answered with 503

    @app.get("/")
    def home() -> ResponseReturnValue:
        return page(f"Hello {browsers.session(request).user.email or 'you'}", HOME)

    @app.get("/orders")
    def orders() -> ResponseReturnValue:
        answer = api.get(f"{api_url}/resource", auth=g.hellojohn_client.httpx_auth(origins=[api_url]))
        return page("Orders", Markup("<p>The API answered with status {}.").format(answer.status_code))

    @app.get("/sign-in")
    def ask() -> ResponseReturnValue:
        return page("Sign in", FORM, WORDS.get(request.args.get("reason", ""), ""))

    @app.post("/sign-in")
    def sign_in() -> ResponseReturnValue:
        form = request.form
        try:
            return browsers.sign_in(request, form["email"], form["password"], remember_me="remember" in form)
        except ApiError as refused:
            return page("Sign in", FORM, str(refused), 401)

    @app.get("/code")
    def ask_code() -> ResponseReturnValue:
        return page("Second factor", CODE)

    @app.post("/code")
    def verify() -> ResponseReturnValue:
        try:
            return browsers.verify_mfa(request, request.form["code"])
        except ApiError as refused:
            return page("Second factor", CODE, str(refused), 401)

    @app.post("/sign-out")
    def sign_out() -> ResponseReturnValue:
        return browsers.sign_out(request, everywhere="everywhere" in request.form)

    return app


if __name__ == "__main__":
    from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator

    with Emulator() as emulator:
        os.environ["API_URL"] = os.environ["HELLOJOHN_API_URL"] = emulator.url
        os.environ["HELLOJOHN_TENANT_ID"] = emulator.tenant_id
        os.environ["HELLOJOHN_PUBLISHABLE_KEY"] = emulator.publishable_key
        print(f"Sign in as {DEMO_EMAIL} with the password {DEMO_PASSWORD!r}.")
        create_app().run(port=int(os.environ.get("PORT", "8000")))
