"""The engine for batches of thousands: the same integers on tensors, on a CPU or a GPU.

Sums are products of matrices in floating point, with exactness known beforehand from bounds of weights and messages
(`loihic.sim.tensors.exact`). What is in no loop is computed node by node, each for a block of steps at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from loihic.errors import BackendError, fail
from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.sim.engine import Checkpoint, Stretch, Wanted


def torch_device(name: str) -> Any:
    """The `torch.device` of a name such as ``cpu``, ``cuda`` or ``cuda:1``.

    Raises:
        BackendError: LHC601, torch is not installed or has no such device.
    """
    try:
        torch = import_module("torch")
    except ImportError as error:
        fail("LHC601", "PyTorch is not installed", param=str(error), help="pip install 'loihic[torch]'",
             error=BackendError)
    try:
        device = torch.device(name)
        torch.zeros(1, dtype=torch.float64, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        found = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        fail("LHC601", f"torch cannot compute on the device {name!r}", param=f"{error}".splitlines()[0],
             help=f"one of {', '.join(['cpu', *found])}; a GPU needs its driver and a torch that was built for it",
             error=BackendError)
    return device


class TorchEngine:
    """An `Engine` on tensors.

    Args:
        graph: with latencies assigned.
        batch: number of samples.
        record: (node, state) pairs to keep.
        count: whether to count messages.
        at: where to go on.
        device: ``cpu``, ``cuda``, ``cuda:1``.
        fuse: whether torch compiles the neurons' steps, which takes some seconds once; on a GPU by default.

    Raises:
        BackendError: LHC601, torch is not installed or has no such device.
    """

    def __init__(self, graph: HardwareGraph, batch: int, *, record: Wanted = (), count: bool = False,
                 at: Checkpoint | None = None, device: str = "cpu", fuse: bool | None = None) -> None:
        place = torch_device(device)
        from loihic.sim.tensors.exact import exact_arithmetic
        from loihic.sim.tensors.machine import Machine

        self.graph, self.batch, self._exactly = graph, batch, exact_arithmetic
        with exact_arithmetic(place):
            self._machine = Machine(graph, batch, record, count, at, place,
                                    place.type == "cuda" if fuse is None else fuse)
        self.step = self._machine.step
        self.sent: dict[str, Array] = self._machine.sent_so_far()

    def advance(self, inputs: Mapping[str, Array], steps: int, progress: Callable[[int], None] | None = None
                ) -> Stretch:
        with self._exactly(self._machine.device):
            stretch = self._machine.advance(inputs, steps, progress)
        self.step, self.sent = self._machine.step, self._machine.sent_so_far()
        return stretch

    def checkpoint(self) -> Checkpoint:
        return self._machine.checkpoint()
