"""The errors for a session that has ended or cannot be refreshed now, and for a closed client. Pure."""

from hellojohn._errors import ExpiryReason, HelloJohnError, ServiceUnavailable, SessionExpired
from hellojohn._session.record import EndedRecord, SessionRecord, Stored
from hellojohn._wire import Outcome

CLOSED = "This client was closed. Create a new one."
NOT_ENOUGH_TIME = ServiceUnavailable(
    "Not enough time is left to refresh safely: the store is slow or the program is exiting. The session is"
    " kept. Try again."
)


def expired(record: SessionRecord | EndedRecord, reason: ExpiryReason, code: str | None) -> SessionExpired:
    """Return the error for a session that has ended."""
    message = f"The session has ended ({reason}). Send the user to sign-in."
    return SessionExpired(message, reason=reason, session_id=record.session_id, code=code)


def ended_elsewhere(record: SessionRecord, stored: Stored | None) -> SessionExpired:
    """Return the error for a session that another client has ended, with the reason that it left."""
    if isinstance(stored, EndedRecord) and stored.is_same_session(record):
        return expired(record, stored.reason, stored.code)
    return expired(record, ExpiryReason.SIGNED_OUT, None)


def try_later(wait: float) -> ServiceUnavailable:
    """Return the error for a refresh that must not be sent yet."""
    message = f"The session cannot be refreshed now. It is kept. Try again in {wait:.0f} s."
    return ServiceUnavailable(message, retry_after=wait)


def no_answer(outcome: Outcome, *, ambiguous: bool) -> HelloJohnError:
    """Return the error for a refresh that brought no new pair and ended nothing."""
    error = outcome.error
    if error is not None and not isinstance(error, ServiceUnavailable):
        return error
    message = str(error or "The service gave no usable answer to a refresh. Try again later.")
    return ServiceUnavailable(f"{message} The session is kept.", ambiguous=ambiguous)
