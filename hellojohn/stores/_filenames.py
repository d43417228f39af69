"""Names for keys, where any text will not do. Pure; imports nothing of the package."""

import re
from hashlib import sha256


def name_of(key: str) -> str:
    """Return a short ASCII name for ``key``, in lower case.

    The digest tells keys apart that differ in case, accents or length only; the rest is for people.
    """
    digest = sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    slug = re.sub(r"[^a-z0-9]+", "-", key.lower())[:40].strip("-")
    return f"{slug or 'key'}-{digest}"
