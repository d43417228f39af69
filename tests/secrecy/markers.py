"""Made-up secrets that can be found wherever they turn up."""

import re
from collections.abc import Iterator

ACCESS = "MARKED-access"
REFRESH = "MARKED-refresh"
PASSWORD = "MARKED-password"
CAPTCHA = "MARKED-captcha"
CODE = "MARKED-code"
LINK = "MARKED-link"
VERIFIER = "MARKED-verifier"
OAUTH_CODE = "MARKED-oauth-code"
PUBLISHABLE = "pk_MARKED-publishable"
SECRET = "sk_MARKED-secret"
CLIENT_SECRET = "MARKED-client-secret"
STORE_KEY = "MARKED-store-key"

_MARKED = re.compile(r"MARKED-[a-z-]+")


def leaks(text: object) -> set[str]:
    """Return the secrets that a text or some bytes show."""
    return set(_MARKED.findall(text.decode("latin-1") if isinstance(text, bytes) else str(text)))


def secrets_in(content: bytes) -> Iterator[str]:
    """Return the secrets of a request, whole."""
    for match in re.finditer(rb"[A-Za-z_]*MARKED-[A-Za-z0-9-]+", content):
        yield match[0].decode()
