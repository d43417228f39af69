"""Tokens of a real sign-in verify, with the emulator's own keys over its own key document."""

import time

from hellojohn import HelloJohn
from hellojohn._http._keys import KeyFetcher
from hellojohn.emulator import Emulator
from hellojohn.verify import Verifier
from tests.verify.conftest import unreachable


def test_the_token_of_a_sign_in_verifies():
    """The service and the verifier read the same documents."""
    with Emulator(port=0) as emulator:
        settings = {"api_url": emulator.url, "tenant_id": emulator.tenant_id}
        with HelloJohn(**settings, publishable_key=emulator.publishable_key) as hj:
            session = hj.auth.sign_in("demo@example.com", "correct horse battery staple")
            token = hj.auth.access_token()
        verifier = Verifier(
            **settings,
            api="v1",
            client_id=None,
            secret_key=None,
            fetch=KeyFetcher(),
            send=unreachable,
            clock=time.time,
        )
        claims = verifier.verify_token(token, leeway=5)
    assert (claims.session_id, claims.email) == (session.id, "demo@example.com")
    assert (claims.user_id, claims.tenant_id) == (session.user.id, emulator.tenant_id)
