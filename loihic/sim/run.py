"""The choice of an engine, and a whole run by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.sim.engine import Checkpoint, Engine, Stretch, Wanted

ENGINES = ("auto", "numpy", "torch")


def begin(graph: HardwareGraph, batch: int, *, engine: str = "auto", steps: int = 0, record: Wanted = (),
          count: bool = False, at: Checkpoint | None = None, threads: int | None = None,
          device: str = "cpu") -> Engine:
    """An engine for `graph`, ready for its next step.

    Args:
        graph: a timed hardware graph.
        batch: number of samples.
        engine: ``numpy``, ``torch``, or ``auto`` for what suits the size of the work.
        steps: about how many steps will be taken, if that is known.
        record: (node, state) pairs to keep.
        count: whether to count messages.
        at: where to go on; the beginning without.
        threads: over which samples are spread; all cores by default.
        device: of torch: ``cpu``, ``cuda``, ``cuda:1``.

    Raises:
        BackendError: LHC601, if torch is not installed or has no such device.
    """
    if engine == "torch":
        from loihic.sim.torch_engine import TorchEngine

        return TorchEngine(graph, batch, record=record, count=count, at=at, device=device)
    from loihic.sim.simulator import NumpyEngine

    return NumpyEngine(graph, batch, record=record, count=count, at=at)


def run(graph: HardwareGraph, inputs: Mapping[str, Array], steps: int, *, engine: str = "auto",
        record: Iterable[tuple[str, str]] = (), progress: Callable[[int], None] | None = None,
        threads: int | None = None, device: str = "cpu") -> Stretch:
    """All `steps` of a run from the beginning; `inputs` are those of `Engine.advance`, the rest that of `begin`."""
    batch = next((len(values) for values in inputs.values()), 1)
    started = begin(graph, batch, engine=engine, steps=steps, record=tuple(record), threads=threads, device=device)
    return started.advance(inputs, steps, progress)
