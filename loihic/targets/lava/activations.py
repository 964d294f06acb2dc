"""Lava Process of loihic's own for quantised networks without spikes, with a `fixed_pt` model that runs on a CPU.

It has no model for the chip ("needs microcode"). Depends on lava and numpy alone: exported folders carry a copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray

Array = NDArray[Any]
Ints = int | Array
Shape = tuple[int, ...]

HALF = 2**23
"""Sums have 24 bits, in two's complement."""


class Activation(AbstractProcess):  # type: ignore[misc]
    """Neurons that send a level, or its change, for the whole sum that arrives.

    At step k = time_step - 1, before `start`, nothing is sent and the input is dropped; from `start` on
    ``v = a`` (or ``v + a`` if `sigma`), wrapped to 24 bits,
    ``y = clip((v * multiplier + addend) >> shift, low, high)``, or with thresholds
    ``y = low + rise * (number of thresholds[row] at or below v)``,
    and y is sent, or if `delta` the difference to what was sent so far where it is at least `vth`.

    Args:
        shape: number and arrangement of the neurons.
        low, high: least and greatest level.
        multiplier, addend, shift: per neuron or one number; the shift rounds down, with `ties_even` to the nearest.
        thresholds: (rows, steps), rising in each row; no steps for a multiplication instead.
        row: which row each neuron has; of `shape`.
        rise: height of a step.
        ties_even: whether the shift rounds to the nearest, ties to even.
        sigma: whether what arrives are changes.
        delta: whether changes are sent.
        vth: least change that is sent.
        start: first step (from 0) that counts.
        name: as of any Lava Process.

    Ports: a_in, s_out. Vars: v, told (what was sent so far), and the parameters.
    """

    def __init__(
        self, *, shape: Shape, low: int, high: int, multiplier: Ints = 1, addend: Ints = 0, shift: Ints = 0,
        thresholds: Array, row: Ints = 0, rise: int = 1, ties_even: bool = False, sigma: bool = False,
        delta: bool = False, vth: int = 0, start: int = 0, name: str | None = None,
    ) -> None:
        super().__init__(shape=shape, low=int(low), high=int(high), rise=int(rise), ties_even=bool(ties_even),
                         sigma=bool(sigma), delta=bool(delta), vth=int(vth), start=int(start), name=name)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.v = Var(shape=shape, init=0)
        self.told = Var(shape=shape, init=0)
        per_neuron = {"multiplier": multiplier, "addend": addend, "shift": shift, "row": row}
        for key, value in per_neuron.items():
            setattr(self, key, Var(shape=shape, init=np.array(np.broadcast_to(np.asarray(value), shape))))
        table = np.asarray(thresholds).reshape(len(thresholds), -1)
        # A Var without elements does not compile: a table without steps gets one that nothing reaches.
        self.thresholds = Var(shape=(len(table), max(table.shape[1], 1)),
                              init=table if table.shape[1] else np.full((len(table), 1), 2**30))
        self.proc_params["by_threshold"] = bool(table.shape[1])


@implements(proc=Activation, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyActivationModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Bit-exact model of `Activation`; products are taken in int64."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    v: Array = LavaPyType(np.ndarray, np.int32, precision=24)
    told: Array = LavaPyType(np.ndarray, np.int32, precision=24)
    multiplier: Array = LavaPyType(np.ndarray, np.int64)
    addend: Array = LavaPyType(np.ndarray, np.int64)
    shift: Array = LavaPyType(np.ndarray, np.int64)
    row: Array = LavaPyType(np.ndarray, np.int32)
    thresholds: Array = LavaPyType(np.ndarray, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.options: dict[str, Any] = {key: proc_params[key] for key in (
            "low", "high", "rise", "ties_even", "sigma", "delta", "vth", "start", "by_threshold")}

    def run_spk(self) -> None:
        """One step."""
        a = self.a_in.recv().astype(np.int64)
        options = self.options
        if self.time_step - 1 < options["start"]:
            self.s_out.send(np.zeros_like(self.v))
            return
        total = self.v + a if options["sigma"] else a
        self.v[:] = (total + HALF) % (2 * HALF) - HALF
        y = self._level(self.v.astype(np.int64))
        if options["delta"]:
            change = y - self.told
            y = np.where(np.abs(change) >= options["vth"], change, 0)
            self.told[:] = self.told + y
        self.s_out.send(y.astype(np.int32))

    def _level(self, v: Array) -> Array:
        """The level of each sum."""
        options = self.options
        if options["by_threshold"]:
            reached = np.count_nonzero(v[..., np.newaxis] >= self.thresholds[self.row], axis=-1)
            level: Array = options["low"] + options["rise"] * reached
            return level
        product = v * self.multiplier + self.addend
        y = product >> self.shift
        if options["ties_even"]:
            rest = product - (y << self.shift)
            middle = np.where(self.shift > 0, np.left_shift(1, np.maximum(self.shift - 1, 0)), 2**62)
            y = y + ((rest > middle) | ((rest == middle) & (y % 2 == 1)))
        return np.clip(y, options["low"], options["high"])
