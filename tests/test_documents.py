"""The documents' blocks are tests that can fail."""

import os
from pathlib import Path

import pytest
from sybil.example import SybilFailure

from tests.documents import blocks


def _evaluate(folder, text):
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    document = blocks.parse(page)
    try:
        for example in document.examples():
            example.evaluate()
    finally:
        blocks.teardown(document.namespace)
    return document.namespace


def test_python_blocks_share_a_namespace_and_may_await(tmp_path):
    """A page tells one story, async or not."""
    first = "```python\nimport asyncio\nnumber = 1\n```\n"
    second = "```python\nawait asyncio.sleep(0)\nnumber += 1\n```\n"
    assert _evaluate(tmp_path, first + second)["number"] == 2


def test_a_wrong_python_block_fails(tmp_path):
    """A page that lies breaks the build."""
    with pytest.raises(AssertionError):
        _evaluate(tmp_path, "```python\nassert 1 == 2\n```\n")


def test_python_blocks_reach_an_emulator_and_leave_nothing_behind(tmp_path, monkeypatch):
    """A page needs no settings of its own, and does not touch the home of whoever runs the tests."""
    monkeypatch.setenv("HELLOJOHN_API_URL", "before")
    there = Path.cwd(), os.environ["HOME"]
    page = (
        "```python\nimport os\nseen = os.environ['HELLOJOHN_API_URL'], os.getcwd(), os.environ['HOME']\n```\n"
    )
    namespace = _evaluate(tmp_path, page)
    url, folder, home = namespace["seen"]
    assert url == namespace["emulator"].url
    assert folder == home != there[1]
    assert (Path.cwd(), os.environ["HOME"]) == there
    assert os.environ["HELLOJOHN_API_URL"] == "before"


def test_a_page_without_python_starts_nothing(tmp_path):
    """Prose costs nothing."""
    assert "emulator" not in _evaluate(tmp_path, "```bash\nscripts/test\n```\n")


@pytest.mark.parametrize(
    "line",
    [
        "scripts/demo",
        "scripts/test tests/test_documents.py  # a comment",
        "pip install hellojohn",
        "pip install 'hellojohn[keyring, emulator]'",
        "hellojohn emulator --port 3000 &",
        "HELLOJOHN_TENANT_ID=tnt_1 hellojohn emulator \\\n  --port 3000",
        "cd somewhere",
        "",
    ],
)
def test_commands_that_exist_pass(tmp_path, line):
    """What a reader can type is left alone, and none of it runs."""
    _evaluate(tmp_path, f"```bash\n{line}\n```\n")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("scripts/nonesuch", "No such script"),
        ("pip install hellojohn[keyring,nonesuch]", "No such extra: nonesuch"),
        ("hellojohn nonesuch", "does not take"),
        ("hellojohn emulator --nonesuch", "does not take"),
    ],
)
def test_commands_that_do_not_exist_fail(tmp_path, line, complaint):
    """A renamed script, command, option or extra breaks the pages that still name it."""
    with pytest.raises(SybilFailure, match=complaint):
        _evaluate(tmp_path, f"```bash\n{line}\n```\n")
