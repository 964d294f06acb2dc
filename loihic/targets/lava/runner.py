"""Runs a Lava network in a process group of its own, with a time limit, and leaves nothing behind."""

from __future__ import annotations

import importlib.metadata
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from loihic.errors import BackendError, fail
from loihic.targets.lava.export import SCRIPT, write_network
from loihic.targets.lava.network import LavaNetwork
from loihic.targets.lava.worker import Array, load_arrays

REPORT_LINES = 12
ERROR_LINE = re.compile(r"[A-Za-z_][\w.]*: ")
QUIET_TRACKER = "ignore::UserWarning:multiprocessing.resource_tracker"
"""Python's resource tracker would warn of the shared memory that it removes, after the worker's own last words."""

GRACE_SECONDS = 2.0
"""How long a process group may take to end by itself before it is killed."""

BEAT_SECONDS = 0.2

START_SECONDS = 60.0
"""Import of Lava on a slow or busy machine, once for a run."""

SECONDS_PER_PROCESS = 1.0
SECONDS_PER_STEP = 0.005
"""Per process. Measured are 0.00016 to 0.00026 s; the rest is for large arrays and busy machines."""


def lava_version() -> str | None:
    """The version of the installed lava-nc, or None. Does not import it."""
    try:
        return importlib.metadata.version("lava-nc")
    except importlib.metadata.PackageNotFoundError:
        return None


def default_timeout(processes: int, steps: int, samples: int) -> float:
    """A time limit in seconds that only a run that hangs should reach."""
    return START_SECONDS + samples * processes * (SECONDS_PER_PROCESS + steps * SECONDS_PER_STEP)


def end_group(process: subprocess.Popen[str]) -> None:
    """End every process of the group that `process` leads, and wait until it is gone.

    First by SIGTERM, which leaves Python's resource tracker, itself a member of the group, the time to remove the
    shared memory of the others; then by SIGKILL.
    """
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + GRACE_SECONDS
        try:
            os.killpg(process.pid, signal_number)
            while time.monotonic() < deadline:
                process.poll()  # reaps the leader, which would else stay a member of its group
                os.killpg(process.pid, 0)
                time.sleep(0.01)
        except ProcessLookupError:
            break
    process.wait()


def _forward(stream: IO[str], lines: list[str], receive: Callable[[str], None] | None) -> threading.Thread:
    """A started thread that appends the lines of `stream` to `lines` and gives each to `receive`."""

    def read() -> None:
        for line in stream:
            lines.append(line.rstrip("\n"))
            if receive is not None:
                receive(lines[-1])

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _ends(process: subprocess.Popen[str], timeout: float, beat: Callable[[], None] | None) -> bool:
    """Wait, and say whether `process` ended in time."""
    deadline = time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > 0:
        try:
            process.wait(timeout=left if beat is None else min(left, BEAT_SECONDS))
            return True
        except subprocess.TimeoutExpired:
            if beat is not None:
                beat()
    return False


def _report(lines: list[str]) -> str:
    """The end of what the worker wrote to stderr, below the line that names the error."""
    text = [line for line in lines if line.strip()][-REPORT_LINES:]
    title = next((line for line in reversed(text) if ERROR_LINE.match(line)), "the worker's last words were")
    return "\n".join([title, *(f"    {line}" for line in text)]) if text else "the worker left no message"


def run_script(
    command: list[str], *, timeout: float, on_progress: Callable[[str], None] | None = None,
    beat: Callable[[], None] | None = None,
) -> None:
    """Run `command` in a new session until it ends; its whole process group is gone when this returns or raises.

    Args:
        command: the program and its arguments; its stdin stays open and closes when this process ends.
        timeout: limit in seconds.
        on_progress: receives each line that the command writes to stdout.
        beat: called several times a second, in this thread; what it raises ends the command, and is raised here.

    Raises:
        BackendError: LHC602 if the command fails, LHC603 if it takes longer than `timeout`.
    """
    warnings = ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), QUIET_TRACKER)))
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONWARNINGS": warnings}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
    )
    errors: list[str] = []
    readers: list[threading.Thread] = []
    try:
        for stream, lines, receive in ((process.stdout, [], on_progress), (process.stderr, errors, None)):
            if stream is not None:
                readers.append(_forward(stream, lines, receive))
        timed_out = not _ends(process, timeout, beat)
    finally:
        status = process.poll()
        end_group(process)
        for reader in readers:
            reader.join(timeout=GRACE_SECONDS)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    if timed_out:
        fail("LHC603", f"Lava did not finish within {timeout:g} s", help="a larger --timeout, or fewer steps",
             error=BackendError)
    if status != 0:
        fail("LHC602", f"Lava failed: {_report(errors)}", error=BackendError)


def run_network(
    network: LavaNetwork, inputs: Mapping[str, Array], steps: int, *, timeout: float, hardware: bool = False,
    on_progress: Callable[[str], None] | None = None, beat: Callable[[], None] | None = None,
) -> dict[str, Array]:
    """Run `network` on Lava.

    Args:
        network: what to run.
        inputs: for each input process integers (N, T, *shape); zeros follow when T < `steps`.
        steps: how long each of the N samples runs.
        timeout: limit in seconds for the whole run; see `default_timeout`.
        hardware: run on a Loihi 2 (needs lava-loihi) instead of the simulator.
        on_progress: receives a line such as ``sample 1/3: 1.25 s`` after each sample, in a thread of its own; the
            time is that of Lava's run() alone.
        beat: as for `run_script`.

    Returns:
        For each tap and each probe, by its key, int32 (N, steps, *shape).

    Raises:
        InputError: the inputs do not fit (LHC110, LHC111).
        BackendError: Lava is not installed (LHC601), failed (LHC602) or ran out of time (LHC603).
    """
    if lava_version() is None:
        fail("LHC601", "Lava is not installed", help="loihic doctor --install-lava", error=BackendError)
    with tempfile.TemporaryDirectory(prefix="loihic-lava-") as scratch:
        folder = Path(scratch)
        write_network(network, inputs, steps, folder)
        # The copy of the script is run, not the package's own: Lava executes every file in the folder of a Process.
        command = [sys.executable, str(folder / SCRIPT), str(folder), "--end-with-parent"]
        run_script(command + ["--hardware"] * hardware, timeout=timeout, on_progress=on_progress, beat=beat)
        return load_arrays(folder / "result.npz")
