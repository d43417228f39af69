"""The keys that sign access tokens, as a verifier sees them through the key set."""

import json

import httpx
import jwt
import pytest

from hellojohn import ConfigurationError
from hellojohn.emulator import Emulator


@pytest.fixture
def key_set(caller):
    """Read the published key set: the ids, and the keys by id."""

    def read():
        keys = caller.call("GET", "/.well-known/jwks.json").json()["keys"]
        return {key["kid"]: jwt.PyJWK(key) for key in keys}

    return read


def kid(token):
    """Return the id of the key that signed a token."""
    return jwt.get_unverified_header(token)["kid"]


class TestRotation:
    def test_a_new_key_signs_and_the_old_one_verifies(self, emulator, key_set):
        """After a rotation both keys are published, and each verifies its own tokens."""
        old = emulator.token()
        new_id = emulator.rotate_keys()
        new = emulator.token()
        assert kid(new) == new_id != kid(old)
        keys = key_set()
        for token in (old, new):
            options = {"verify_aud": False, "verify_exp": False, "verify_iat": False}
            assert jwt.decode(token, keys[kid(token)], algorithms=["EdDSA"], options=options)["sub"]

    def test_old_keys_are_withdrawn_after_their_time(self, caller, emulator, key_set):
        """A withdrawn key leaves the set, and the service itself refuses its tokens."""
        old = emulator.token(expires_in="2h")
        emulator.rotate_keys(keep_old="1h")
        emulator.advance("59m")
        assert kid(old) in key_set()
        assert caller.call("GET", "/resource", bearer=old).status_code == 200
        emulator.advance("1m")
        assert kid(old) not in key_set()
        assert caller.code(caller.call("GET", "/resource", bearer=old)) == (401, "invalid_token")

    def test_a_later_rotation_does_not_lengthen_a_keys_life(self, emulator, key_set):
        """A key that is already on its way out keeps its date."""
        first = kid(emulator.token())
        emulator.rotate_keys(keep_old="1h")
        second = emulator.rotate_keys(keep_old="24h")
        emulator.advance("1h")
        assert first not in key_set()
        assert second in key_set()

    def test_old_keys_can_be_withdrawn_at_once(self, emulator, key_set):
        """After a leak only the new key is left."""
        emulator.rotate_keys()
        newest = emulator.rotate_keys(keep_old=None)
        assert set(key_set()) == {newest}

    def test_a_new_key_can_be_published_late(self, caller, emulator, key_set):
        """The key signs at once, and the service accepts it, while verifiers cannot find it yet."""
        new_id = emulator.rotate_keys(publish_after="15s")
        token = emulator.token()
        assert kid(token) == new_id
        assert new_id not in key_set()
        assert caller.call("GET", "/resource", bearer=token).status_code == 200
        emulator.advance("15s")
        assert new_id in key_set()

    @pytest.mark.parametrize("algorithm", ["EdDSA", "RS256", "RS384", "RS512"])
    def test_a_key_can_be_of_any_supported_kind(self, caller, emulator, key_set, algorithm):
        """Tokens name the algorithm, the published key verifies them, and the service accepts them."""
        emulator.rotate_keys(algorithm=algorithm)
        token = emulator.token()
        assert jwt.get_unverified_header(token)["alg"] == algorithm
        options = {"verify_aud": False, "verify_exp": False, "verify_iat": False}
        key = key_set()[kid(token)]
        assert jwt.decode(token, key, algorithms=[algorithm], options=options)["email"]
        assert caller.call("GET", "/v1/auth/me", bearer=token).status_code == 200

    @pytest.mark.parametrize(
        "arguments", [{"algorithm": "HS256"}, {"keep_old": "soon"}, {"publish_after": 15}]
    )
    def test_a_malformed_argument_is_named(self, emulator, key_set, arguments):
        """A mistake is refused with the argument's name, and no key changes."""
        before = set(key_set())
        with pytest.raises(ConfigurationError, match=next(iter(arguments))):
            emulator.rotate_keys(**arguments)
        assert set(key_set()) == before

    def test_each_emulator_has_its_own_keys(self, key_set):
        """A token of another emulator names a key that this one does not have."""
        with Emulator() as other:
            assert kid(other.token()) not in key_set()


class TestKeyServer:
    def test_it_can_be_slow_and_it_can_hang(self, caller, emulator):
        """A verifier gives up on a key server that holds the request."""
        emulator.fail("jwks", delay=0.001)
        assert caller.call("GET", "/.well-known/jwks.json").status_code == 200
        with emulator.hold("jwks"), pytest.raises(httpx.ReadTimeout):
            caller.call("GET", "/.well-known/jwks.json", timeout=0.1)

    def test_it_can_fail(self, caller, emulator):
        """A status and a wait can be ordered as for any route."""
        emulator.fail("jwks", status=503, retry_after=40)
        answer = caller.call("GET", "/.well-known/jwks.json")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "40")

    def test_it_can_serve_odd_keys(self, caller, emulator, key_set):
        """Any body can be served, such as the real keys between unusable ones."""
        (real,) = caller.call("GET", "/.well-known/jwks.json").json()["keys"]
        odd = [{"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric"}, real, {"kid": "empty"}]
        emulator.fail("jwks", body=json.dumps({"keys": odd}))
        assert caller.call("GET", "/.well-known/jwks.json").json()["keys"] == odd
        assert set(key_set()) == {real["kid"]}

    def test_its_cache_control_can_change(self, caller, emulator):
        """A header is replaced on the real answer."""
        emulator.fail("jwks", headers={"Cache-Control": "max-age=30"})
        answer = caller.call("GET", "/.well-known/jwks.json")
        assert answer.headers["cache-control"] == "max-age=30"
        assert answer.json()["keys"]
