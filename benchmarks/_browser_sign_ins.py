"""One sign-in with a browser, in a process that Ctrl-C may end: ``python -m benchmarks._browser_sign_ins``.

Takes the contender's name, a port, the address of the service and how many sign-ins to make. Prints the
address that the browser would open, then how the sign-in ended and when.
"""

import json
import os
import signal
import sys
import time
import webbrowser
from collections.abc import Callable
from typing import Any, NamedTuple


class Contender(NamedTuple):
    """A library.

    Attributes:
        name: Its name.
        package: Its distribution.
        sign_in: Signs in through a browser; takes the port and the address of the service.
        posts: Whether the service posts the code to it.
    """

    name: str
    package: str
    sign_in: Callable[[int, str], object]
    posts: bool = False


def hellojohn(port: int, service: str) -> object:
    """Sign in with this package, at an emulator."""
    from hellojohn import HelloJohn  # noqa: PLC0415 - each process imports one contender

    with HelloJohn(api_url=service) as hj:  # the rest comes from the environment
        return hj.auth.sign_in_with_browser("google", ports=[port], prompt=lambda _: None)


def google(port: int, service: str) -> object:
    """Sign in with google-auth-oauthlib."""
    from google_auth_oauthlib.flow import InstalledAppFlow  # noqa: PLC0415 - the same

    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    client = {"client_id": "bench", "client_secret": "bench"}
    places = {"auth_uri": f"{service}/authorize", "token_uri": f"{service}/token"}
    flow = InstalledAppFlow.from_client_config({"installed": {**client, **places}}, ["openid"])
    return flow.run_local_server(host="127.0.0.1", port=port, authorization_prompt_message="")


def microsoft(port: int, _service: str) -> object:
    """Sign in with msal, which insists on a service with https: it gets one without a network."""
    from msal import PublicClientApplication  # noqa: PLC0415 - the same

    authority = "https://login.example.com/bench"
    app = PublicClientApplication(
        "bench", authority=authority, instance_discovery=False, http_client=_Service(authority)
    )
    answer = app.acquire_token_interactive(["User.Read"], port=port)
    if "access_token" not in answer:
        raise RuntimeError(answer["error"])
    return answer


class _Service:
    """A service in this process."""

    def __init__(self, authority: str) -> None:
        """Be the service at an address."""
        names = ("authorization_endpoint", "token_endpoint", "device_authorization_endpoint")
        self._places = {"issuer": authority, **{name: f"{authority}/{name}" for name in names}}

    def get(self, *_: object, **__: object) -> "_Answer":
        """Return where the endpoints are."""
        return _Answer(self._places)

    def post(self, *_: object, **__: object) -> "_Answer":
        """Return a token."""
        return _Answer({"access_token": "bench", "token_type": "Bearer", "expires_in": 3_600})

    def close(self) -> None:
        """Do nothing."""


class _Answer:
    status_code = 200
    headers: dict[str, str] = {}  # noqa: RUF012 - msal reads it

    def __init__(self, content: dict[str, Any]) -> None:
        self.text = json.dumps(content)

    def raise_for_status(self) -> None:
        """Do nothing: it is good."""


CONTENDERS = (
    Contender("hellojohn", "hellojohn", hellojohn),
    Contender("google-auth-oauthlib", "google-auth-oauthlib", google),
    Contender("msal", "msal", microsoft, posts=True),
)


class _Reporter:
    """The browser that ``webbrowser`` opens."""

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002 - as webbrowser calls it
        """Print the address."""
        print(url, flush=True)
        return True


def _ending(sign_in: Callable[[], object]) -> str:
    try:
        sign_in()
    except KeyboardInterrupt:
        return "interrupted"
    except Exception as error:  # noqa: BLE001 - each library has its own
        return type(error).__name__
    return "signed in"


def main(name: str, port: int, service: str, times: int) -> None:
    """Make the sign-ins."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs without it
    webbrowser.register("reporter", None, _Reporter(), preferred=True)  # type: ignore[arg-type]
    contender = next(one for one in CONTENDERS if one.name == name)
    for _ in range(times):
        ending = _ending(lambda: contender.sign_in(port, service))
        print(json.dumps([ending, time.monotonic()]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    os._exit(0)  # some contenders still wait for a browser
