"""Tokens of a real sign-in verify, with the emulator's own keys over its own key document."""

import time
from typing import NoReturn

import pytest

from hellojohn import HelloJohn
from hellojohn._http._keys import KeyFetcher
from hellojohn._secret import Secret
from hellojohn.emulator import Emulator
from hellojohn.verify import Verifier
from tests.verify.conftest import unreachable


def unasked(token: Secret) -> NoReturn:
    """Fail a test that was to verify on this machine."""
    pytest.fail(f"the service was asked about {token}")


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
            check_token=unasked,
            fetch=KeyFetcher(),
            send=unreachable,
            clock=time.time,
        )
        claims = verifier.verify_token(token, leeway=5)
    assert (claims.session_id, claims.email) == (session.id, "demo@example.com")
    assert (claims.user_id, claims.tenant_id) == (session.user.id, emulator.tenant_id)
