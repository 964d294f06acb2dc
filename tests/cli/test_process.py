"""The command line as a process: start-up, exit statuses, pipes, folders and terminals."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
COMMAND = [sys.executable, "-m", "loihic"]


def start(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    options = {"capture_output": True, "text": True, "env": ENVIRONMENT, "timeout": 120, **options}
    return subprocess.run([*COMMAND, *map(str, arguments)], check=False, **options)


def test_importing_the_command_line_imports_nothing_heavy():
    code = "import sys, loihic.cli; print([m for m in ('numpy', 'scipy', 'rich', 'h5py') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_and_version():
    done = start("--help")
    assert done.returncode == 0
    for command in ("check", "compile", "run", "verify", "show", "where", "export", "explain", "passes", "ops",
                    "doctor"):
        assert f"  {command} " in done.stdout
        assert start(command, "--help").returncode == 0
    assert start("--version").stdout.startswith("loihic")
    assert start("nonsense").returncode == 2


def test_status_and_no_traceback(model):
    done = start("compile", model, "-o", model.parent / "no" / "a.loihic")
    assert done.returncode == 1
    assert "LHC112" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_stdout_on_a_full_disk(program):
    with open("/dev/full", "w") as full:
        done = start("show", program, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert "LHC112" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves(program):
    process = subprocess.Popen([*COMMAND, "show", str(program)], env=ENVIRONMENT, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(model, folder):
    (folder / "sealed").mkdir(mode=0o500)
    done = start("compile", model, "-o", folder / "sealed" / "a.loihic")
    assert done.returncode == 1
    assert "LHC112" in done.stderr


def test_names_that_the_encoding_lacks(folder):
    done = start("compile", "größe\x1b.nir", env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 1
    assert "\x1b" not in done.stderr
    assert "Traceback" not in done.stderr


def test_colour_on_a_terminal_only(folder):
    above, below = pty.openpty()
    done = start("compile", "nope.nir", capture_output=False, stdout=subprocess.PIPE, stderr=below,
                 env={**ENVIRONMENT, "TERM": "xterm-256color", "NO_COLOR": ""})
    os.close(below)
    assert done.returncode == 1
    assert b"\x1b[" in os.read(above, 4096)
    os.close(above)
    assert "\x1b[" not in start("compile", "nope.nir").stderr
