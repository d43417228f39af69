"""The command as a whole: version, help, and the message when the extra is missing."""

import subprocess
import sys

import pytest

from hellojohn import __version__
from hellojohn.cli import main


def test_the_version(run):
    """A bug report begins with it."""
    result = run("--version")
    assert (result.exit_code, result.output) == (0, f"hellojohn {__version__}\n")


def test_help_names_every_command(run):
    """Whoever types the bare command sees what there is."""
    for arguments in (["--help"], []):
        output = run(*arguments).output
        assert "emulator" in output
        assert "demo" in output


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("emulator", ["--port", "3000", "--host", "127.0.0.1", "--api", "v1", "30d", "1h"]),
        (
            "emulator",
            ["--session-duration", "--access-token-ttl", "--idle-timeout", "--max-sessions-per-user"],
        ),
        ("demo", ["--fast"]),
    ],
)
def test_help_of_a_command_names_its_options_and_defaults(run, command, words):
    """Nobody has to look further."""
    result = run(command, "--help")
    assert result.exit_code == 0
    assert [word for word in words if word not in result.output] == []


def test_help_fits_a_terminal(run):
    """80 columns are enough."""
    output = run("emulator", "--help", env={"COLUMNS": "80"}).output
    assert max(len(line) for line in output.splitlines()) <= 80


@pytest.mark.parametrize("library", ["cryptography", "rich", "starlette", "typer", "uvicorn"])
def test_without_the_extra_it_says_what_to_install(library):
    """The script is installed with the package; its requirements may not be."""
    command = "emulator --port 65536" if library in ("rich", "typer") else "emulator --port 0"
    code = (
        f"import sys; sys.argv = 'hellojohn {command}'.split(); sys.modules[{library!r}] = None;"
        " from hellojohn.cli import main; main()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert run.returncode == 1
    assert run.stderr == f"hellojohn: the command line needs {library}: pip install 'hellojohn[cli]'\n"


def test_a_broken_installation_is_not_a_missing_extra(monkeypatch):
    """A module of the package that cannot be imported is a bug, and shows as one."""
    monkeypatch.delitem(sys.modules, "hellojohn.cli._app")
    monkeypatch.setitem(sys.modules, "hellojohn.cli._doctor", None)
    with pytest.raises(ImportError, match="_doctor"):
        main()


def test_main_takes_the_arguments_of_the_process(monkeypatch, capsys):
    """The installed script calls it."""
    monkeypatch.setattr(sys, "argv", ["hellojohn", "--version"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert capsys.readouterr().out == f"hellojohn {__version__}\n"


def test_importing_it_loads_nothing():
    """A tool that looks at the package does not need the extra."""
    code = "import sys, hellojohn.cli; print(*{'typer', 'rich', 'uvicorn', 'httpx'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout.split() == []
