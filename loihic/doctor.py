"""What is installed, what of it works, and what to type for the rest. Standard library only: numpy may be missing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from loihic.errors import BackendError, fail

SUPPORTED = ((3, 10), (3, 12))
LAVA = "lava-nc==0.10.0"
# Lava 0.10.0 declares Python < 3.11; from 3.11 on its dependencies are installed first, at versions it works with.
LAVA_NEEDS = ("numpy<2", "scipy<1.17", "scikit-learn<1.8", "networkx<=2.8.7", "asteval<0.10")
PROBE_SECONDS = 120.0
PROBE_LAVA = """
from loihic.targets.lava import compat
compat.install()
from lava.magma.compiler import var_model
from lava.proc.lif.process import LIF
"""
PROBE_LOIHI = """
import importlib.util
from loihic.targets.lava import compat
from loihic.targets.lava.worker import HARDWARE_MODULES
compat.install()
missing = [name for name in HARDWARE_MODULES if importlib.util.find_spec(name) is None]
raise SystemExit("not found: " + ", ".join(missing) if missing else 0)
"""

OK, MISSING, BROKEN = "ok", "missing", "broken"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that loihic needs or can use.

    Attributes:
        name: of the package.
        status: ``ok``, ``missing`` or ``broken``.
        found: version or the reason why it does not work.
        purpose: what it is for.
        required: whether loihic works at all without it.
        remedy: what to type if it is not ok.
    """

    name: str
    status: str
    found: str
    purpose: str
    required: bool = False
    remedy: str = ""


PACKAGES = (
    ("numpy", "arrays", True), ("scipy", "sparse matrices", True), ("h5py", "reading .nir and .net files", True),
    ("safetensors", "reading and writing .loihic files", True), ("nir", "models given as nir.NIRGraph", False),
    ("numba", "a simulator some hundred times faster than numpy alone", False),
    ("onnx", "reading .onnx files", False), ("torch", "compiling modules, training the examples", False),
    ("matplotlib", "plots of compare, evaluate and sweep", False),
    ("distributed", "evaluate and sweep on a Dask cluster", False),
)


def examine() -> list[Finding]:
    """Everything, in the order in which to mend it. Takes a second or two where Lava is installed."""
    return [_python(), *(_package(*item) for item in PACKAGES), _lava(), _loihi()]


def healthy(findings: list[Finding]) -> bool:
    """Whether everything that loihic cannot do without is there."""
    return all(item.status == OK for item in findings if item.required)


def version_of(package: str) -> str | None:
    """The installed version, or None; the package is not imported."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def lava_commands(version: tuple[int, int] | None = None) -> list[list[str]]:
    """The pip commands that install Lava into this interpreter.

    Args:
        version: of Python; this one's by default.

    Raises:
        BackendError: LHC601, if no Lava runs on that Python.
    """
    version = version or sys.version_info[:2]
    if not SUPPORTED[0] <= version <= SUPPORTED[1]:
        fail("LHC601", f"Lava does not run on Python {version[0]}.{version[1]}", error=BackendError,
             help="use Python 3.10, 3.11 or 3.12")
    pip = [sys.executable, "-m", "pip", "install"]
    if version == SUPPORTED[0]:
        return [[*pip, LAVA, LAVA_NEEDS[0]]]
    return [[*pip, *LAVA_NEEDS], [*pip, "--no-deps", "--ignore-requires-python", LAVA]]


def install_lava(commands: list[list[str]], *, output: IO[str] | None = None,
                 announce: Callable[[list[str]], None] | None = None) -> None:
    """Run the commands of `lava_commands` one after the other.

    Args:
        commands: to run.
        output: where pip's own words go; stdout by default.
        announce: called with each command before it runs.

    Raises:
        BackendError: LHC601, if a command fails.
    """
    for command in commands:
        if announce is not None:
            announce(command)
        try:
            status = subprocess.run(command, stdout=output, check=False).returncode
        except OSError as error:
            fail("LHC601", "pip could not be started", param=str(error), error=BackendError)
        if status != 0:
            fail("LHC601", f"pip ended with status {status}", param=" ".join(command[1:]), error=BackendError,
                 help="its own message is above")


def _python() -> Finding:
    found = f"{platform.python_version()}, {sys.executable}"
    known = SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]
    return Finding(name="python", status=OK if known else BROKEN, found=found, purpose="3.10 to 3.12", required=True,
                   remedy="" if known else "use Python 3.10, 3.11 or 3.12")


def _package(name: str, purpose: str, required: bool) -> Finding:
    version = version_of(name)
    if version is None:
        return Finding(name=name, status=MISSING, found="not installed", purpose=purpose, required=required,
                       remedy=f'pip install {name} "numpy<2"')
    if name == "numpy" and version.split(".")[0] != "1":
        return Finding(name=name, status=BROKEN, found=f"{version}; Lava needs numpy 1", purpose=purpose,
                       required=required, remedy='pip install "numpy<2"')
    return Finding(name=name, status=OK, found=version, purpose=purpose, required=required)


def _lava() -> Finding:
    version = version_of("lava-nc")
    purpose = "--backend lava, verify"
    if version is None:
        return Finding(name="lava-nc", status=MISSING, found="not installed", purpose=purpose,
                       remedy="loihic doctor --install-lava")
    problem = _probe(PROBE_LAVA)
    if problem:
        return Finding(name="lava-nc", status=BROKEN, found=f"{version}, but {problem}", purpose=purpose,
                       remedy="loihic doctor --install-lava")
    how = "imports through loihic's hook" if sys.version_info >= (3, 11) else "imports"
    return Finding(name="lava-nc", status=OK, found=f"{version}, {how}", purpose=purpose)


def _loihi() -> Finding:
    purpose = "--backend loihi2, on a chip"
    if version_of("lava-nc") is not None and not _probe(PROBE_LOIHI):
        return Finding(name="lava-loihi", status=OK, found=version_of("lava-loihi") or "found", purpose=purpose)
    return Finding(name="lava-loihi", status=MISSING, found="not installed", purpose=purpose,
                   remedy="Intel gives it to members of its neuromorphic research community (INRC)")


def _probe(code: str) -> str:
    """The last line of what `code` complains about in an interpreter of its own; empty if it runs."""
    package_root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH", "")]))
    try:
        done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, text=True,
                              capture_output=True, timeout=PROBE_SECONDS, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return f"it does not answer within {PROBE_SECONDS:g} s"
    except OSError as error:
        return f"no process could be started: {error.strerror or error}"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return "" if done.returncode == 0 else (lines[-1] if lines else f"it ended with status {done.returncode}")
