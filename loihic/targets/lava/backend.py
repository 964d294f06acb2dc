"""The Lava backends: the same inputs and outputs as the simulator's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from loihic.errors import BackendError, fail
from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.ops.source import Sink
from loihic.targets.lava.emit import emit, from_lava, lava_shape, process_names, to_lava
from loihic.targets.lava.runner import default_timeout, run_network
from loihic.targets.lava.worker import HARDWARE_MODULES

Recorded = dict[tuple[str, str], Array]


def hardware_found() -> bool:
    """Whether Lava's closed part for the chip is there, found by its files since importing Lava takes seconds."""
    spec = find_spec("lava")
    places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec is not None else []
    parts = [Path(*name.split(".")[1:]) for name in HARDWARE_MODULES]
    return all(any((place / part).exists() for place in places) for part in parts)


def run_on_lava(graph: HardwareGraph, inputs: Mapping[str, Array], steps: int, *,
                record: Iterable[tuple[str, str]] = (), timeout: float | None = None,
                hardware: bool = False, on_progress: Callable[[str], None] | None = None,
                beat: Callable[[], None] | None = None) -> tuple[dict[str, Array], Recorded]:
    """Run a timed graph on Lava's CPU simulator, or on a chip.

    Arguments and results as `loihic.sim.simulator.simulate`; `timeout` is in seconds and generous by default;
    `on_progress` and `beat` are those of `run_network`.

    Raises:
        BackendError: LHC601 not installed, LHC602 failed, LHC603 ran out of time.
    """
    if hardware and not hardware_found():
        fail("LHC601", "lava-loihi is not installed", error=BackendError,
             param=f"not found: {', '.join(HARDWARE_MODULES)}",
             help="Intel gives it to members of its research community; --backend lava runs the same bits here")
    wanted = list(record)
    network = emit(graph, wanted)
    names = process_names(graph)
    arrays = {names[name]: to_lava(values, graph.shapes[name]) for name, values in inputs.items()}
    samples = next(iter(inputs.values())).shape[0]
    limit = timeout if timeout is not None else default_timeout(len(network.processes), steps, samples)
    found = run_network(network, arrays, steps, timeout=limit, hardware=hardware, on_progress=on_progress,
                        beat=beat)
    outputs = {}
    for name, node in graph.nodes.items():
        if isinstance(node, Sink):
            source = graph.shapes[graph.incoming[name][0].src]
            values = from_lava(found[f"sink/{name}"].reshape(samples, steps, *lava_shape(source)), source)
            outputs[name] = values.reshape(samples, steps, *node.shape).astype("int64")
    recorded = {}
    for name, state in wanted:
        shape = graph.shapes[name]
        values = found[f"{name}.{state}"].reshape(samples, steps, *lava_shape(shape))
        recorded[name, state] = from_lava(values, shape).astype("int64")
    return outputs, recorded

