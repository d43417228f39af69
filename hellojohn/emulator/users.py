"""Reads users as tests and the command line give them. Pure."""

import re
from collections.abc import Collection

from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn.emulator.records import Access, NewUser

_USER = re.compile(r"(?P<email>[^:]+):(?P<password>.+?)(?::(?P<code>[0-9]{6,8}))?", re.DOTALL)


def parse_user(text: str) -> NewUser:
    """Return the user that a text describes. A password may have colons; a code has 6 to 8 digits.

    Raises:
        ConfigurationError: The text has another form. The message does not repeat it.
    """
    match = _USER.fullmatch(text)
    if match is None:
        msg = (
            "A user is given as email:password or email:password:mfa-code, where the code has 6 to 8 digits."
        )
        raise ConfigurationError(msg)
    code = match["code"]
    return NewUser(
        email=match["email"],
        password=Secret(match["password"]),
        mfa_code=None if code is None else Secret(code),
    )


def access_of(roles: Collection[str], scopes: Collection[str]) -> Access:
    """Return the roles and scopes of a user or a token.

    Raises:
        ConfigurationError: One of them is a text and not a list of texts.
    """
    for name, values in (("roles", roles), ("scopes", scopes)):
        if isinstance(values, str):
            msg = f"{name} is a list of texts, such as {name}=['{values}'], not one text."
            raise ConfigurationError(msg)
    return Access(tuple(roles), tuple(scopes))
