"""The page about a store of one's own: its two files, saved as it says, keep the contract."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "your-own-store.md"


def _block(marker: str) -> str:
    blocks = re.findall(r"```py(?:thon)?\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return next(block for block in blocks if marker in block)


def test_the_store_of_the_page_keeps_the_contract(tmp_path):
    """Whoever copies it has a store that holds, and a test of a dozen lines that says so."""
    (tmp_path / "sqlite_store.py").write_text(_block("class SQLiteStore"), "utf-8")
    test = _block("TokenStoreContract")
    assert len(test.strip().splitlines()) <= 14
    (tmp_path / "test_sqlite_store.py").write_text(test, "utf-8")
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)
    assert run.returncode == 0, run.stdout
    assert re.search(r"^\d\d passed", run.stdout, re.MULTILINE), run.stdout
