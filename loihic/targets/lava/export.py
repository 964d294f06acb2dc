"""Writes a Lava network as a folder that runs wherever lava-nc is installed, without loihic."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from loihic.errors import InputError, fail
from loihic.targets.lava.network import ArgValue, LavaNetwork, LavaProcess
from loihic.targets.lava.worker import Array, save_arrays

HERE = Path(__file__).resolve().parent
SCRIPT = "run.py"
SCRIPTS = {"worker.py": SCRIPT} | {name: name for name in ("processes.py", "activations.py", "compat.py")}
FORMAT = "loihic-lava-export"

README = """\
# {name}

A spiking network as Lava Processes, written by loihic. It needs Python 3.10 to 3.12 and lava-nc 0.10.0, nothing else.

    python {script} .              # in Lava's simulator, bit-accurate (fixed_pt)
    python {script} . --hardware   # on a Loihi 2; needs lava-loihi

The board is chosen by Lava's own environment variables (LOIHI_GEN, BOARD, PARTITION, SLURM). The run of {samples}
sample(s) of {steps} steps reads inputs.npz and writes result.npz: for each recorded port or state an array of integers
(samples, steps, *shape). To run other inputs, replace inputs.npz by arrays of the same names and shapes
(samples, T, *shape), and change "samples" and "steps" in network.json.

placement.json says which neurons of which Process belong on which core. Lava's simulator does not need it; how Intel's
compiler takes a partition by hand is not public.
"""


def check_inputs(network: LavaNetwork, inputs: Mapping[str, Array]) -> int:
    """The number of samples in `inputs`; 1 if the network has no inputs.

    Raises:
        InputError: an input is missing, or is not an int32 array (N, T, *shape) with the same N as the others.
    """
    samples: int | None = None
    for process in network.processes:
        if process.kind != "input":
            continue
        shape = process.args["shape"]
        if process.name not in inputs:
            fail("LHC110", f"no input is given for {process.name!r}", node=process.name, error=InputError)
        array = np.asarray(inputs[process.name])
        if array.dtype.kind not in "iub" or array.shape[2:] != shape or array.ndim < 2:
            fail("LHC110", f"an input of Lava must be integers (N, T, *{shape}), got {array.dtype} {array.shape}",
                 node=process.name, error=InputError)
        if samples not in (None, len(array)):
            fail("LHC110", f"inputs hold different numbers of samples: {samples} and {len(array)}", node=process.name,
                 error=InputError)
        if array.size and (array.min() < -(2**31) or array.max() > 2**31 - 1):
            fail("LHC111", "Lava's sources send 32-bit integers; a value is outside", node=process.name,
                 error=InputError)
        samples = len(array)
    return 1 if samples is None else samples


def _argument(process: LavaProcess, key: str, value: ArgValue, tensors: dict[str, Array]) -> Any:
    """`value` as JSON; an array goes into `tensors` and becomes a reference."""
    if isinstance(value, np.ndarray):
        tensor = f"{len(tensors)}.{process.name}.{key}"
        tensors[tensor] = value
        return {"$tensor": tensor}
    if isinstance(value, tuple):
        return [int(size) for size in value]
    return value.item() if isinstance(value, np.generic) else value


def write_network(network: LavaNetwork, inputs: Mapping[str, Array], steps: int, folder: Path) -> None:
    """Write network.json, tensors.npz, inputs.npz and the scripts that run them into the existing `folder`.

    Raises:
        InputError: the inputs do not fit the network.
    """
    samples = check_inputs(network, inputs)
    tensors: dict[str, Array] = {}
    description = {
        "format": FORMAT, "steps": int(steps), "samples": samples,
        "processes": [
            {"name": process.name, "kind": process.kind,
             "args": {key: _argument(process, key, value, tensors) for key, value in process.args.items()}}
            for process in network.processes
        ],
        "connections": [
            {"src": item.src, "src_port": item.src_port, "dst": item.dst, "dst_port": item.dst_port,
             "shape": None if item.shape is None else [int(size) for size in item.shape]}
            for item in network.connections
        ],
        "taps": [{"key": item.key, "process": item.process, "port": item.port} for item in network.taps],
        "probes": [{"key": item.key, "process": item.process, "var": item.var} for item in network.probes],
    }
    (folder / "network.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
    save_arrays(folder / "tensors.npz", tensors)
    names = [process.name for process in network.processes if process.kind == "input"]
    save_arrays(folder / "inputs.npz", {name: np.asarray(inputs[name]) for name in names})
    for source, target in SCRIPTS.items():
        shutil.copyfile(HERE / source, folder / target)


def _is_export(folder: Path) -> bool:
    """Whether `folder` was written by `export_network`."""
    try:
        content = json.loads((folder / "network.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT and (folder / SCRIPT).is_file()


def export_network(
    network: LavaNetwork, inputs: Mapping[str, Array], steps: int, folder: Path, *, name: str,
    beside: Mapping[str, str] | None = None,
) -> None:
    """Write `folder` (new, empty, or an older export, which is replaced) with all that is needed to run `network`.

    Args:
        network: what to run.
        inputs: for each input process integers (N, T, *shape).
        steps: how long each of the N samples runs.
        folder: complete or untouched, whatever happens.
        name: heads the README.
        beside: texts of further files, by name.

    Raises:
        InputError: the inputs do not fit (LHC110, LHC111), or the folder cannot be written or holds other files
            (LHC112).
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or _is_export(folder))):
        fail("LHC112", f"{folder} exists and is not an export of loihic", help="name a new or an empty folder",
             error=InputError)
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, so that the rename stays within one file system.
        with tempfile.TemporaryDirectory(dir=folder.absolute().parent, prefix=f".{folder.name}-") as scratch:
            fresh, old = Path(scratch) / "new", Path(scratch) / "old"
            fresh.mkdir()
            write_network(network, inputs, steps, fresh)
            text = README.format(name=name, script=SCRIPT, samples=check_inputs(network, inputs), steps=steps)
            for file, content in {**(beside or {}), "README.md": text}.items():
                (fresh / file).write_text(content, encoding="utf-8")
            if folder.exists():
                os.replace(folder, old)
            os.replace(fresh, folder)
    except OSError as error:
        fail("LHC112", f"{folder}: {error.strerror or error}", error=InputError)
