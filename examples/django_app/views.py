"""A web back end in Django: one session per browser, in Redis or Valkey, shared by all workers and hosts.

It needs a Redis or Valkey server on this machine. The emulator of the service runs in the same process:

    pip install '.[django,redis,emulator]'
    python examples/django_app

In production, set ``HELLOJOHN_TENANT_ID``, ``HELLOJOHN_PUBLISHABLE_KEY``, ``REDIS_URL``, ``API_URL``, the
address of your API, ``ORIGIN``, the public address, such as ``https://example.com``, ``HOST``, its host,
and ``DJANGO_SETTINGS_MODULE=settings``. Run, in this folder,
``gunicorn --workers 4 --threads 8 'django.core.wsgi:get_wsgi_application()'``
behind a proxy that terminates https.
"""

import os

import httpx
import redis
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_POST

from hellojohn import ApiError, HelloJohn, RedisStore
from hellojohn.integrations.django import BrowserSessions

WORDS = {"expired": "Your time is up.", "revoked": "Your session was ended elsewhere."}
LAYOUT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{0}</title>
<main><h1>{0}</h1><p role="alert">{1}</p>{2}</main>"""
FORM = mark_safe("""<form method="post">
<p><label>Email <input name="email" type="email" autocomplete="username" required></label>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<p><label><input name="remember" type="checkbox"> Remember me</label><p><button>Sign in</button></form>""")
CODE = mark_safe("""<form method="post">
<p><label>Code <input name="code" autocomplete="one-time-code" required></label>
<p><button>Go on</button></form>""")
HOME = mark_safe("""<p><a href="/orders">Orders</a><form method="post" action="/sign-out">
<button>Sign out</button> <button name="everywhere" value="1">Sign out everywhere</button></form>""")

server = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://localhost"), socket_timeout=5)
hj = HelloJohn(store=RedisStore(server))
api_url, api = os.environ["API_URL"], httpx.Client()
browsers = BrowserSessions(hj, mfa_url="/code", origin=os.environ.get("ORIGIN"))
middleware = browsers.middleware  # a session that is over leads to sign-in, an outage is answered with 503


def page(title: str, content: SafeString, problem: str = "", status: int = 200) -> HttpResponse:
    """Make a page that no cache may keep."""
    html = format_html(LAYOUT, title, problem, content)
    return HttpResponse(html, status=status, headers={"Cache-Control": "no-store"})


def home(request: HttpRequest) -> HttpResponse:
    """Greet the user."""
    return page(f"Hello {browsers.session(request).user.email or 'you'}", HOME)


def orders(request: HttpRequest) -> HttpResponse:
    """Call the API for the user."""
    user: HelloJohn = request.hellojohn_client
    answer = api.get(f"{api_url}/resource", auth=user.httpx_auth(origins=[api_url]))
    return page("Orders", format_html("<p>The API answered with status {}.", answer.status_code))


def sign_in(request: HttpRequest) -> HttpResponse:
    """Show the form, or sign in."""
    if request.method != "POST":
        return page("Sign in", FORM, WORDS.get(request.GET.get("reason", ""), ""))
    form = request.POST
    try:
        return browsers.sign_in(request, form["email"], form["password"], remember_me="remember" in form)
    except ApiError as refused:
        return page("Sign in", FORM, str(refused), 401)


def code(request: HttpRequest) -> HttpResponse:
    """Ask for the second factor, or verify it."""
    if request.method != "POST":
        return page("Second factor", CODE)
    try:
        return browsers.verify_mfa(request, request.POST["code"])
    except ApiError as refused:
        return page("Second factor", CODE, str(refused), 401)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Sign out here, or everywhere."""
    return browsers.sign_out(request, everywhere="everywhere" in request.POST)


urlpatterns = [
    path("", home),
    path("orders", orders),
    path("sign-in", sign_in),
    path("code", code),
    path("sign-out", sign_out),
]
