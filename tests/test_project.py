"""The project around the package: its version, its distributions, its set-up and its tests."""

import ast
import re
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest

import hellojohn
from hellojohn._version import __version__

ROOT = Path(__file__).parent.parent


def _build(target: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


def test_version_stands_in_one_place():
    """A release changes one line, and the installed metadata follows."""
    assert version("hellojohn") == __version__
    places = [
        path
        for path in Path(hellojohn.__file__).parent.rglob("*.py")
        if __version__ in path.read_text("utf-8")
    ]
    assert [path.name for path in places] == ["_version.py"]
    assert __version__ not in (ROOT / "pyproject.toml").read_text("utf-8")


def test_sdist_can_be_tested(tmp_path):
    """A source distribution holds the tests, the documents and the scripts, and nothing generated."""
    with tarfile.open(_build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"LICENSE", "README.md", "conftest.py", "hellojohn/py.typed", "scripts/venv", "zensical.toml"}
    assert wanted | {"docs/index.md", "tests/test_project.py"} <= names
    assert not {name for name in names if "__pycache__" in name or name.startswith((".venv", "site/"))}


def test_wheel_holds_the_package_only(tmp_path):
    """Installing the wheel adds one folder, with its types and its licence."""
    with zipfile.ZipFile(_build("wheel", tmp_path)) as archive:
        names = set(archive.namelist())
    assert {"hellojohn/__init__.py", "hellojohn/py.typed"} <= names
    assert {name.partition("/")[0] for name in names} == {"hellojohn", f"hellojohn-{__version__}.dist-info"}


def test_readme_of_the_package_has_absolute_links(tmp_path):
    """A package index shows the README without the files beside it and without hidden checks."""
    with zipfile.ZipFile(_build("wheel", tmp_path)) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        readme = archive.read(name).decode().partition("\n\n")[2]
    links = re.findall(r"\]\(([^)#]+)", readme)
    assert len(links) >= 8
    assert all(link.startswith("https://") for link in links)
    assert "invisible-code-block" not in readme
    assert "pip install" in readme


def test_readme_sets_up_with_two_commands():
    """A person with Python and bash needs two lines to see it work."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    commands = [
        line.split()[0] for block in blocks for line in block.splitlines() if line.startswith("scripts/")
    ]
    assert commands == ["scripts/demo", "scripts/test"]


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").iterdir()), ids=lambda path: path.name)
def test_scripts_stay_short(script):
    """A script fits on half a screen. Longer work belongs in a Python module."""
    assert len(script.read_text("utf-8").splitlines()) <= 16


# ---------------------------------------------------------------- the tests

TESTS = sorted((ROOT / "tests").rglob("*.py"))


def functions_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the test functions of a file."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    functions = (node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [function for function in functions if function.name.startswith("test_")]


def test_names_of_test_files_are_unique():
    """The name of a test file says where it is, also in a short report."""
    names = Counter(path.name for path in TESTS if path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_tests_have_short_names_and_a_sentence(path):
    """A test has a name of at most 60 characters, and a docstring that says which behaviour it checks."""
    tests = functions_of(path)
    assert [test.name for test in tests if not (ast.get_docstring(test) or "").endswith((".", "``."))] == []
    assert [test.name for test in tests if len(test.name) > 60] == []


def test_map_of_the_tests_is_complete():
    """tests/README.md lists every room and every file at the top of the tests tree."""
    text = (ROOT / "tests" / "README.md").read_text("utf-8")
    listed = set(re.findall(r"^\| `([a-z0-9_./]+)`", text, re.MULTILINE))
    top = {path for path in (ROOT / "tests").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert listed == {f"{path.name}/" if path.is_dir() else path.name for path in top if path.name[0] != "_"}
