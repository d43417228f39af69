"""The error tree: what a caller may rely on in every error."""

import copy
import inspect
import pickle
from datetime import timedelta

import pytest

from hellojohn import _errors
from hellojohn._errors import (
    ApiError,
    ConfigurationError,
    ExpiryReason,
    HelloJohnError,
    MfaChallenge,
    MfaRequired,
    NotSignedIn,
    RateLimited,
    ServiceUnavailable,
    SessionExpired,
    SignInRequired,
    StoreError,
    StoreLocked,
    TokenInvalid,
)

ALL = [kind for _, kind in inspect.getmembers(_errors, inspect.isclass) if issubclass(kind, HelloJohnError)]
CHALLENGE = MfaChallenge("ch_1", ("totp",), timedelta(days=30), remember_me=True)
FILLED = [
    SessionExpired("over", reason=ExpiryReason.IDLE, session_id="ses_1", code="session_expired"),
    ApiError("no", status=404, code="gone", request_id="req_1"),
    MfaRequired("more", status=403, code="mfa_required", request_id="req_1", challenge=CHALLENGE),
    RateLimited("slow", status=429, code="rate_limit_exceeded", request_id="req_1", retry_after=3.0),
    ServiceUnavailable("later", retry_after=1.5, ambiguous=True),
    StoreLocked("held"),
]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_is_in_the_tree_that_the_module_draws(kind):
    """The docstring is what a reader learns the tree from."""
    assert kind.__name__ in (_errors.__doc__ or "")


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_can_be_made_of_a_message_alone(kind):
    """``str`` is the message, for one that is caught in a test as for one that was raised."""
    assert str(kind("Do this.")) == "Do this."
    assert str(kind()) == ""


@pytest.mark.parametrize("error", [*FILLED, *(kind("Do this.") for kind in ALL)], ids=repr)
@pytest.mark.parametrize("pass_on", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_every_error_copies_and_pickles_with_its_fields(error, pass_on):
    """A worker process hands its error back whole."""
    other = pass_on(error)
    assert type(other) is type(error)
    assert (str(other), other.args, vars(other)) == (str(error), error.args, vars(error))


def test_a_copy_leaves_the_traceback_and_the_context_behind():
    """One error reaches many callers: none may see the frames of another."""
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
        (_errors.TokenExpired, TokenInvalid),
    ],
)
def test_a_handler_for_the_family_catches_the_member(kind, parent):
    """A web back end has one handler for 'sign in again', one for the API's no, one for the store."""
    assert issubclass(kind, parent)
    assert issubclass(kind, HelloJohnError)


def test_no_usable_answer_is_no_reason_to_sign_in():
    """The handler that sends users to sign-in must not do so in an outage."""
    assert not issubclass(ServiceUnavailable, SignInRequired)
    assert not issubclass(StoreError, SignInRequired)


def test_the_reasons_are_the_documented_texts():
    """They are stored and logged by their values."""
    assert set(ExpiryReason) == {
        *("expired", "idle", "revoked", "reuse_detected", "signed_out", "user_disabled"),
        *("duration_elapsed", "refresh_outcome_unknown", "rejected"),
    }
