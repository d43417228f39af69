"""The error tree: what callers can rely on, and that each error is documented and raised."""

import ast
import copy
import inspect
import pickle
import re
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

import hellojohn
from hellojohn import (
    ApiError,
    ConfigurationError,
    ExpiryReason,
    HelloJohnError,
    MfaChallenge,
    MfaRequired,
    NotSignedIn,
    NotSupported,
    RateLimited,
    ServiceUnavailable,
    SessionExpired,
    SignInRequired,
    StoreCorrupt,
    StoreError,
    StoreLocked,
    TokenExpired,
    TokenInvalid,
    _errors,
)

PACKAGE = Path(hellojohn.__file__).parent
PAGE = PACKAGE.parent / "docs" / "reference" / "errors.md"
ALL = [kind for _, kind in inspect.getmembers(_errors, inspect.isclass) if issubclass(kind, HelloJohnError)]
EACH = pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
FAMILIES = {HelloJohnError, SignInRequired, TokenInvalid}
"""Caught by apps, and raised as one of their members."""

CHALLENGE = MfaChallenge("ch_1", ("totp",), timedelta(days=30), remember_me=True)
FILLED = [
    SessionExpired("over", reason=ExpiryReason.IDLE, session_id="ses_1", code="session_expired"),
    ApiError("no", status=404, code="gone", request_id="req_1"),
    MfaRequired("more", status=403, code="mfa_required", request_id="req_1", challenge=CHALLENGE),
    RateLimited("slow", status=429, code="rate_limit_exceeded", request_id="req_1", retry_after=3.0),
    ServiceUnavailable("later", retry_after=1.5, ambiguous=True),
    StoreLocked("held"),
    StoreCorrupt("torn", readable_elsewhere=True),
]


# ---------------------------------------------------------------- shown and used


@EACH
def test_error_is_in_the_tree_that_the_module_draws(kind):
    """The docstring of the module shows every error."""
    assert re.search(rf"\b{kind.__name__}\b", _errors.__doc__ or "")


@EACH
def test_error_is_exported(kind):
    """Every error can be imported from hellojohn."""
    assert kind.__name__ in hellojohn.__all__
    assert getattr(hellojohn, kind.__name__) is kind
    assert kind.__module__ == "hellojohn"


@EACH
def test_error_is_on_the_page_of_errors(kind):
    """The reference page shows every error."""
    assert f"::: hellojohn.{kind.__name__}\n" in PAGE.read_text(encoding="utf-8")


@EACH
def test_error_is_raised_somewhere(kind):
    """An error that nothing raises would make apps handle a case that never happens."""
    if kind in FAMILIES:
        return
    assert kind.__name__ in used_names()


@cache
def used_names() -> set[str]:
    """Return the names that the package calls or passes on outside of ``_errors``: not only imports them."""
    names: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if path.name == "_errors.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            parts = [node.func, *node.args] if isinstance(node, ast.Call) else []
            parts += node.values if isinstance(node, ast.Dict) else []
            names |= {part.id for part in parts if isinstance(part, ast.Name)}
    return names


# ---------------------------------------------------------------- what every error can do


@EACH
def test_error_can_be_created_from_a_message(kind):
    """The message alone is enough, so that a test can raise any error."""
    assert str(kind("Do this.")) == "Do this."
    assert str(kind()) == ""


@pytest.mark.parametrize("error", [*FILLED, *(kind("Do this.") for kind in ALL)], ids=repr)
@pytest.mark.parametrize("pass_on", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_error_copies_and_pickles_with_its_fields(error, pass_on):
    """A worker process passes its error on with all fields."""
    other = pass_on(error)
    assert type(other) is type(error)
    assert (str(other), other.args, vars(other)) == (str(error), error.args, vars(error))


def test_copy_has_no_traceback_and_no_context():
    """One error reaches many callers, and none may see the frames of another."""
    error = StoreError("outer")
    with pytest.raises(StoreError):
        raise error from ValueError("inner")
    other = copy.copy(error)
    assert (other.__traceback__, other.__cause__, other.__context__) == (None, None, None)


@pytest.mark.parametrize(
    ("kind", "parent"),
    [
        (ConfigurationError, ValueError),
        (StoreError, OSError),
        (StoreLocked, StoreError),
        (NotSignedIn, SignInRequired),
        (SessionExpired, SignInRequired),
        (MfaRequired, ApiError),
        (RateLimited, ApiError),
        (TokenExpired, TokenInvalid),
        (NotSupported, ConfigurationError),
    ],
)
def test_handler_for_the_family_catches_the_member(kind, parent):
    """A back end has one handler for "sign in again", one for the API's refusals and one for the store."""
    assert issubclass(kind, parent)
    assert issubclass(kind, HelloJohnError)


def test_outage_is_no_reason_to_sign_in():
    """The handler that sends users to sign-in does not catch the errors of an outage."""
    assert not issubclass(ServiceUnavailable, SignInRequired)
    assert not issubclass(StoreError, SignInRequired)


def test_reasons_are_the_documented_texts():
    """Reasons are stored and logged by their values."""
    assert set(ExpiryReason) == {
        *("expired", "idle", "revoked", "reuse_detected", "signed_out", "user_disabled"),
        *("duration_elapsed", "refresh_outcome_unknown", "rejected"),
    }
