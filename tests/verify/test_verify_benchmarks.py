"""The measurements of verification run from end to end, and their page names the libraries."""

import math
import re
import threading

import pytest

from benchmarks import keys, verify
from benchmarks._clock import now
from benchmarks._key_race import Race, Waited, _best
from benchmarks._verifiers import CONTENDERS


def test_verification_is_compared_with_a_ready_key():
    """Each algorithm beside its baseline, and the revocations with their size."""
    lines = verify.measure(rounds=1, calls=2)
    assert [line.split()[0] for line in lines] == ["EdDSA", "RS256", "look-up"]
    assert all(len(re.findall(r"\d+\.\d+ us", line)) == 2 for line in lines[:2])
    assert "100,000 revocations" in lines[2]


@pytest.mark.parametrize("contender", CONTENDERS[:3], ids=lambda one: one.name)
def test_a_cold_herd_is_counted_at_the_server(contender):
    """The figure comes from the server, not from the library."""
    assert Race(contender, callers=4)._cold() == "1"


@pytest.mark.parametrize("contender", CONTENDERS[:2], ids=lambda one: one.name)
def test_known_tokens_are_timed_one_by_one(contender):
    """The late ones are counted, and on an event loop its longest stall is noted."""
    late, stall = Race(contender, callers=4)._known(calls=50)
    assert 0 <= late <= 50
    assert (stall > 0) is contender.is_async


@pytest.mark.parametrize(
    ("waits", "shown"),
    [
        ([Waited(0.06), Waited(0.001), Waited(0.002)], "1 ms"),
        ([Waited(3.04)], "3.0 s"),
        ([Waited(math.inf)], "> 8 s"),
        ([Waited(5.01, good=False)], "5.0 s, error"),
    ],
)
def test_best_of_three_short_waits_counts(waits, shown):
    """A busy machine delays a caller once in a while; a contender that waits does so each time."""
    left = iter(waits)
    assert _best(lambda: next(left)) == shown


def test_waits_are_those_of_the_thread_alone():
    """The clock of the waits goes on in a sleep, and never backwards."""
    began = now()
    threading.Event().wait(0.01)
    assert now() - began > 0.005


def test_the_page_names_every_library_and_its_version():
    """The page can be checked against a later release."""
    page = keys.PAGE.read_text(encoding="utf-8")
    assert page.count(keys.BEGIN) == page.count(keys.END) == 1
    table = page.partition(keys.BEGIN)[2]
    assert f"| | {' | '.join(contender.name for contender in CONTENDERS)} |" in table
    assert all(re.search(rf"{contender.package} \d", table) for contender in CONTENDERS)


def test_the_table_replaces_the_old_one(tmp_path, monkeypatch):
    """The prose around it stays."""
    page = tmp_path / "keys.md"
    page.write_text(f"before\n{keys.BEGIN}old\n{keys.END}after\n", encoding="utf-8")
    monkeypatch.setattr(keys, "_run", lambda name, callers: {"row": f"{name} {callers}"})
    lines = keys.measure(callers=2, page=page)
    text = page.read_text(encoding="utf-8")
    assert (text.startswith("before\n"), text.endswith(f"{keys.END}after\n"), "old" in text) == (
        True,
        True,
        False,
    )
    assert "| row | hellojohn, threads 2 |" in lines[-1]
