"""Runs the Lava network that a folder describes: ``python worker.py FOLDER [--hardware]``.

A script of its own, which imports the standard library, numpy, lava and the three files beside it (compat.py,
processes.py, activations.py), so that a folder with copies of the four runs wherever lava-nc is installed. It holds

- network.json: ``steps``, ``samples``, ``processes``, ``connections``, ``taps``, ``probes`` (see `network.py` of
  loihic's Lava target); arrays are ``{"$tensor": KEY}``, shapes are lists;
- tensors.npz: those arrays, by KEY;
- inputs.npz: one array of integers (samples, T, *shape) for each process of kind ``input``, by its name.

The result is result.npz: for each tap and each probe, by its key, integers (samples, steps, *shape). Inputs that are
shorter than the run are followed by zeros. Every sample starts from the initial state.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import zipfile
from collections.abc import Iterable, Mapping
from multiprocessing.connection import wait
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Json = dict[str, Any]
Array = NDArray[Any]
CSR_PARTS = ("data", "indices", "indptr", "shape")
HARDWARE_MODULES = ("lava.magma.compiler.subcompilers.nc", "lava.proc.embedded_io")
SPIKING_KINDS = ("lava.proc.lif.process.LIF", "lava.proc.lif.process.LIFReset")
"""Processes whose output is 0 or 1, so that no message bits are needed on the way from the chip."""

GRADED_MESSAGE_BITS = 24
CONVS = ("lava.proc.conv.process.Conv", "loihic.Conv")
CONV_LIMIT = 127
"""Lava keeps a convolution's geometry in 8 bits; a larger number silently becomes another."""


