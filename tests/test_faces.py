"""The clients as their users hold them: two faces alike, documented, cheap to bind, and clear when closed."""

import copy
import gc
import inspect
import pickle
import weakref
from typing import Any, get_type_hints

import pytest

import hellojohn
from hellojohn import (
    AsyncAuth,
    AsyncHelloJohn,
    Auth,
    ConfigurationError,
    HelloJohn,
    MemoryStore,
)
from hellojohn._owner import OWNER
from tests.engine.clients import EMAIL, PASSWORD, Service, settle
from tests.engine.rig import FlakyStore

PAIRS = [(HelloJohn, AsyncHelloJohn), (Auth, AsyncAuth)]
AWAITED = {
    HelloJohn: {"doctor", "close", "__enter__", "__exit__"},
    Auth: {"sign_in", "sign_up", "verify_mfa", "sign_out", "session", "access_token", "refresh", "user"},
}
TWINS = {"close": "aclose", "__enter__": "__aenter__", "__exit__": "__aexit__"}
KEYS = {"publishable_key": "pk_marker_1", "secret_key": "sk_marker_1"}


@pytest.fixture
def service() -> Service:
    """A scripted service and its time."""
    return Service()


@pytest.fixture(params=[HelloJohn, AsyncHelloJohn])
def owner(request) -> type[HelloJohn | AsyncHelloJohn]:
    """Each of the two clients."""
    return request.param


@pytest.fixture
def hj(owner, service):
    """A client of either kind."""
    return service.client(owner)


async def close(hj) -> None:
    """Close a client of either kind."""
    await settle(hj.aclose() if isinstance(hj, AsyncHelloJohn) else hj.close())


def public(kind: type) -> set[str]:
    """Return the public names of a class, the two of a context manager among them."""
    named = {name for name in dir(kind) if not name.startswith("_")} | {"__init__"}
    return named | {name for name in (*TWINS, *TWINS.values()) if hasattr(kind, name)}


def attributes() -> list[Any]:
    """List the public methods and properties of the public classes, those of private bases included."""
    kinds = [kind for name in hellojohn.__all__ if inspect.isclass(kind := getattr(hellojohn, name))]
    return [
        pytest.param(value, id=f"{kind.__name__}.{name}")
        for kind in kinds
        for name, value in inspect.getmembers_static(kind)
        if not name.startswith("_") and _function(value).__module__.startswith("hellojohn")
    ]


def _function(member: Any) -> Any:
    """Return the function behind a method or property; a class stands for any other member."""
    function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
    return function if inspect.isfunction(function) else type(None)


# two faces alike


@pytest.mark.parametrize(("blocking", "awaiting"), PAIRS)
def test_both_have_the_same_names(blocking, awaiting):
    """Whoever knows one knows the other; only where Python forces it the name differs."""
    assert {TWINS.get(name, name) for name in public(blocking)} == public(awaiting)


@pytest.mark.parametrize(
    ("blocking", "awaiting", "name"),
    [(*pair, name) for pair in PAIRS for name in sorted(public(pair[0])) if name not in ("account", "auth")],
)
def test_both_take_the_same_arguments_and_return_the_same(blocking, awaiting, name):
    """Names, order, kinds, defaults and types; an HTTP client alone is of the one or the other kind."""
    one, other = getattr(blocking, name), getattr(awaiting, TWINS.get(name, name))
    assert _parameters(one) == _parameters(other)
    if name not in ("client", "wrap"):
        assert get_type_hints(one, _names()).get("return") == get_type_hints(other, _names()).get("return")
    assert not inspect.iscoroutinefunction(one)
    assert inspect.iscoroutinefunction(other) == (name in AWAITED[blocking])


def _names() -> dict[str, Any]:
    from hellojohn._transport.httpx2 import SessionAuth  # noqa: PLC0415 - named for type checkers only

    return {"SessionAuth2": SessionAuth}


def _parameters(function) -> list[tuple[Any, ...]]:
    """Describe what a function takes; the clients' type variables are named for their kind."""
    return [
        (parameter.name, parameter.kind, parameter.default, str(parameter.annotation).removeprefix("~"))
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name != "client"
    ]


@pytest.mark.parametrize("call", [HelloJohn, *(getattr(Auth, name) for name in sorted(AWAITED[Auth]))])
def test_all_beyond_the_obvious_arguments_is_named(call):
    """A call reads for itself, and an argument can be added without breaking one."""
    parameters = inspect.signature(call).parameters.values()
    places = {parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD}
    assert places <= {"self", "email", "password", "challenge", "code"}


# documented


@pytest.mark.parametrize("name", sorted(set(hellojohn.__all__) - {"__version__"}))
def test_every_public_name_is_documented(name):
    """In its own words, not in those of a base class or of a generated signature."""
    value = getattr(hellojohn, name)
    words = value.__doc__ or ""
    assert len(words) > 20
    assert not words.startswith(f"{name}(")


@pytest.mark.parametrize("attribute", attributes())
def test_every_public_method_is_documented(attribute):
    """``help`` answers for each of them."""
    assert len(attribute.__doc__ or "") > 10


# bound to an account


async def test_binding_to_an_account_touches_nothing(owner, service):
    """A web back end does it for each request: no call, no look into the store."""
    store = FlakyStore()
    hj = service.client(owner, store=store)
    others = [hj.for_account(f"user-{number}") for number in range(100)]
    assert [other.account for other in others[:2]] == ["user-0", "user-1"]
    assert hj.account == "default"
    assert (service.asked, dict(store.used)) == ([], {})


