"""Errors on their way to the callers: what a store raises, and one error that reaches many."""

import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePath
from typing import TypeVar

from hellojohn._errors import StoreCorrupt, StoreError, StoreLocked, StoreUnavailable

E = TypeVar("E", bound=Exception)
T = TypeVar("T")


def guarded(method: str, call: Callable[[], T]) -> T:
    """Call a store; let only store errors out, without the frames whose variables may hold a record."""
    try:
        return call()
    except StoreError as error:
        failure = _without_token(error)
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) and threading.current_thread() is threading.main_thread():
            raise  # a signal handler ends the program
        what = f"The token store's {method}() raised {type(error).__name__} ({_place_of(error)})."
        failure = StoreUnavailable(f"{what} It must raise a StoreError.")
    failure.__cause__ = failure.__context__ = failure.__traceback__ = None
    raise failure


def fresh_copy(error: E) -> E:
    """Return a copy without traceback, cause or context: one error reaches many callers.

    The class of an app's own store error may not allow its copy. Then all callers get the same one.
    """
    kind = type(error)
    try:
        # Without its __init__: what that takes is not known.
        fresh = kind.__new__(kind, *error.args)
        fresh.args = error.args
        vars(fresh).update(vars(error))
    except Exception:  # noqa: BLE001 - a class of an app may do anything
        fresh = error
    return fresh.with_traceback(None)


def _place_of(error: BaseException) -> str:
    """Return the file and line that raised. They hold no values."""
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    return f"{PurePath(frame.f_code.co_filename).name}:{line}"


def _without_token(error: StoreError) -> StoreError:
    """Return the error, or only its kind if the store put a record into it or it cannot be read."""
    with suppress(Exception):  # an app's class may have any __repr__
        if "_token" not in f"{(error.args, vars(error))!r} {error}":
            return error
    kinds = (StoreLocked, StoreCorrupt, StoreUnavailable, StoreError)
    kind = next(kind for kind in kinds if isinstance(error, kind))
    return kind(f"The token store raised {type(error).__name__} with a session in it. It must repeat none.")
