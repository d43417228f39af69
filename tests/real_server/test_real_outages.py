"""The open-source server whose database is stopped and started in the middle of use."""

import threading
from collections import Counter

import pytest

from hellojohn import HelloJohn, HelloJohnError, InvalidCredentials, ServiceUnavailable
from tests.behaviour.scripted import DictStore
from tests.both_faces import PATIENCE, until
from tests.real_server.conftest import PASSWORD
from tests.real_server.counted_clients import Clients
from tests.real_server.database import Database

USERS = 10


def works(hj: HelloJohn) -> bool:
    """Return whether a refresh succeeds. Only an outage may stop it."""
    try:
        hj.auth.refresh()
    except ServiceUnavailable:
        return False
    return True


def test_outage_keeps_the_session(server: Clients, hj: HelloJohn, database: Database) -> None:
    """The server says that the session has ended. The session is kept, and works after the outage."""
    session = hj.auth.session()
    assert session is not None
    database.stop()
    for _ in range(2):  # with a token that still works, and without one
        with pytest.raises(ServiceUnavailable):
            hj.auth.refresh()
        assert hj.auth.session() is not None
        server.clock.ahead += 3_600
    database.start()
    until(lambda: works(hj))
    after = hj.auth.session()
    assert after is not None
    assert (after.created_at, after.user) == (session.created_at, session.user)


def test_sign_in_in_an_outage(server: Clients, hj: HelloJohn, email: str, database: Database) -> None:
    """The server takes a sign-in in an outage for a wrong password."""
    database.stop()
    with pytest.raises((InvalidCredentials, ServiceUnavailable)):
        hj.auth.sign_in(email, PASSWORD)
    database.start()
    until(lambda: works(hj))
    assert hj.auth.sign_in(email, PASSWORD)


def test_sign_out_in_an_outage(server: Clients, store: DictStore, hj: HelloJohn, database: Database) -> None:
    """The server confirms a sign-out in an outage although nothing happened: the app is signed out."""
    copy = server.copy(store)
    database.stop()
    assert hj.auth.sign_out() is True
    assert hj.auth.session() is None
    database.start()
    until(lambda: works(copy))


def test_restart_under_load(server: Clients, email: str, database: Database) -> None:
    """Ten users go on refreshing while the database restarts: none of them is signed out."""
    clients = [server.client() for _ in range(USERS)]
    for number, client in enumerate(clients):
        client.auth.sign_up(f"{number}-{email}", PASSWORD)
    over, errors, rounds = threading.Event(), Counter[str](), Counter[int]()

    def use(number: int) -> None:
        while not over.is_set():
            try:
                clients[number].auth.refresh()
                rounds[number] += 1
            except HelloJohnError as error:
                errors[f"{type(error).__name__} {getattr(error, 'reason', '')}"] += 1

    threads = [threading.Thread(target=use, args=(number,), daemon=True) for number in range(USERS)]
    for thread in threads:
        thread.start()
    until(lambda: len(rounds) == USERS)
    database.stop()
    until(lambda: errors.total() >= USERS)
    database.start()
    rounds.clear()
    until(lambda: len(rounds) == USERS)
    over.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert set(errors) == {"ServiceUnavailable "}
    assert all(client.auth.session() for client in clients)
