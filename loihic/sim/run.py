"""The choice of an engine, and a whole run by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from math import prod

from loihic.errors import BackendError, InputError, fail
from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.population import Population
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.sim.engine import Checkpoint, Engine, Stretch, Wanted

ENGINES = ("auto", "flat", "numpy", "torch")  # `flat`: the compiled kernels
# What numpy takes, about: only whether a run is worth the start of the kernels depends on it.
NODE_SECONDS, NEURON_SECONDS, WEIGHT_SECONDS, PRODUCT_SECONDS = 15e-6, 60e-9, 2e-9, 0.5e-9
LOAD_SECONDS = 0.5  # to import numba and load the kernels
COMPILE_SECONDS = 5.0  # and to compile them, at their first use


def begin(graph: HardwareGraph, batch: int, *, engine: str = "auto", steps: int = 0, record: Wanted = (),
          count: bool = False, at: Checkpoint | None = None, threads: int | None = None,
          device: str = "cpu") -> Engine:
    """An engine for `graph`, ready for its next step.

    Args:
        graph: a timed hardware graph.
        batch: number of samples.
        engine: ``flat`` (compiled kernels; numpy where a number does not fit them), ``numpy``, ``torch``, or ``auto``
            for what suits the size of the work.
        steps: about how many steps will be taken, if that is known; many otherwise.
        record: (node, state) pairs to keep.
        count: whether to count messages.
        at: where to go on; the beginning without.
        threads: over which samples are spread; all cores by default.
        device: of torch: ``cpu``, ``cuda``, ``cuda:1``.

    Raises:
        BackendError: LHC601, if numba or torch is not installed, or torch has no such device.
        InputError: LHC702, unknown engine.
    """
    if engine not in ENGINES:
        fail("LHC702", f"unknown engine {engine!r}", help=f"one of {', '.join(ENGINES)}", error=InputError)
    if engine == "flat" and find_spec("numba") is None:
        fail("LHC601", "numba is not installed", help="pip install numba, or take the engine numpy", error=BackendError)
    if engine == "torch":
        from loihic.sim.torch_engine import TorchEngine

        return TorchEngine(graph, batch, record=record, count=count, at=at, device=device)
    if engine == "flat" or (engine == "auto" and suits_kernels(graph, batch, steps)):
        from loihic.sim.flat.arena import UnsuitableError
        from loihic.sim.flat.engine import FlatEngine

        with suppress(UnsuitableError):
            return FlatEngine(graph, batch, record=record, count=count, at=at, threads=threads)
    from loihic.sim.simulator import NumpyEngine

    return NumpyEngine(graph, batch, record=record, count=count, at=at)


def run(graph: HardwareGraph, inputs: Mapping[str, Array], steps: int, *, engine: str = "auto",
        record: Iterable[tuple[str, str]] = (), progress: Callable[[int], None] | None = None,
        threads: int | None = None, device: str = "cpu") -> Stretch:
    """All `steps` of a run from the beginning; `inputs` are those of `Engine.advance`, the rest that of `begin`."""
    batch = next((len(values) for values in inputs.values()), 1)
    started = begin(graph, batch, engine=engine, steps=steps, record=tuple(record), threads=threads, device=device)
    return started.advance(inputs, steps, progress)


def suits_kernels(graph: HardwareGraph, batch: int, steps: int) -> bool:
    """Whether numba is there, and numpy would take longer than the kernels take to start."""
    if find_spec("numba") is None:
        return False
    if not steps:
        return True
    seconds = steps * numpy_seconds(graph, batch)
    if seconds < LOAD_SECONDS:
        return False
    from loihic.sim.flat.jit import is_compiled

    return is_compiled() or seconds > COMPILE_SECONDS


def numpy_seconds(graph: HardwareGraph, batch: int) -> float:
    """About how long numpy takes for a step of `batch` samples."""
    seconds = len(graph.nodes) * NODE_SECONDS
    for name, node in graph.nodes.items():
        if isinstance(node, Population):
            seconds += batch * prod(graph.shapes[name]) * NEURON_SECONDS
        elif isinstance(node, DenseSynapse):
            seconds += node.weights.size * (WEIGHT_SECONDS + batch * PRODUCT_SECONDS)
        elif isinstance(node, SparseSynapse):
            seconds += batch * node.data.size * PRODUCT_SECONDS
        elif isinstance(node, ConvSynapse):
            seconds += batch * prod(node.out_shape) * prod(node.kernel.shape[1:]) * PRODUCT_SECONDS
    return seconds
