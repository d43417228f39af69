"""The clients as their users hold them: two faces alike, documented, cheap to bind, and safe to show."""

import copy
import inspect
import pickle
import pydoc
from enum import Enum
from functools import cached_property
from operator import attrgetter
from typing import Any

import pytest

import hellojohn
from hellojohn import (
    AsyncAuth,
    AsyncConfig,
    AsyncHelloJohn,
    AsyncMfa,
    AsyncRevocations,
    AsyncSessions,
    Auth,
    Config,
    HelloJohn,
    Mfa,
    NotSignedIn,
    Revocations,
    Sessions,
)
from hellojohn.integrations import django, fastapi, flask, starlette
from hellojohn.integrations.starlette import Guard
from tests.behaviour.scripted import EMAIL, PASSWORD, ScriptedService
from tests.both_faces import EventLog, settle
from tests.fake_stores import FailingStore

PAIRS = [
    (HelloJohn, AsyncHelloJohn),
    (Auth, AsyncAuth),
    (Mfa, AsyncMfa),
    (Sessions, AsyncSessions),
    (Config, AsyncConfig),
    (Revocations, AsyncRevocations),
]
PLAIN = {
    *("__init__", "on", "for_account", "client", "wrap"),
    *(
        "httpx_auth",
        "httpx2_auth",
        "requests_auth",
        "service_auth",
        "httpx2_service_auth",
        "requests_service_auth",
    ),
}
"""What neither face waits for."""
ITERATED = {"list"}
"""What is iterated, with ``async for`` on the async face."""
TWINS = {"close": "aclose", "__enter__": "__aenter__", "__exit__": "__aexit__"}
KEYS = {"publishable_key": "pk_marker_1", "secret_key": "sk_marker_1"}


@pytest.fixture
def service() -> ScriptedService:
    """Return a service without sockets, and its clock."""
    return ScriptedService()


@pytest.fixture(params=[HelloJohn, AsyncHelloJohn], ids=["sync", "async"])
def owner(request) -> type[HelloJohn | AsyncHelloJohn]:
    """Return each of the two clients."""
    return request.param


@pytest.fixture
def hj(owner, service):
    """Return a client of either kind."""
    return service.client(owner)


def public(kind: type) -> set[str]:
    """Return the public names of a class, with those of a context manager."""
    named = {name for name in dir(kind) if not name.startswith("_")} | {"__init__"}
    return named | {name for name in (*TWINS, *TWINS.values()) if hasattr(kind, name)}


def attributes() -> list[Any]:
    """Return the public methods and properties of the public classes, also those of private bases."""
    kinds = [kind for name in hellojohn.__all__ if inspect.isclass(kind := getattr(hellojohn, name))]
    return [
        pytest.param(value, id=f"{kind.__name__}.{name}")
        for kind in kinds
        for name, value in inspect.getmembers_static(kind)
        if not name.startswith("_") and function_of(value).__module__.startswith("hellojohn")
    ]


def function_of(member: Any) -> Any:
    """Return the function behind a method or property; a class stands for any other member."""
    function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
    return function if inspect.isfunction(function) else type(None)


# ---------------------------------------------------------------- two faces alike


@pytest.mark.parametrize(("blocking", "awaiting"), PAIRS)
def test_both_have_the_same_names(blocking, awaiting):
    """Both clients have the same members; only where Python forces it the name differs."""
    assert {TWINS.get(name, name) for name in public(blocking)} == public(awaiting)


def methods(kind: type) -> list[str]:
    """Return the names of the public methods of a class."""
    return [name for name in sorted(public(kind)) if inspect.isfunction(getattr(kind, name, None))]


@pytest.mark.parametrize(
    ("blocking", "awaiting", "name"), [(*pair, name) for pair in PAIRS for name in methods(pair[0])]
)
def test_both_take_the_same_arguments(blocking, awaiting, name):
    """Names, order, kinds, defaults and types agree; only an HTTP client is of the one or the other kind."""
    one, other = getattr(blocking, name), getattr(awaiting, TWINS.get(name, name))
    assert parameters(one) == parameters(other)
    if name not in ("client", "wrap", "__init__", *ITERATED):
        assert returned(one) == returned(other)
    assert not inspect.iscoroutinefunction(one)
    assert inspect.iscoroutinefunction(other) == (name not in PLAIN | ITERATED)


def parameters(function) -> list[tuple[Any, ...]]:
    """Return the parameters of a function. The type of ``client`` and of its options depends on the face."""
    return [
        (parameter.name, parameter.kind, parameter.default, annotation(parameter.annotation))
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in ("client", "options")
    ]


def returned(function) -> str:
    """Return the type that a function returns."""
    return annotation(inspect.signature(function).return_annotation)


def annotation(value: object) -> str:
    """Return an annotation as text, however it is written."""
    return (value if isinstance(value, str) else str(value)).removeprefix("~")


OBVIOUS = {
    *("self", "email", "password", "name", "callback", "client", "token"),
    *("challenge", "code", "enrollment", "current", "new", "new_password", "token_or_url"),
    *("provider", "redirect_to", "request", "callback_url"),
    *("session_id", "user_id", "policy", "headers", "body"),
}


@pytest.mark.parametrize(
    ("kind", "name"), [(pair[0], name) for pair in PAIRS for name in methods(pair[0]) if name[0] != "_"]
)
def test_all_but_the_obvious_arguments_are_named(kind, name):
    """A call reads for itself, and an argument can be added without breaking one."""
    known = inspect.signature(getattr(kind, name)).parameters.values()
    places = {parameter.name for parameter in known if parameter.kind is parameter.POSITIONAL_OR_KEYWORD}
    assert places <= OBVIOUS
    assert len(places) <= 3


