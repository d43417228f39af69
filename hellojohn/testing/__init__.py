"""For tests: pytest fixtures with an emulator behind them, and the contract that a token store must keep.

With ``hellojohn[emulator]`` installed, pytest finds these fixtures:

- ``hellojohn_emulator``: a running ``hellojohn.emulator.Emulator`` for this test.
- ``hellojohn_client``: a signed-out ``HelloJohn`` that talks to it and uses its clock.
- ``hellojohn_async_client``: the same for ``AsyncHelloJohn``.
- ``hellojohn_environment``: its environment variables, set, for an app that makes its own client.
- ``hellojohn_headers``: a function that returns the ``Authorization`` header of a signed-in user.
- ``hellojohn_api``: the API that it speaks, ``"v1"``; override it to test on another one.
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
    """Load ``name`` when it is first used."""
    if name not in _LAZY:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
