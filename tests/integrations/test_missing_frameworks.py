"""The import of a guard without its framework."""

import subprocess
import sys

import pytest

IMPORT_WITHOUT = """
import sys
for name in {missing}:
    sys.modules[name] = None
try:
    import hellojohn.integrations.{module}
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("module", "framework", "missing"),
    [
        ("django", "Django", ["asgiref", "django"]),
        ("fastapi", "FastAPI", ["fastapi"]),
        ("flask", "Flask", ["flask"]),
        ("starlette", "Starlette", ["starlette"]),
    ],
)
def test_missing_framework_is_named(module: str, framework: str, missing: list[str]) -> None:
    """The error has the command that installs the framework."""
    code = IMPORT_WITHOUT.format(module=module, missing=missing)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    command = f"pip install 'hellojohn[{module}]'"
    assert done.stdout == f"hellojohn.integrations.{module} needs {framework}: {command}\n"
