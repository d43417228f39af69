"""The order of operations: a turn that has ended, and a write that another one makes wrong."""

import pytest

from hellojohn._session.conflicts import Bringing
from hellojohn._session.order import Overtaken, Turn
from hellojohn._session.tasks import locked
from hellojohn._wire import ApiRequest
from tests.session.bench import Bench, another_session, expired_token


def wrote(turn: Turn) -> bool:
    """Return whether a turn may still write."""
    try:
        with turn.writing():
            return True
    except Overtaken:
        return False


def test_later_sign_in_ends_an_earlier_one() -> None:
    """Of two sign-ins, only the one that was asked for last may write."""
    account = Bench().account
    first, second = account.ask_to_sign_in(), account.ask_to_sign_in()
    assert (wrote(first), wrote(second)) == (False, True)


def test_sign_out_ends_every_turn_before_it() -> None:
    """After a sign-out was asked for, neither an earlier sign-in nor a refresh may read or write."""
    account = Bench().account
    signing_in, refreshing = account.ask_to_sign_in(), account.turn()
    signing_out, _, _ = account.ask_to_sign_out()
    assert (wrote(signing_in), wrote(refreshing), wrote(signing_out)) == (False, False, True)
    with pytest.raises(Overtaken), refreshing.reading():
        pass


def test_sign_in_that_fails_ends_no_refresh() -> None:
    """A sign-in that has only been asked for takes no turn from a refresh."""
    account = Bench().account
    refreshing = account.turn()
    account.ask_to_sign_in()
    assert wrote(refreshing)


def test_write_of_another_turn_is_noticed() -> None:
    """A change to a record that was read before another write is not written."""
    account = Bench().account
    refreshing, signing_in = account.turn(), account.ask_to_sign_in()
    with refreshing.reading() as before:
        pass
    with refreshing.writing(if_still=before):
        pass
    with refreshing.reading() as before:
        pass
    assert wrote(signing_in)
    with pytest.raises(Overtaken), refreshing.writing(if_still=before):
        pass


def test_refresh_notices_a_sign_in_under_its_lock() -> None:
    """A sign-in saves under the lock that it shares with a refresh, which then sends and saves nothing."""
    bench = expired_token()
    dialect = bench.engine.context.service.dialect
    build, other = dialect.refresh, another_session()

    def sign_in_first(token: object) -> ApiRequest:
        turn = bench.account.ask_to_sign_in()
        with locked(bench.account, 0.0, shared=True) as place, turn.writing():
            place.replace(other, Bringing.SIGN_IN)
        return build(token)  # type: ignore[arg-type]

    dialect.refresh = sign_in_first  # type: ignore[method-assign]
    assert bench.token() == "at_b"
    assert bench.session_record() == other
    assert bench.service.refreshed == []
