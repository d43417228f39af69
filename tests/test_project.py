"""The project around the package: its version, what is shipped, how it is set up."""

import re
import subprocess
import sys
import tarfile
import zipfile
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


def test_the_version_stands_in_one_place():
    """A release changes one line, and the installed metadata follows."""
    assert version("hellojohn") == __version__
    places = [
        path
        for path in Path(hellojohn.__file__).parent.rglob("*.py")
        if __version__ in path.read_text("utf-8")
    ]
    assert [path.name for path in places] == ["_version.py"]
    assert __version__ not in (ROOT / "pyproject.toml").read_text("utf-8")


def test_the_sdist_can_be_tested(tmp_path):
    """Whoever packages the library gets its tests, documents and scripts, and nothing that was generated."""
    with tarfile.open(_build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"LICENSE", "README.md", "conftest.py", "hellojohn/py.typed", "scripts/venv", "zensical.toml"}
    assert wanted | {"docs/index.md", "tests/test_project.py"} <= names
    assert not {name for name in names if "__pycache__" in name or name.startswith((".venv", "site/"))}


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path):
    """Installing it puts one folder, its types and its licence on the machine."""
    with zipfile.ZipFile(_build("wheel", tmp_path)) as archive:
        names = set(archive.namelist())
    assert {"hellojohn/__init__.py", "hellojohn/py.typed"} <= names
    assert {name.partition("/")[0] for name in names} == {"hellojohn", f"hellojohn-{__version__}.dist-info"}


def test_readme_of_the_package_has_absolute_links(tmp_path):
    """A package index shows the README without the files beside it, and without the hidden checks."""
    with zipfile.ZipFile(_build("wheel", tmp_path)) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        readme = archive.read(name).decode().partition("\n\n")[2]
    links = re.findall(r"\]\(([^)#]+)", readme)
    assert len(links) >= 8
    assert all(link.startswith("https://") for link in links)
    assert "invisible-code-block" not in readme
    assert "pip install" in readme


def test_the_readme_sets_up_with_two_commands():
    """A person with Python and bash is two lines away from seeing it work."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    commands = [
        line.split()[0] for block in blocks for line in block.splitlines() if line.startswith("scripts/")
    ]
    assert commands == ["scripts/demo", "scripts/test"]


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").iterdir()), ids=lambda path: path.name)
def test_scripts_stay_short(script):
    """A script is read at a glance; what needs more is a Python module."""
    assert len(script.read_text("utf-8").splitlines()) <= 16