async def test_bound_clients_share_everything_but_the_session(hj, owner, service):
    """Connections, store, settings and callbacks are those of the first; each has its own session."""
    ada = hj.for_account("ada")
    assert type(ada) is owner
    assert ada._sender is hj._sender
    assert ada._engine is hj._engine
    await settle(ada.auth.sign_in(EMAIL, PASSWORD))
    assert await settle(hj.auth.session()) is None
    assert await settle(hj.for_account("ada").auth.access_token()) == "at_1"
    assert (await settle(ada.for_account("ada").auth.session())).id == "ses_1"
    assert await settle(ada.for_account("default").auth.session()) is None


async def test_an_account_costs_memory_while_somebody_holds_it(hj):
    """Thousands of users pass through one process; the store keeps their sessions."""
    names = [f"user-{number}" for number in range(20)]
    gone = []
    for name in names:
        user = hj.for_account(name)
        await settle(user.auth.sign_in(EMAIL, PASSWORD))
        gone.append(weakref.ref(user._account))
        del user
    assert OWNER.wait(10)
    gc.collect()
    assert [account() for account in gone] == [None] * 20
    assert set(hj._engine._accounts) == {"default"}
    assert await settle(hj.for_account("user-7").auth.access_token()) == "at_8"


async def test_a_client_that_nobody_holds_is_freed(owner, service):
    """Nothing of the SDK's own keeps it: no thread, no registry."""
    hj = service.client(owner)
    hj.on(lambda event: None)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    engine = weakref.ref(hj._engine)
    await close(hj)
    assert OWNER.wait(10)
    del hj
    gc.collect()
    assert engine() is None


# shown and copied


def test_a_repr_says_which_client_and_shows_no_key(owner, service):
    """A log line may hold it."""
    hj = service.client(owner, **KEYS).for_account("ada")
    assert repr(hj) == f"<{owner.__name__} account 'ada' of tnt_1 at https://api.example.com/v1>"
    shown = " ".join(map(repr, (hj, hj.auth, vars(hj), hj._settings, vars(hj.auth))))
    assert "marker" not in shown


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_client_does_not_pickle(hj, protocol):
    """Another process makes its own on the same store; the message says so."""
    with pytest.raises(TypeError, match="make one in each process, on the same store"):
        pickle.dumps(hj, protocol)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_client_is_not_copied(hj, duplicate):
    """Two clients that think they are one would close each other: ``for_account`` is the way."""
    with pytest.raises(TypeError, match="make one in each process"):
        duplicate(hj)


# closed


async def test_closing_twice_is_fine(hj):
    """A ``finally`` inside a ``with`` does no harm."""
    await close(hj)
    await close(hj)


@pytest.mark.parametrize("when", ["fresh", "used"])
async def test_a_closed_client_says_what_to_do(hj, service, when):
    """Whatever needs the store or the service names the way out, and sends nothing."""
    if when == "used":
        await settle(hj.auth.sign_in(EMAIL, PASSWORD))
        service.at(hours=2)
    await close(hj)
    calls = len(service.asked)
    for call in (
        lambda: hj.auth.sign_in(EMAIL, PASSWORD),
        lambda: hj.auth.sign_up(EMAIL, PASSWORD),
        hj.auth.access_token,
        hj.auth.refresh,
        hj.auth.user,
        hj.auth.sign_out,
        hj.doctor,
        hj.for_account("ada").auth.session,
    ):
        with pytest.raises(ConfigurationError, match=r"^This client was closed: make a new one\.$"):
            await settle(call())
    assert len(service.asked) == calls


async def test_closing_a_bound_client_closes_nothing(hj):
    """It shares what the first client has, and needs no end."""
    ada = hj.for_account("ada")
    await close(ada)
    await settle(ada.auth.sign_in(EMAIL, PASSWORD))
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    await close(hj)
    with pytest.raises(ConfigurationError, match="closed"):
        await settle(ada.auth.refresh())


async def test_a_session_outlives_its_client(owner, service):
    """Closing signs nobody out."""
    store = MemoryStore()
    first = service.client(owner, store=store)
    session = await settle(first.auth.sign_in(EMAIL, PASSWORD))
    await close(first)
    assert await settle(service.client(owner, store=store).auth.session()) == session


def _fail_inside(hj: HelloJohn) -> None:
    with hj as same:
        assert same is hj
        raise KeyError


async def _fail_inside_async(hj: AsyncHelloJohn) -> None:
    async with hj as same:
        assert same is hj
        raise KeyError


def test_a_with_block_closes_whatever_happens(service):
    """It hands out the client itself, and lets the error through."""
    hj = service.client()
    with pytest.raises(KeyError):
        _fail_inside(hj)
    with pytest.raises(ConfigurationError, match="closed"):
        hj.auth.sign_in(EMAIL, PASSWORD)


async def test_an_async_with_block_closes_whatever_happens(service):
    """The same for asyncio."""
    hj = service.client(AsyncHelloJohn)
    with pytest.raises(KeyError):
        await _fail_inside_async(hj)
    with pytest.raises(ConfigurationError, match="closed"):
        await hj.auth.sign_in(EMAIL, PASSWORD)


async def test_a_with_block_of_a_bound_client_leaves_the_first_one_open(hj):
    """A request's own block does not end the web back end."""
    ada = hj.for_account("ada")
    if isinstance(ada, AsyncHelloJohn):
        async with ada:
            pass
    else:
        with ada:
            pass
    assert await settle(hj.auth.sign_in(EMAIL, PASSWORD))