def save_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write `arrays` as an .npz file; unlike `numpy.savez` it takes any name. Written aside, then renamed."""
    temporary = path.with_name(path.name + ".tmp")
    with zipfile.ZipFile(temporary, "w", allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(  # type: ignore[no-untyped-call]
                    member, np.asanyarray(array), allow_pickle=False)
    os.replace(temporary, path)


def load_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an .npz file, by name; pickled objects are refused."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def load_sibling(name: str) -> ModuleType:
    """The module of the file `name`.py beside this one, whatever package (or none) this one was loaded from."""
    full_name = f"loihic_worker_{name}"
    if full_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(full_name, Path(__file__).resolve().with_name(f"{name}.py"))
        if spec is None or spec.loader is None:
            raise ImportError(f"cannot load {name}.py from the folder of {__file__}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[full_name] = module  # Lava looks a Process's module up by its name
        spec.loader.exec_module(module)
    return sys.modules[full_name]


def process_class(kind: str) -> Any:
    """The class that `kind` names: ``loihic.NAME``, or a dotted path below ``lava.proc``; ValueError for others."""
    if kind.startswith("loihic."):
        name = kind.removeprefix("loihic.")
        return getattr(load_sibling("activations" if name == "Activation" else "processes"), name)
    if not kind.startswith("lava.proc."):
        raise ValueError(f"process kind {kind!r} is neither below lava.proc nor one of loihic's own")
    module, _, name = kind.rpartition(".")
    return getattr(importlib.import_module(module), name)


def constructor_arguments(args: Json, tensors: Mapping[str, Array]) -> Json:
    """The keyword arguments that `args` stands for.

    Lists become tuples, tensor references arrays, a sign mode's name the enum's member; ``X_data``, ``X_indices``,
    ``X_indptr`` and ``X_shape`` together become the scipy csr_matrix X.
    """
    values: Json = {}
    for key, value in args.items():
        if isinstance(value, dict):
            values[key] = tensors[value["$tensor"]]
        else:
            values[key] = tuple(value) if isinstance(value, list) else value
    for stem in [key.removesuffix("_indptr") for key in values if key.endswith("_indptr")]:
        from scipy.sparse import csr_matrix

        data, indices, indptr, shape = (values.pop(f"{stem}_{part}") for part in CSR_PARTS)
        values[stem] = csr_matrix((data, indices, indptr), shape=tuple(int(size) for size in shape))
    if not isinstance(values.get("delays", 0), int):
        values["delays"] = values["delays"].astype(int)  # Lava refuses every other width
    if "sign_mode" in values:
        from lava.utils.weightutils import SignMode

        values["sign_mode"] = SignMode[values["sign_mode"]]
    return values


def check_conv(arguments: Json) -> None:
    """ValueError if a Conv has a kernel, stride, padding, dilation or number of groups that Lava cannot hold."""
    geometry = {key: arguments.get(key, 1) for key in ("stride", "padding", "dilation", "groups")}
    for key, value in {**geometry, "kernel": arguments["weight"].shape[1:3]}.items():
        if np.max(value) > CONV_LIMIT:
            raise ValueError(f"{key} = {value} exceeds {CONV_LIMIT}, the most that Lava's Conv can hold")


def components(description: Json) -> list[set[str]]:
    """The names of the processes that are connected with each other; Lava runs one such group at a time."""
    groups: list[set[str]] = [{process["name"]} for process in description["processes"]]
    for connection in description["connections"]:
        ends = {connection["src"], connection["dst"]}
        touched = [group for group in groups if group & ends]
        groups = [group for group in groups if not group & ends] + [set().union(*touched)]
    return groups


class Network:
    """The Processes of one group, connected, with recorders at its taps and probes.

    Args:
        description: the content of network.json.
        names: the processes that belong to the group.
        tensors: the content of tensors.npz.
        inputs: for each input process (T, *shape), one sample.
        folder: where the recorders write their files.
        hardware: whether the network is to run on a chip.
    """

    def __init__(
        self, description: Json, names: set[str], tensors: Mapping[str, Array], inputs: Mapping[str, Array],
        folder: Path, hardware: bool,
    ) -> None:
        self.steps: int = description["steps"]
        self.hardware = hardware
        self.kinds = {item["name"]: item["kind"] for item in description["processes"] if item["name"] in names}
        self.processes: Json = {}
        self.out_ports: dict[tuple[str, str], Any] = {}
        self.recorders: list[Any] = []
        self.files: dict[str, Path] = {}
        self.seconds = 0.0
        for item in description["processes"]:
            if item["name"] in names:
                self._add_process(item, tensors, inputs)
        for item in description["connections"]:
            if item["src"] in names:
                port = self._out_port(item["src"], item["src_port"])
                port = port if item.get("shape") is None else port.reshape(tuple(item["shape"]))
                port.connect(getattr(self.processes[item["dst"]], item["dst_port"]))
        for index, item in enumerate(description["taps"]):
            if item["process"] in names:
                self._add_tap(item, folder / f"tap{index}.npy")
        for index, item in enumerate(description["probes"]):
            if item["process"] in names:
                self._add_probe(item, folder / f"probe{index}.npy")

    def _add_process(self, item: Json, tensors: Mapping[str, Array], inputs: Mapping[str, Array]) -> None:
        name = item["name"]
        try:
            arguments = constructor_arguments(item["args"], tensors)
            if item["kind"] in CONVS:
                check_conv(arguments)
            if item["kind"] == "input":
                self.processes[name] = self._source(name, inputs[name], tuple(arguments["shape"]))
            else:
                self.processes[name] = process_class(item["kind"])(**arguments)
        except Exception as error:
            raise ValueError(f"process {name!r} ({item['kind']}) cannot be built: {error}") from error
        self.processes[name].name = name

    def _source(self, name: str, values: Array, shape: tuple[int, ...]) -> Any:
        """A source that sends `values` (T, *shape) and then zeros to the end of the run."""
        from lava.proc.io.source import RingBuffer

        # Lava's source repeats its data for ever, so the data must be as long as the run. Time is the last axis.
        data = np.zeros((*shape, self.steps), dtype=np.int64)
        length = min(len(values), self.steps)
        data[..., :length] = np.moveaxis(values[:length], 0, -1)
        source = RingBuffer(data=data)
        if self.hardware:
            from lava.proc.embedded_io.spike import PyToNxAdapter

            bits = 0 if np.isin(data, (0, 1)).all() else GRADED_MESSAGE_BITS
            adapter = PyToNxAdapter(shape=shape, num_message_bits=bits)
            source.s_out.connect(adapter.inp)
            self.out_ports[name, "s_out"] = adapter.out
        return source

    def _out_port(self, process: str, port: str) -> Any:
        return self.out_ports.get((process, port)) or getattr(self.processes[process], port)

    def _add_tap(self, item: Json, file: Path) -> None:
        port = getattr(self.processes[item["process"]], item["port"])
        # An input is recorded before it goes to the chip: it is known there, and needs no way back.
        if self.hardware and self.kinds[item["process"]] != "input":
            from lava.proc.embedded_io.spike import NxToPyAdapter

            bits = 0 if self.kinds[item["process"]] in SPIKING_KINDS else GRADED_MESSAGE_BITS
            adapter = NxToPyAdapter(shape=port.shape, num_message_bits=bits)
            port.connect(adapter.inp)
            port = adapter.out
        recorder = load_sibling("processes").Recorder(shape=port.shape, steps=self.steps, path=str(file))
        port.connect(recorder.a_in)
        self.recorders.append(recorder)
        self.files[item["key"]] = file

    def _add_probe(self, item: Json, file: Path) -> None:
        var = getattr(self.processes[item["process"]], item["var"])
        recorder = load_sibling("processes").StateRecorder(shape=var.shape, steps=self.steps, path=str(file))
        recorder.state.connect_var(var)
        self.recorders.append(recorder)
        self.files[item["key"]] = file

    def run(self) -> dict[str, Array]:
        """Run all steps; for each key (steps, *shape). RuntimeError if one of Lava's processes fails."""
        from lava.magma.core.run_conditions import RunSteps
        from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg

        config = (Loihi2HwCfg if self.hardware else Loihi2SimCfg)(select_tag="fixed_pt")
        root = self.recorders[0]
        root.create_runtime(run_cfg=config)
        actors = root.runtime._messaging_infrastructure.actors
        with ActorWatch(actors):
            begun = time.perf_counter()
            root.run(condition=RunSteps(num_steps=self.steps))
            self.seconds = time.perf_counter() - begun
        root.stop()
        return {key: np.load(file, allow_pickle=False) for key, file in self.files.items()}


