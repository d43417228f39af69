"""Text that comes from outside, as a terminal may show it.

A user chooses the user agent that an operator sees in the list of sessions. An escape sequence in it could
clear the screen or forge a line.
"""


def plain(text: str) -> str:
    """Return the text on one line, with escapes in place of characters that do not print."""
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
