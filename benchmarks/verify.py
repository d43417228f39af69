"""``verify_token`` beside PyJWT's ``decode`` with a ready key, and the look-up in a full revocation list."""

import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from benchmarks import _clock
from benchmarks._bench import ratio
from hellojohn._limits import MOST_REVOCATIONS
from hellojohn.verify import Verifier
from hellojohn.verify._revocation_list import Revocation, RevocationList

_URL = "https://api.example.com"
_TENANT = "tnt_bench"


def measure(rounds: int = 60, calls: int = 100) -> list[str]:
    """Return the ratio for each algorithm, and the cost of the revocations."""
    keys: dict[str, Any] = {
        "EdDSA": Ed25519PrivateKey.generate(),
        "RS256": generate_private_key(65_537, 2_048),
    }
    verifier = _verifier(keys)
    return [*(_line(verifier, name, key, rounds, calls) for name, key in keys.items()), *_revocations(calls)]


def _verifier(keys: dict[str, Any]) -> Verifier:
    kinds: dict[str, Any] = {"EdDSA": OKPAlgorithm, "RS256": RSAAlgorithm}
    jwks = [
        {**json.loads(kinds[name].to_jwk(key.public_key())), "kid": name, "alg": name}
        for name, key in keys.items()
    ]
    body = json.dumps({"keys": jwks}).encode()
    return Verifier(
        api="v1",
        api_url=_URL,
        tenant_id=_TENANT,
        client_id=None,
        check_token=_ask_nothing,
        fetch=lambda *_: (200, {}, body),
        send=_ask_nothing,
        clock=time.time,
    )


def _ask_nothing(*_: object) -> Any:  # noqa: ANN401 - never called
    raise NotImplementedError


def _line(verifier: Verifier, name: str, key: Any, rounds: int, calls: int) -> str:  # noqa: ANN401 - a private key
    now, public = int(time.time()), key.public_key()
    claims = {"sub": "usr_1", "session_id": "ses_1", "tenant_id": _TENANT, "email": "ada@example.com"}
    times = {"iat": now, "exp": now + 3_600, "iss": _URL, "aud": _TENANT}
    token = jwt.encode({**claims, **times}, key, algorithm=name, headers={"kid": name})

    def decode() -> object:
        return jwt.decode(token, public, algorithms=[name], audience=_TENANT, issuer=_URL)

    verifier.verify_token(token)
    pairs = [
        (_time(lambda: verifier.verify_token(token), calls), _time(decode, calls)) for _ in range(rounds)
    ]
    return f"{name} verify_token / decode {ratio([one for one, _ in pairs], [other for _, other in pairs])}"


def _revocations(calls: int) -> list[str]:
    now = time.time()
    entries = [
        Revocation("session", f"ses_{number:026}", now + number / 1e6) for number in range(MOST_REVOCATIONS)
    ]
    tracemalloc.start()
    known = RevocationList(lifetime=86_400, clock=time.time)
    known.add(Revocation(one.kind, "".join(one.id), one.at + 0.0) for one in entries)
    size = tracemalloc.get_traced_memory()[0] + sum(map(_size_of_id, entries))
    tracemalloc.stop()
    looked_up = _time(lambda: known.is_revoked("ses_unknown", "usr_1", now, now), 100 * calls)
    return [f"look-up in {len(known):,} revocations {looked_up * 1e6:.2f} us, {size / 2**20:.1f} MiB"]


def _size_of_id(entry: Revocation) -> int:
    """Count the texts, which were made before the measurement."""
    return entry.id.__sizeof__()


def _time(call: Callable[[], object], calls: int) -> float:
    began = _clock.now()
    for _ in range(calls):
        call()
    return (_clock.now() - began) / calls
