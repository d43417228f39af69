"""The conformance table, row by row: the requests of the SDK, and the result of each answer."""

import ast
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hellojohn._wire.v1.paths import UNPUBLISHED
from tests.conformance import page
from tests.conformance.exchange import Exchange, credential, fields
from tests.conformance.page import BEHAVIOURS, CALLS
from tests.conformance.rows import RECORDINGS, Answer, Call

TESTS = Path(__file__).parent.parent
REQUESTS = [
    pytest.param(api, call, id=page.call_id(api, call)) for api, calls in CALLS.items() for call in calls
]
ANSWERS = [
    pytest.param(api, call, row, id=name)
    for api, calls in CALLS.items()
    for call in calls
    for name, row in call.ids(api)
]
PROOFS = sorted({proof for rows in BEHAVIOURS.values() for row in rows for proof in row.proofs})
WITHOUT_TENANT = ("/.well-known/", "/oauth2/authorize", "/v1/auth/oauth/google/authorize")


@pytest.mark.parametrize(("api", "call"), REQUESTS)
def test_request(api: str, call: Call) -> None:
    """A call sends the request of its row: method, path, credential and fields."""
    exchange = Exchange(api, call, call.answers[0] if call.answers else None)
    request = exchange.request(call.line)
    assert (credential(request), sorted(fields(request))) == (call.auth, sorted(call.fields))
    assert request.url.path.startswith(WITHOUT_TENANT) or request.headers["X-Tenant-ID"] == "acme"


@pytest.mark.parametrize(("api", "call", "row"), ANSWERS)
def test_answer(api: str, call: Call, row: Answer) -> None:
    """A call that gets the answer of a row comes to the result of the row, and keeps or ends the session."""
    exchange = Exchange(api, call, row)
    assert call.line in exchange.lines()
    assert exchange.outcome == row.then
    is_over = "SessionExpired" in row.then or call.name.startswith("auth.sign_out")
    assert exchange.is_signed_in is not is_over


@pytest.mark.parametrize(
    "call", [pytest.param(call, id=call.slug) for call in CALLS["v2"] if call.recorded is not None]
)
def test_request_is_like_the_recorded_one(call: Call) -> None:
    """A recorded request has the same method and path, and at least the fields that the SDK sends."""
    recorded = RECORDINGS[call.recorded or ""]["send"]
    assert f"{recorded['method']} {urlsplit(recorded['path']).path}" == call.line
    assert set(call.fields) <= set(recorded["body"])


def test_assumed_paths_are_marked() -> None:
    """The paths that the SDK assumes are those that the table marks."""
    marked = {call.line.partition(" ")[2] for call in CALLS["v1"] if "path" in call.assumed}
    assert marked == set(UNPUBLISHED.values())


def test_every_fact_has_a_proof() -> None:
    """A row that takes several requests names at least one test."""
    assert [row.fact for rows in BEHAVIOURS.values() for row in rows if not row.proofs] == []


@pytest.mark.parametrize("proof", PROOFS)
def test_proof_is_there(proof: str) -> None:
    """A row that takes several requests names a test that exists."""
    file, *_, name = proof.split("::")
    nodes = ast.walk(ast.parse((TESTS / file).read_text("utf-8")))
    assert name in {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_page_is_up_to_date() -> None:
    """The page in the documents is the one that the rows make."""
    assert page.PAGE.read_text("utf-8") == page.page(), "run python -m tests.conformance.page"
