"""Each measurement runs from end to end, with counts too small for its figures to mean anything."""

import re

import pytest

from benchmarks import hook, imports, load, race, request, scale
from benchmarks.__main__ import MEASUREMENTS, main

_FRAME = f"# A page\n\n{race.BEGIN}an old table\n{race.END}\nmore\n"


@pytest.mark.parametrize(
    ("measure", "counts"),
    [
        (hook.measure, {"rounds": 1, "steps": 2}),
        (request.measure, {"pairs": 2}),
        (imports.measure, {"rounds": 1}),
    ],
)
def test_measurement_compares_with_its_baseline(measure, counts):
    """A figure is printed beside the baseline that it is measured against."""
    lines = measure(**counts)
    assert lines
    assert all(len(re.findall(r"\d+\.\d+ us", line)) >= 2 for line in lines)


def test_load_crosses_one_expiry():
    """The run that crosses an expiry counts one refresh."""
    tails, refreshes = load.measure(requests=50)
    assert "p99.9" in tails
    assert refreshes.endswith("of 50; refreshes: 1")


def test_race_fills_in_the_page(tmp_path):
    """The table is replaced and the prose around it stays; the engine refreshes once."""
    page = tmp_path / "field.md"
    page.write_text(_FRAME, encoding="utf-8")
    lines = race.measure(callers=4, page=page)
    before, after = _FRAME.split("an old table\n")
    text = page.read_text(encoding="utf-8")
    assert (text.startswith(before), text.endswith(after)) == (True, True)
    assert text[len(before) : -len(after)].strip() == "\n".join(lines).strip()
    for name in ("hellojohn, threads", "hellojohn, tasks"):
        assert lines.count(f"| {name} | 1 | 0 | alive | 4 | 0 |") == 2


def test_race_names_every_library_and_its_version():
    """The page names each library with its version, so that it can be checked later."""
    page = race.PAGE.read_text(encoding="utf-8")
    assert page.count(race.BEGIN) == page.count(race.END) == 1
    assert all(page.count(f"| {contender.name} |") == 2 for contender in race.CONTENDERS)
    assert all(re.search(rf"{contender.package} \d", page) for contender in race.CONTENDERS)


def test_scale_counts_one_read_for_a_first_request():
    """The first request of an account costs one read of the store."""
    lines = scale.measure(idle=20, first=5, refreshed=5)
    assert "commands of 20 first requests: 20 GET" in lines
    assert sum("a second" in line for line in lines) == 3


def test_unknown_measurement_is_named(capsys):
    """A mistyped name prints the list of measurements."""
    assert main(["nonesuch"]) == 2
    told = capsys.readouterr().out
    assert all(name in told for name in MEASUREMENTS)


def test_measurement_is_run_by_its_name(capsys, monkeypatch):
    """The command prints the lines under the measurement's name."""
    monkeypatch.setattr(hook, "measure", lambda: ["a line"])
    assert main(["hook"]) == 0
    assert capsys.readouterr().out == "== hook\na line\n"
