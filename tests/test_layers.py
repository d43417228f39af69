"""The package's shape: which room imports which, how big a module gets, what ``import hellojohn`` costs."""

import ast
import inspect
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import hellojohn

PACKAGE = Path(hellojohn.__file__).parent

# The rooms, from the ground up. A room imports from rows above its own, and rooms of one row leave each
# other alone.
LAYERS = """
_constructors _limits _loading _logs _names _secret _unpicklable _version _waiting
_errors
_clock _duration
_config _details _models _policy
stores
_wire
_session
_http
verify
_oauth _transport
_browser _doctor
_auth _mfa _service admin
_assembly
_http_clients _server_side
_client
hellojohn
emulator integrations
testing
cli
__main__
"""
ROWS = {room: row for row, rooms in enumerate(LAYERS.split("\n")) for room in rooms.split()}

ONLY = {
    "emulator": {"_clock", "_duration", "_errors", "_secret", "emulator"},
    "stores": {"_errors", "_limits", "_loading", "_logs", "_names", "_secret", "stores"},
}
HTTP_LIBRARIES = {"httpcore", "httpx", "httpx2", "requests", "urllib3"}
HTTP_ROOMS = {"_http", "_transport", "_http_clients", "testing", "cli"}

# The modules of the engine, from the ground up.
ENGINE = """
record workers failures
record_format conflicts freshness endings
storage state retry
account_storage flight devices
order
exchange events
refresh
context
account
tasks
acquire
calls
operations
engine
"""
ENGINE_ROWS = {name: row for row, names in enumerate(ENGINE.split("\n")) for name in names.split()}
ENGINE_LINES = 300
WIRE_LINES = 300

LOADED_LATER = {
    *("cryptography", "filelock", "jwt", "keyring", "platformdirs"),
    *("redis", "requests", "rich", "starlette", "tenacity", "typer", "uvicorn"),
}


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def _imported(module: str, node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if not isinstance(node, ast.ImportFrom):
        return set()
    assert node.level == 0, f"{module} line {node.lineno}: a relative import hides where it leads"
    names = {f"{node.module}.{alias.name}" for alias in node.names}
    return {name if name in MODULES else str(node.module) for name in names}


def _imports(module: str) -> set[str]:
    """Return every module that ``module`` imports: at its top, inside functions, and for types only."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    return set().union(*(_imported(module, node) for node in ast.walk(tree)))


GRAPH = {module: _imports(module) for module in MODULES}


def _own(module: str) -> set[str]:
    return {name for name in GRAPH[module] if name in MODULES and _room(name) != _room(module)}


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module):
    """A room reaches down only, so that each can be read without those above it."""
    room = _room(module)
    assert room in ROWS, f"give {room} its place in LAYERS"
    wrong = {name for name in _own(module) if ROWS[_room(name)] >= ROWS[room]}
    assert not wrong, f"{module} must not import {sorted(wrong)}"


@pytest.mark.parametrize("name", sorted(ENGINE_ROWS))
def test_the_engine_has_an_order_of_its_own(name):
    """Inside the session engine, too, a module reaches down only."""
    prefix = "hellojohn._session."
    inside = {it.removeprefix(prefix) for it in GRAPH[f"{prefix}{name}"] if it.startswith(prefix)}
    wrong = {it for it in inside if ENGINE_ROWS[it] >= ENGINE_ROWS[name]}
    assert not wrong, f"{name} must not import {sorted(wrong)}"


def test_every_engine_module_is_in_the_order():
    """The list of the engine's modules is complete."""
    modules = {name.rpartition(".")[2] for name in MODULES if name.startswith("hellojohn._session.")}
    assert modules == set(ENGINE_ROWS)


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("hellojohn._session")])
def test_engine_modules_and_classes_stay_small(module):
    """No module of the engine has over 300 lines, and no class more than 15 methods."""
    text = MODULES[module].read_text(encoding="utf-8")
    assert text.count("\n") <= ENGINE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            methods = [it for it in node.body if isinstance(it, ast.FunctionDef | ast.AsyncFunctionDef)]
            assert len(methods) <= 15, f"{node.name} has {len(methods)} methods"


def test_dialects_are_split_by_topic():
    """No module of a dialect has over 300 lines."""
    dialects = [name for name in MODULES if name.startswith(("hellojohn._wire.v1", "hellojohn._wire.v2"))]
    long = [name for name in dialects if MODULES[name].read_text(encoding="utf-8").count("\n") > WIRE_LINES]
    assert (len(dialects) > 10, long) == (True, [])


@pytest.mark.parametrize("module", [module for module in MODULES if _room(module) in ONLY])
def test_independent_rooms_stay_independent(module):
    """The emulator reads the protocol on its own, and a store knows nothing of sessions."""
    wrong = {name for name in _own(module) if _room(name) not in ONLY[_room(module)]}
    assert not wrong, f"{module} must not import {sorted(wrong)}"


@pytest.mark.parametrize("module", [module for module in MODULES if _room(module) not in HTTP_ROOMS])
def test_only_the_senders_know_httpx(module):
    """The wire code and the engine can be tested, and can serve another HTTP library, without httpx."""
    wrong = {name for name in GRAPH[module] if name.partition(".")[0] in HTTP_LIBRARIES}
    assert not wrong, f"{module} must not import {sorted(wrong)}"


def test_there_is_no_cycle():
    """No two modules need each other, imports for types included."""
    try:
        TopologicalSorter({module: names & set(MODULES) for module, names in GRAPH.items()}).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("module", MODULES)
def test_modules_stay_readable(module):
    """A module is read in one sitting, and its name describes its content."""
    lines = MODULES[module].read_text(encoding="utf-8").count("\n")
    assert lines <= 400, f"{module} has {lines} lines"
    assert module.rpartition(".")[2].strip("_") not in {"common", "helpers", "manager", "utils"}


def test_import_loads_what_a_plain_client_needs():
    """Optional and seldom needed libraries are loaded when they are first used."""
    code = "import sys, httpx; there = set(sys.modules); import hellojohn; print(*set(sys.modules) - there)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert "hellojohn" in loaded
    assert not loaded & LOADED_LATER


def test_public_names_are_sorted():
    """The list of public names can be searched by eye."""
    assert hellojohn.__all__ == sorted(hellojohn.__all__)


def test_public_names_show_themselves_as_public():
    """A traceback, a repr and a pickle name the place to import from, not the private module."""
    public = {name: getattr(hellojohn, name) for name in hellojohn.__all__}
    ours = {
        name: thing for name, thing in public.items() if inspect.isclass(thing) or inspect.isfunction(thing)
    }
    assert {name: thing.__module__ for name, thing in ours.items()} == dict.fromkeys(ours, "hellojohn")