class ActorWatch:
    """Ends this process as soon as one of Lava's own processes fails during a run, because the run itself would not.

    Lava's `run` waits for an answer of every process; one that raised an exception keeps it in a pipe and prints
    nothing, and one that was killed leaves nothing at all.
    """

    def __init__(self, actors: Iterable[Any]) -> None:
        self.actors = list(actors)
        self.done, self._finished = multiprocessing.Pipe(duplex=False)
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self._finished.send(None)
        self.thread.join()

    def _watch(self) -> None:
        reports = {actor._pconn: actor for actor in self.actors}
        ends = {actor.sentinel: actor for actor in self.actors}
        ready = wait([self.done, *reports, *ends])
        if self.done in ready:
            return
        for event in ready:
            actor = reports.get(event) or ends.get(event)
            error = actor.exception if actor is not None else None
            if error is not None:
                end_badly(error[1])
        end_badly("RuntimeError: a process of Lava's ended during the run, perhaps for want of memory")


def end_badly(report: str) -> None:
    """Write `report` to stderr and end this process and its children at once, without waiting for any of them."""
    with contextlib.suppress(OSError):  # nobody may be left to read it
        sys.stderr.write(report.rstrip() + "\n")
        sys.stderr.flush()
    for child in multiprocessing.active_children():
        child.terminate()
    os._exit(1)


def end_with_parent() -> None:
    """End this process and its children when stdin closes: whoever started this process holds the other end."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        if os.getpgrp() == os.getpid():  # a child that is only just being started is in no list, but in the group
            os.killpg(os.getpid(), signal.SIGTERM)
        end_badly("RuntimeError: the process that started this one is gone")

    threading.Thread(target=watch, daemon=True).start()


def check_hardware(description: Json) -> None:
    """RuntimeError if Lava's part for the chip is missing, or the network holds what no chip can run."""
    for module in HARDWARE_MODULES:
        if importlib.util.find_spec(module) is None:
            raise RuntimeError(f"--hardware needs lava-loihi, which Intel gives to members of its research community: "
                               f"{module} is not installed")
    own = [item["name"] for item in description["processes"] if item["kind"].startswith("loihic.")]
    if own:
        raise RuntimeError(f"these processes have no model for the chip (they need microcode): {', '.join(own)}")
    if description["probes"]:
        raise RuntimeError("states are recorded in the simulator only; on the chip use Lava's StateProbe")


def run_folder(folder: Path, hardware: bool) -> None:
    """Run what `folder` describes and write its result.npz."""
    description = json.loads((folder / "network.json").read_text(encoding="utf-8"))
    tensors, inputs = load_arrays(folder / "tensors.npz"), load_arrays(folder / "inputs.npz")
    if hardware:
        check_hardware(description)
    recorded = {item["process"] for item in (*description["taps"], *description["probes"])}
    groups = [group for group in components(description) if group & recorded]
    results: dict[str, list[Array]] = {item["key"]: [] for item in (*description["taps"], *description["probes"])}
    samples: int = description["samples"]
    for index in range(samples):
        sample = {name: array[index] for name, array in inputs.items()}
        seconds = 0.0
        for group in groups:
            with tempfile.TemporaryDirectory() as scratch:
                network = Network(description, group, tensors, sample, Path(scratch), hardware)
                for key, value in network.run().items():
                    results[key].append(value)
                seconds += network.seconds
        # The time that Lava's run() took, without the start of its processes.
        sys.stdout.write(f"sample {index + 1}/{samples}: {seconds:.6f} s\n")
        sys.stdout.flush()
    save_arrays(folder / "result.npz", {key: np.stack(values) for key, values in results.items()})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Run the Lava network that a folder describes.")
    parser.add_argument("folder", type=Path, help="holds network.json, tensors.npz, inputs.npz; gets result.npz")
    parser.add_argument("--hardware", action="store_true", help="run on a Loihi 2 instead of the simulator")
    parser.add_argument("--end-with-parent", action="store_true", help="end when stdin closes")
    arguments = parser.parse_args()
    if arguments.end_with_parent:
        end_with_parent()
    try:
        load_sibling("compat").install()
        run_folder(arguments.folder, arguments.hardware)
    # Whatever it is, Lava's processes must not outlive it, and a normal exit would wait for them.
    except BaseException:
        end_badly(traceback.format_exc())


if __name__ == "__main__":
    main()
