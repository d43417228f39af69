"""No address in ``next`` leads Chromium away from the site after a sign-in."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Thread
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.browser.chromium import Browser
from tests.browser.conftest import EMAIL, PASSWORD, Sites

KNOWN = [
    *(
        "//evil.com",
        "///evil.com",
        "////evil.com",
        "/\\evil.com",
        "\\/evil.com",
        "\\\\evil.com",
        "/%09/evil.com",
    ),
    *("/\t/evil.com", "/\n/evil.com", "/\r\n/evil.com", "\t//evil.com", " //evil.com", "\x00//evil.com"),
    *(
        "/..//evil.com",
        "/.//evil.com",
        "/a/..//evil.com",
        "/%2e//evil.com",
        "/;//evil.com",
        "/x/../\\evil.com",
    ),
    *("https:evil.com", "https:/evil.com", "https:///evil.com", "http:evil.com", "HTTPS://EVIL.COM"),
    *("https://{host}@evil.com/", "https://{host}.evil.com", "//{host}@evil.com", "http://{host}\\@evil.com"),
    *("http://{host}//evil.com", "http://{host}/\\evil.com", "http://{host}:1/", "https://{host}/"),
    *("javascript:alert(1)", "JavaScript:alert(1)", "java\nscript:alert(1)", "data:text/html,x", "blob:x"),
    *(
        "/%5cevil.com",
        "/%2fevil.com",
        "//evil%E3%80%82com",
        "/\uff0fevil.com",
        "//\uff0fevil.com",
        "\uff0f\uff0fevil.com",
    ),
    *("?next=//evil.com", "#//evil.com", "/?next=//evil.com", "//evil.com:80#@{host}/", "/\ud800/evil.com"),
    *(
        "/\r\nLocation: https://evil.com",
        "/\r\nSet-Cookie: hellojohn=x",
        "/\u2028/evil.com",
        "/\xa0/evil.com",
    ),
    *(
        "//[::1]:1/",
        "//127.1:1/",
        "//2130706433:1/",
        "//0x7f.1:1/",
        "//evil.com\x00.{host}",
        "/" * 900 + "evil.com",
    ),
]
PIECES = [
    *(
        "/",
        "//",
        "\\",
        "/\\",
        "..",
        "/..",
        ".",
        ";",
        "?",
        "#",
        "@",
        ":",
        "%2f",
        "%5c",
        "%09",
        "%0a",
        "%2e%2e",
        "%00",
    ),
    *(
        "\t",
        "\n",
        "\r",
        " ",
        "\x0b",
        "\x7f",
        "\x85",
        "\xa0",
        "\u2028",
        "\ufeff",
        "\uff0f",
        "\uff3c",
        "\u3002",
        "\u2044",
    ),
    *(
        "https:",
        "http:",
        "javascript:",
        "data:",
        "evil.com",
        "//evil.com",
        "{host}",
        "a",
        "a=b",
        ":80",
        "\u00e9",
    ),
]
COUNT = 200

POST = """
const [pages, fields, done] = arguments;
const place = async page => {
  const form = {method: "POST", body: new URLSearchParams(fields), mode: "same-origin"};
  try {
    return (await fetch(page, form)).url;
  } catch {
    return "elsewhere";  // also when a redirect on the way leads there
  }
};
(async () => {
  const places = [];
  for (const page of pages) places.push(await place(page));
  return places;
})().then(done);
"""


def hostile(host: str) -> list[str]:
    """Return addresses: those that have fooled a framework, and others that are made from their parts."""
    random = Random(12)
    made = (f"/{''.join(random.choices(PIECES, k=random.randint(1, 6)))}" for _ in range(COUNT - len(KNOWN)))
    return [address.replace("{host}", host) for address in (*KNOWN, *made)]


def sign_in_page(address: str) -> str:
    """Return the path of the sign-in page with an address as ``next``."""
    return f"/sign-in?next={quote(address.encode('utf-8', 'surrogatepass'), safe='')}"


def post(browser: Browser, pages: list[str], fields: dict[str, str]) -> list[str]:
    """Post a form to each page, and return the addresses that the browser ends on."""
    browser.driver.set_script_timeout(110)
    return browser.driver.execute_async_script(POST, pages, fields)


def test_hostile_addresses_stay_on_the_site(browser: Browser, sites: Sites) -> None:
    """After 200 sign-ins, Chromium is on the site each time, and the session is there."""
    site = sites["flask"]  # Werkzeug alone would send many of these addresses elsewhere
    browser.open(site.url("/sign-in"))
    before = site.emulator.calls("auth/sign-in")
    addresses = hostile(f"{site.name}.localhost:{site.port}")
    pages = [sign_in_page(address) for address in addresses]
    places = post(browser, pages, {"email": EMAIL, "password": PASSWORD})
    assert site.emulator.calls("auth/sign-in") - before == len(addresses) == COUNT
    ends = zip(addresses, places, strict=True)
    assert [(address, place) for address, place in ends if not place.startswith(site.url("/"))] == []
    assert not any("/sign-in" in place for place in places)
    assert len(set(places)) > 20  # pages of the site are kept
    browser.open(site.url("/"))
    assert f"Hello {EMAIL}" in browser.text


@pytest.mark.parametrize("address", ["//evil.com", "/\\evil.com", "https:evil.com"])
def test_redirect_that_leaves_the_site_is_noticed(browser: Browser, address: str) -> None:
    """The test above can fail: a site that sends browsers wherever they want to go is found out."""
    with naive_site() as site:
        browser.open(site)
        assert post(browser, ["/?next=/here"], {}) == [f"{site}/here"]
        assert post(browser, [f"/?next={quote(address, safe='')}"], {}) == ["elsewhere"]


@contextmanager
def naive_site() -> Iterator[str]:
    """Run a site that answers each form with a redirect to the address in ``next``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            self.send_response(303)
            self.send_header("Location", parse_qs(urlsplit(self.path).query)["next"][0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://naive.localhost:{server.server_port}"
        server.shutdown()
        thread.join()
