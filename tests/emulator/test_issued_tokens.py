"""``Emulator.token``: access tokens for tests of an API, each with a real session behind it."""

from datetime import timedelta

import jwt
import pytest

from hellojohn import ConfigurationError
from hellojohn.emulator import DEMO_EMAIL


def claims(token):
    """Read a token's claims without a check."""
    return jwt.decode(token, options={"verify_signature": False})


def test_a_token_has_a_real_session(caller, emulator):
    """The service knows the session, and ending it is seen by the remote check."""
    token = emulator.token()
    (session,) = emulator.sessions(DEMO_EMAIL)
    assert claims(token)["session_id"] == session.id
    assert caller.secret("POST", "/v1/sessions/verify", json={"token": token}).json()["valid"]
    emulator.revoke(session.id)
    assert not caller.secret("POST", "/v1/sessions/verify", json={"token": token}).json()["valid"]
    assert emulator.session(session.id).status == "revoked"


def test_roles_and_scopes_are_the_users(caller, emulator):
    """Tokens name the roles and scopes that the user was added with, after a refresh as well."""
    emulator.add_user("ada@example.com", "x", roles=["admin", "editor"], scopes=["orders:read", "a"])
    session = caller.sign_in("ada@example.com", "x")
    refreshed = caller.refresh(session["refresh_token"]).json()["access_token"]
    for token in (emulator.token("ada@example.com"), session["access_token"], refreshed):
        read = claims(token)
        assert (read["role"], read["roles"]) == ("admin", ["admin", "editor"])
        assert read["scope"] == "orders:read a"


def test_roles_and_scopes_can_be_given_for_one_token(emulator):
    """Values that are not named are the user's, and an empty list means none."""
    emulator.add_user("ada@example.com", "x", roles=["admin"], scopes=["orders:read"])
    read = claims(emulator.token("ada@example.com", scopes=["orders:write"]))
    assert (read["scope"], read["roles"]) == ("orders:write", ["admin"])
    read = claims(emulator.token("ada@example.com", roles=["guest"]))
    assert (read["scope"], read["roles"]) == ("orders:read", ["guest"])
    assert "roles" not in claims(emulator.token("ada@example.com", roles=[]))


def test_a_user_without_roles_has_no_such_claims(emulator):
    """An absent claim and an empty one are two cases; the service leaves it out."""
    assert not {"role", "roles", "scope"} & set(claims(emulator.token()))


def test_its_life_is_the_tenants_or_the_one_asked_for(emulator):
    """A token lives as long as the settings say, unless the test says otherwise."""
    emulator.configure(access_token_ttl="15m")
    lives = [
        read["exp"] - read["iat"]
        for read in (
            claims(emulator.token()),
            claims(emulator.token(expires_in="30d")),
            claims(emulator.token(expires_in=timedelta(minutes=-1))),
        )
    ]
    assert lives == [900, 30 * 86_400, -60]


def test_an_expired_token_is_refused(caller, emulator):
    """A negative life makes a token that has expired."""
    token = emulator.token(expires_in=timedelta(seconds=-1))
    assert caller.code(caller.call("GET", "/resource", bearer=token)) == (401, "token_expired")


def test_claims_can_be_added_replaced_and_left_out(caller, emulator):
    """A signed token can be wrong in any claim, which the service itself refuses."""
    token = emulator.token(claims={"aud": "tnt_other", "email": None, "custom": {"plan": "pro"}})
    read = claims(token)
    assert (read["aud"], read["custom"]) == ("tnt_other", {"plan": "pro"})
    assert "email" not in read
    assert caller.code(caller.call("GET", "/resource", bearer=token)) == (401, "invalid_token")


def test_an_odd_token_id_counts_as_never_rejected(caller, emulator):
    """A token whose ``jti`` the service did not number is not among the rejected ones."""
    token = emulator.token(claims={"jti": "mine"})
    emulator.reject_access_tokens()
    assert caller.call("GET", "/resource", bearer=token).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"email": "nobody@example.com"}, "user"),
        ({"scopes": "orders:read"}, "scopes"),
        ({"roles": "admin"}, "roles"),
        ({"expires_in": "soon"}, "expires_in"),
    ],
)
def test_a_mistake_is_named(emulator, arguments, named):
    """An unknown user and a malformed argument are refused, and no session begins."""
    with pytest.raises(ConfigurationError, match=named):
        emulator.token(**arguments)
    assert emulator.sessions() == []
