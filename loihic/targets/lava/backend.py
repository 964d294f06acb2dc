"""The Lava backends: the same inputs and outputs as the simulator's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.ops.source import Sink
from loihic.targets.lava.emit import emit, from_lava, lava_shape, process_names, to_lava
from loihic.targets.lava.runner import default_timeout, run_network

Recorded = dict[tuple[str, str], Array]


def run_on_lava(graph: HardwareGraph, inputs: Mapping[str, Array], steps: int, *,
                record: Iterable[tuple[str, str]] = (), timeout: float | None = None,
                hardware: bool = False) -> tuple[dict[str, Array], Recorded]:
    """Run a timed graph on Lava's CPU simulator, or on a chip.

    Arguments and results as `loihic.sim.simulator.simulate`; `timeout` is in seconds and generous by default.

    Raises:
        BackendError: LHC601 not installed, LHC602 failed, LHC603 ran out of time.
    """
    wanted = list(record)
    network = emit(graph, wanted)
    names = process_names(graph)
    arrays = {names[name]: to_lava(values, graph.shapes[name]) for name, values in inputs.items()}
    samples = next(iter(inputs.values())).shape[0]
    limit = timeout if timeout is not None else default_timeout(len(network.processes), steps, samples)
    found = run_network(network, arrays, steps, timeout=limit, hardware=hardware)
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

