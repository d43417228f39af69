"""The documents' blocks are tests that can fail, and a reader can paste the visible ones."""

import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from sybil.example import SybilFailure

from hellojohn import AsyncAuth, Auth
from tests.documents import PAGES, ROOT, blocks, prerequisites
from tests.pasting import visible
from tests.proof_report import main

PYTHON_PAGES = [page for page in PAGES if visible(page)]
PLAIN_PAGES = [ROOT / "README.md", ROOT / "docs/index.md", ROOT / "docs/tutorial.md"]


def _name(page):
    return str(page.relative_to(ROOT))


def _evaluate(folder, text):
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    document = blocks.parse(page)
    try:
        for example in document.examples():
            example.evaluate()
        return dict(document.namespace)
    finally:
        blocks.teardown(document.namespace)


def _run(*command, page, folder, **options):
    """Run a command in an empty folder and home, with the prerequisites that the how-to names."""
    with prerequisites(page.read_text("utf-8")) as (_, settings):
        inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        environment = {**inherited, **settings, "HOME": str(folder), "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, *command],
            check=False,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            **options,
        )


# ---------------------------------------------------------------- a reader


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=_name)
def test_visible_blocks_run_alone(page, tmp_path):
    """A reader who pastes the blocks of a page in order sees no error."""
    ended = _run("-W", "error", "-m", "tests.pasting", str(page), page=page, folder=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr, ended.stderr


@pytest.mark.parametrize("page", PLAIN_PAGES, ids=_name)
def test_first_pages_can_be_pasted_into_a_prompt(page, tmp_path):
    """The first pages work in the interactive interpreter, where a blank line ends a block."""
    typed = "\n".join(block.source for block in visible(page))
    ended = _run("-W", "error", "-i", "-q", page=page, folder=tmp_path, input=typed + "\n")
    assert "Error" not in ended.stderr, ended.stderr
    assert ended.returncode == 0


def test_visible_blocks_are_those_outside_comments(tmp_path):
    """The blocks that a page hides from its reader do not help the visible ones."""
    page = tmp_path / "page.md"
    page.write_text(
        "<!--- invisible-code-block: python\nhidden = 1\n-->\n\n"
        '??? note\n\n    ```python title="a.py"\n    first = 1\n    ```\n\n'
        "```python\nsecond = 2\n```\n",
        encoding="utf-8",
    )
    assert visible(page) == [("first = 1\n", "a.py", 8), ("second = 2\n", None, 12)]


# ---------------------------------------------------------------- the site


def test_navigation_lists_every_page_once():
    """A page without a place in the navigation cannot be found, and a missing page breaks it."""
    listed = []

    def walk(entry):
        if isinstance(entry, str):
            listed.append(entry)
        else:
            for child in entry.values() if isinstance(entry, dict) else entry:
                walk(child)

    walk(tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"])
    docs = ROOT / "docs"
    assert sorted(listed) == sorted(str(page.relative_to(docs)) for page in docs.rglob("*.md"))


@pytest.mark.parametrize("word", ["log in", "login", "log out", "logout", "reset", "2FA", "TOTP", "JWT"])
def test_search_finds_the_words_that_readers_use(word):
    """Readers search for words that the API does not use, so the pages name them too."""
    pages = [page for page in PAGES if page.parent != ROOT]
    assert any(re.search(rf"\b{word}\b", page.read_text("utf-8"), re.IGNORECASE) for page in pages)


def test_links_of_the_front_pages_lead_somewhere():
    """A relative link in README, CONTRIBUTING, SECURITY or CHANGELOG names a file of the checkout."""
    for page in ROOT.glob("*.md"):
        for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text("utf-8")):
            assert (ROOT / link).exists(), f"{page.name}: {link}"


def test_async_calls_are_documented_as_fully_as_sync_ones():
    """A reader of ``AsyncAuth``, in an editor or on the site, is not sent to another class."""
    calls = [name for name in vars(Auth) if not name.startswith("_")]
    assert len(calls) >= 8
    for name in calls:
        assert inspect.getdoc(getattr(AsyncAuth, name)) == inspect.getdoc(getattr(Auth, name))


# ---------------------------------------------------------------- the tests of the blocks


def test_python_blocks_share_a_namespace_and_may_await(tmp_path):
    """The blocks of a page build on each other, in sync and async code."""
    first = "```python\nimport asyncio\nnumber = 1\n```\n"
    second = "```python\nawait asyncio.sleep(0)\nnumber += 1\n```\n"
    assert _evaluate(tmp_path, first + second)["number"] == 2


def test_blocks_with_a_title_make_a_file(tmp_path):
    """A block that names a file becomes part of a module that later blocks can import."""
    parts = '```python title="parts.py"\nfirst = 1\n```\n```python title="parts.py"\nsecond = 2\n```\n'
    use = "```python\nimport parts\ntotal = parts.first + parts.second\n```\n"
    assert _evaluate(tmp_path, parts + use)["total"] == 3
    assert "parts" not in sys.modules


def test_a_wrong_python_block_fails(tmp_path):
    """A page with a wrong claim breaks the build."""
    with pytest.raises(AssertionError):
        _evaluate(tmp_path, "```python\nassert 1 == 2\n```\n")


def test_python_blocks_reach_an_emulator_and_leave_nothing_behind(tmp_path, monkeypatch):
    """A page finds its settings in the environment and does not touch the developer's home."""
    monkeypatch.setenv("HELLOJOHN_API_URL", "before")
    before = Path.cwd(), os.environ["HOME"]
    page = (
        "```python\nimport os\nseen = os.environ['HELLOJOHN_API_URL'], os.getcwd(), os.environ['HOME']\n```\n"
    )
    namespace = _evaluate(tmp_path, page)
    url, folder, home = namespace["seen"]
    assert url == namespace["emulator"].url
    assert folder == home != before[1]
    assert (Path.cwd(), os.environ["HOME"]) == before
    assert os.environ["HELLOJOHN_API_URL"] == "before"


def test_a_page_without_python_starts_nothing(tmp_path):
    """A page of prose needs no emulator."""
    assert "emulator" not in _evaluate(tmp_path, "```bash\nscripts/test\n```\n")


@pytest.mark.parametrize(
    "line",
    [
        "scripts/demo",
        "scripts/test tests/test_documents.py  # a comment",
        "pip install hellojohn",
        "pip install 'hellojohn[keyring, emulator]'",
        "pip install '.[cli]'",
        "hellojohn emulator --port 3000 &",
        "HELLOJOHN_TENANT_ID=tnt_1 hellojohn emulator \\\n  --port 3000",
        "cd somewhere",
        "",
    ],
)
def test_commands_that_exist_pass(tmp_path, line):
    """A command that a reader can type is accepted, and is not run."""
    _evaluate(tmp_path, f"```bash\n{line}\n```\n")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("scripts/nonesuch", "No such script"),
        ("pip install hellojohn[keyring,nonesuch]", "No such extra: nonesuch"),
        ("pip install '.[nonesuch]'", "No such extra: nonesuch"),
        ("hellojohn nonesuch", "does not take"),
        ("hellojohn emulator --nonesuch", "does not take"),
    ],
)
def test_commands_that_do_not_exist_fail(tmp_path, line, complaint):
    """A renamed script, command, option or extra breaks the pages that still name it."""
    with pytest.raises(SybilFailure, match=complaint):
        _evaluate(tmp_path, f"```bash\n{line}\n```\n")


# ---------------------------------------------------------------- the proof's report


def test_report_of_a_proof_becomes_tables(tmp_path):
    """The page keeps its text, and shows the new report instead of the old one."""
    report, page = tmp_path / "report", tmp_path / "page.md"
    report.write_text(
        "- 5 kills, file store: 4 sessions survived\n"
        "- simulation: the planted bug no-lock is caught: 6: a | b\n"
        "- simulation: 10 schedules from seed 0: no violation\n",
        encoding="utf-8",
    )
    page.write_text("# Proof\n\nText.\n\n## The last report\n\nAn old one.\n", encoding="utf-8")
    main(report, page)
    text = page.read_text("utf-8")
    assert text.startswith("# Proof\n\nText.\n\n## The last report\n\n")
    assert "| 5 kills, file store | 4 sessions survived |" in text
    assert "| simulation: 10 schedules from seed 0 | no violation |" in text
    assert "| `no-lock` | 6: a \\| b |" in text
    assert "old" not in text
