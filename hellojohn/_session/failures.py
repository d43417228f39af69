"""Errors on their way to the callers: what a store raises, and one error that reaches many."""

import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePath
from typing import TypeVar

from hellojohn._errors import HelloJohnError, StoreCorrupt, StoreError, StoreLocked, StoreUnavailable

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

    Where an error cannot be copied, all callers get the same one: it is not of the SDK's tree, it has state
    outside of its dictionary, as one with slots has, or the class of an app does not allow it.
    """
    kind, fresh = type(error), error
    base = StoreError if isinstance(error, StoreError) else HelloJohnError
    system_error = isinstance(error, OSError) and error.errno is not None
    if isinstance(error, base) and kind.__basicsize__ == base.__basicsize__ and not system_error:
        with suppress(Exception):
            copy = kind.__new__(kind, *error.args)  # without its __init__: what that takes is not known
            copy.args = error.args
            vars(copy).update(vars(error))
            if "__notes__" in vars(copy):
                copy.__notes__ = [*copy.__notes__]
            fresh = copy
    return fresh.with_traceback(None)


def _place_of(error: BaseException) -> str:
    """Return the file and line that raised. They hold no values."""
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    return f"{PurePath(frame.f_code.co_filename).name}:{line}"


def _without_token(error: StoreError) -> StoreError:
    """Return the error, or only its kind if the store put a record into it or it cannot be shown."""
    what = "that cannot be shown. Its __str__ must not raise."
    with suppress(Exception):  # an app's class may have any __repr__
        if "_token" not in f"{(error.args, vars(error))!r} {error}":
            return error
        what = "with a session in it. It must repeat none."
    what = f"The token store raised {type(error).__name__} {what}"
    if isinstance(error, StoreCorrupt):
        return StoreCorrupt(what, readable_elsewhere=error.readable_elsewhere)
    kinds = (StoreLocked, StoreUnavailable, StoreError)
    return next(kind for kind in kinds if isinstance(error, kind))(what)
