"""Which characters the names of accounts and apps may have. Knows no store and no message.

Names come in all scripts. Persian and Hindi need joiners, Japanese needs an ideographic space, emoji need
invisible tags, and a letter may be newer than this Python's Unicode. Refused are the characters that break a
line or reorder it.
"""

import unicodedata

_CONTROLS = {"Cc", "Cs", "Zl", "Zp"}  # controls, halves of surrogate pairs, ends of lines and paragraphs
_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # these reorder the text around them


def has_controls(name: str) -> bool:
    """Return whether a text has control characters, or characters that reorder the text around it."""
    if name.isascii():
        return not name.isprintable()
    return any(
        unicodedata.category(char) in _CONTROLS or unicodedata.bidirectional(char) in _TURNS for char in name
    )


def is_visible(name: str) -> bool:
    """Return whether a text shows anything."""
    return any(unicodedata.category(char) not in {"Cf", "Zs"} for char in name)
