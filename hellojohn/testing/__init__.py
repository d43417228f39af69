"""For tests: pytest fixtures with an emulator behind them, and the contract that a token store must keep.

With ``hellojohn[emulator]`` installed, pytest has these fixtures by itself:

- ``hellojohn_emulator``: a running ``hellojohn.emulator.Emulator`` of the test's own.
- ``hellojohn_client``: a signed-out ``HelloJohn`` that talks to it and goes by its clock.
- ``hellojohn_async_client``: the same for ``AsyncHelloJohn``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hellojohn.testing._store_contract import TokenStoreContract

__all__ = ["TokenStoreContract"]

_LAZY = {"TokenStoreContract": "_store_contract"}


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """Load ``name``, and what it needs, when it is first asked for."""
    if name not in _LAZY:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