@pytest.mark.parametrize("kind", [HelloJohn, AsyncHelloJohn])
def test_all_settings_are_named(kind):
    """The settings of a client are keyword-only."""
    known = inspect.signature(kind).parameters.values()
    assert {parameter.kind for parameter in known} == {inspect.Parameter.KEYWORD_ONLY}


def built() -> list[type]:
    """Return the public classes that an app makes objects of, errors and choices apart."""
    public = [getattr(hellojohn, name) for name in hellojohn.__all__]
    public += [
        getattr(module, name) for module in (django, fastapi, flask, starlette) for name in module.__all__
    ]
    return [kind for kind in public if isinstance(kind, type) and not issubclass(kind, Exception | Enum)]


@pytest.mark.parametrize("kind", built())
def test_errors_of_a_constructor_name_its_class(kind):
    """Python's message about a wrong argument begins with the class that the app called."""
    with pytest.raises(TypeError, match=rf"^({kind.__name__}\.__init__\(\)|Protocols cannot be)"):
        kind(*range(99))


# ---------------------------------------------------------------- documented


@pytest.mark.parametrize("name", sorted(set(hellojohn.__all__) - {"__version__"}))
def test_every_public_name_is_documented(name):
    """A public name has a docstring, and not that of a base class or of a generated signature."""
    words = getattr(hellojohn, name).__doc__ or ""
    assert len(words) > 20
    assert not words.startswith(f"{name}(")


@pytest.mark.parametrize("attribute", attributes())
def test_every_public_method_is_documented(attribute):
    """help() answers for each public method and property."""
    assert len(attribute.__doc__ or "") > 10


@pytest.mark.parametrize("kind", [HelloJohn, AsyncHelloJohn])
def test_help_of_a_client_leads_to_auth(kind):
    """help(HelloJohn) shows hj.auth, where a new user looks for sign_in."""
    text = pydoc.plain(pydoc.render_doc(kind))
    for name in ("auth", "mfa", "sessions", "admin", "revocations"):
        assert f"\n |  {name}\n" in text


# ---------------------------------------------------------------- bound to an account


async def test_binding_to_an_account_touches_nothing(owner, service):
    """for_account sends nothing and does not look into the store: a back end calls it for each request."""
    store = FailingStore()
    hj = service.client(owner, store=store)
    others = [hj.for_account(f"user-{number}") for number in range(100)]
    assert [other.account for other in others[:2]] == ["user-0", "user-1"]
    assert hj.account == "default"
    assert (service.asked, dict(store.used)) == ([], {})


async def test_bound_clients_share_all_but_the_session(hj, owner):
    """A bound client has the store, the settings and the callbacks of the first, and its own session."""
    ada = hj.for_account("ada")
    assert type(ada) is owner
    log = EventLog(hj)
    await settle(ada.auth.sign_in(EMAIL, PASSWORD))
    assert [event.account for event in log.events] == ["ada"]
    assert await settle(hj.auth.session()) is None
    with pytest.raises(NotSignedIn, match="'default'"):
        await settle(hj.auth.access_token())
    assert await settle(hj.for_account("ada").auth.access_token()) == "at_1"
    assert (await settle(ada.for_account("ada").auth.session())).id == "ses_1"
    assert await settle(ada.for_account("default").auth.session()) is None


async def test_bound_clients_of_one_account_share_a_refresh(hj, service):
    """Two clients bound to one account use one token."""
    await settle(hj.for_account("ada").auth.sign_in(EMAIL, PASSWORD))
    one, other = hj.for_account("ada"), hj.for_account("ada")
    service.at(hours=2)
    assert await settle(one.auth.access_token()) == await settle(other.auth.access_token()) == "at_2"
    assert len(service.presented()) == 1


# ---------------------------------------------------------------- shown and copied


def test_repr_shows_the_account_and_no_key(owner, service):
    """A log line may hold the repr of a client, or its variables."""
    hj = service.client(owner, **KEYS).for_account("ada")
    assert repr(hj) == f"<{owner.__name__} account 'ada' of tnt_1 at https://api.example.com>"
    assert "marker" not in " ".join(map(repr, (hj, hj.auth, vars(hj), vars(hj.auth))))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_client_does_not_pickle(hj, protocol):
    """The message says what to do instead in another process."""
    with pytest.raises(TypeError, match="Create one in each process, on the same store"):
        pickle.dumps(hj, protocol)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_client_is_not_copied(hj, duplicate):
    """A copy would be closed with its original, so that copying is refused."""
    with pytest.raises(TypeError, match="Create one in each process"):
        duplicate(hj)


@pytest.mark.parametrize("inherited", [HelloJohn, AsyncHelloJohn])
def test_client_of_another_account_has_nothing_of_a_subclass(inherited, service):
    """An HTTP client that a subclass keeps would send the first user's token for the second one."""

    class Own(inherited):
        @cached_property
        def api(self):
            return self.client(base_url="https://api.example.com")

    hj = service.client(Own)
    other = hj.for_account("ada")
    assert (type(other), other.account) == (Own, "ada")
    assert "'default'" in repr(hj.api.auth)
    assert "'ada'" in repr(hj.for_account("ada").api.auth)


PARTS = {
    **{
        name: attrgetter(name) for name in ("auth", "mfa", "sessions", "admin", "admin.config", "revocations")
    },
    "httpx hook": lambda hj: hj.httpx_auth(origins="*"),
    "httpx2 hook": lambda hj: hj.httpx2_auth(origins="*"),
    "guard": Guard,
}


@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_no_part_of_a_client_pickles(hj, part, duplicate):
    """Each says in a sentence why, and what to do instead. None raises the error of a lock inside."""
    with pytest.raises(TypeError, match=r"do(es)? not pickle.* Create (a client|one) in each process"):
        duplicate(part(hj))
