"""Lava Processes of loihic's own, with `fixed_pt` models that run on a CPU.

They do what Lava's stock Processes cannot: parameters per neuron, reset by subtraction, several spikes a step, a
graded output of the membrane, a late start, a delay of any length, an exponent on a convolution. They have no model
for the chip ("needs microcode").
Depends on lava and numpy alone: exported folders carry a copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort, RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.models import AbstractPyConvModel
from lava.proc.conv.process import Conv as LavaConv
from lava.proc.conv.utils import signed_clamp
from numpy.typing import NDArray

Array = NDArray[Any]
Ints = int | Array
Shape = tuple[int, ...]

STATE_LIMIT = 2**23
"""States have 24 bits: u wraps beyond this magnitude, v saturates just below it."""

ALIGN_BITS = 6
"""The chip shifts activations and thresholds by this many bits, to align them with the 24-bit states."""

DECAY_BITS = 12
"""Decays are in units of 2**-12."""

RESETS = ("zero", "subtract", "none")
OUTPUTS = ("spike", "multi", "graded")


def _per_neuron(name: str, value: Ints, shape: Shape, low: int, high: int) -> Array:
    """`value` broadcast to `shape` as int32; ValueError if it does not broadcast or leaves [low, high]."""
    array = np.asarray(value)
    if array.size and (array.min() < low or array.max() > high):
        raise ValueError(f"{name} must lie in [{low}, {high}], got values from {array.min()} to {array.max()}")
    return np.array(np.broadcast_to(array, shape), dtype=np.int32)


def shift_toward_zero(x: Array, bits: int) -> Array:
    """Divide by 2**bits and round toward zero, as the chip does when it multiplies by a decay."""
    result: Array = np.sign(x) * (np.abs(x) >> bits)
    return result


def wrap_current(x: Array) -> Array:
    """The int64 sum `x` as Lava's LIF stores a current: first modulo 2**32, then wrapped once at 24 bits.

    Once only: a sum beyond 3 * 2**23 is still outside 24 bits afterwards. +2**23 stays, -2**23 becomes +2**23.
    """
    x = x.astype(np.int32).astype(np.int64)
    return np.where(x > STATE_LIMIT, x - 2 * STATE_LIMIT, np.where(x <= -STATE_LIMIT, x + 2 * STATE_LIMIT, x))


class Neuron(AbstractProcess):  # type: ignore[misc]
    """Current-based leaky integrator whose every parameter may differ from neuron to neuron.

    At step k = time_step - 1, with theta = vth * 2**6 and all divisions by 2**12 rounded toward zero:
    before `start`, u = 0, v = v_init, the output is 0 and the input is dropped; from `start` on
    ``u = wrap(u * (4095 - du) / 4096 + a * 2**6 + ibias)``,
    ``v = clip(v * (4096 - dv) / 4096 + u + vbias, -2**23 + 1, 2**23 - 1)``.

    Args:
        shape: number and arrangement of the neurons.
        du: current decay, 0..4095 (4095: the current has no memory).
        dv: voltage decay, 0..4096 (4096: the voltage has no memory).
        vth: threshold mantissa, not negative.
        ibias_mant, ibias_exp: bias on the current, mantissa * 2**exponent, exponent 0..31.
        vbias_mant, vbias_exp: bias on the voltage.
        v_init: v before the first step that counts; within 24 bits.
        start: first step (from 0) that counts.
        reset: "zero" (v = 0 after a spike), "subtract" (v -= theta for each spike) or "none".
        output: "spike" (1 where v > theta), "multi" (how often theta can be taken off v with a rest above 0) or
            "graded" (v >> out_shift, rounded down, and no reset).
        out_shift: bits taken off v by a graded output.
        name: as of any Lava Process.

    Ports: a_in, s_out. Vars: u, v, and the parameters.
    """

    def __init__(
        self, *, shape: Shape, du: Ints = 0, dv: Ints = 0, vth: Ints = 0, ibias_mant: Ints = 0, ibias_exp: Ints = 0,
        vbias_mant: Ints = 0, vbias_exp: Ints = 0, v_init: Ints = 0, start: int = 0, reset: str = "zero",
        output: str = "spike", out_shift: int = 0, name: str | None = None,
    ) -> None:
        if reset not in RESETS or output not in OUTPUTS:
            raise ValueError(f"reset must be one of {RESETS} and output one of {OUTPUTS}, got {reset!r}, {output!r}")
        super().__init__(shape=shape, start=int(start), reset=reset, output=output, out_shift=int(out_shift), name=name)
        limits = {
            "du": (du, 0, 4095), "dv": (dv, 0, 4096), "vth": (vth, 0, 2**24),
            "ibias_mant": (ibias_mant, -(2**31), 2**31 - 1), "ibias_exp": (ibias_exp, 0, 31),
            "vbias_mant": (vbias_mant, -(2**31), 2**31 - 1), "vbias_exp": (vbias_exp, 0, 31),
            "v_init": (v_init, 1 - STATE_LIMIT, STATE_LIMIT - 1),
        }
        arrays = {key: _per_neuron(key, value, shape, low, high) for key, (value, low, high) in limits.items()}
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=arrays["v_init"].copy())
        for key, array in arrays.items():
            setattr(self, key, Var(shape=shape, init=array))


@implements(proc=Neuron, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyNeuronModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Bit-exact model of `Neuron`; sums are taken in int64, so nothing overflows before the documented wrap."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    u: Array = LavaPyType(np.ndarray, np.int32, precision=24)
    v: Array = LavaPyType(np.ndarray, np.int32, precision=24)
    du: Array = LavaPyType(np.ndarray, np.int32)
    dv: Array = LavaPyType(np.ndarray, np.int32)
    vth: Array = LavaPyType(np.ndarray, np.int32)
    ibias_mant: Array = LavaPyType(np.ndarray, np.int32)
    ibias_exp: Array = LavaPyType(np.ndarray, np.int32)
    vbias_mant: Array = LavaPyType(np.ndarray, np.int32)
    vbias_exp: Array = LavaPyType(np.ndarray, np.int32)
    v_init: Array = LavaPyType(np.ndarray, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.start_step: int = proc_params["start"]
        self.reset: str = proc_params["reset"]
        self.output: str = proc_params["output"]
        self.out_shift: int = proc_params["out_shift"]

    def run_spk(self) -> None:
        """One step."""
        a = self.a_in.recv().astype(np.int64)
        if self.time_step - 1 < self.start_step:
            self.u[:] = 0
            self.v[:] = self.v_init
            self.s_out.send(np.zeros_like(self.v))
            return
        ibias = self.ibias_mant.astype(np.int64) << self.ibias_exp
        vbias = self.vbias_mant.astype(np.int64) << self.vbias_exp
        u = shift_toward_zero(self.u.astype(np.int64) * (4095 - self.du), DECAY_BITS)
        u = wrap_current(u + (a << ALIGN_BITS) + ibias)
        v = shift_toward_zero(self.v.astype(np.int64) * (4096 - self.dv), DECAY_BITS)
        v = np.clip(v + u + vbias, 1 - STATE_LIMIT, STATE_LIMIT - 1)
        out, v = self._fire(v)
        self.u[:] = u
        self.v[:] = v
        self.s_out.send(out.astype(np.int32))

    def _fire(self, v: Array) -> tuple[Array, Array]:
        """The output for membrane `v`, and `v` after the reset."""
        if self.output == "graded":
            return v >> self.out_shift, v
        theta = self.vth.astype(np.int64) << ALIGN_BITS
        count = (v > theta).astype(np.int64)
        if self.output == "multi":
            # The divisor is only used where theta is positive; the maximum keeps it from being 0 elsewhere.
            count = np.where(theta > 0, np.maximum(0, (v - 1) // np.maximum(theta, 1)), count)
        if self.reset == "zero":
            v = np.where(count > 0, 0, v)
        elif self.reset == "subtract":
            v = v - count * theta
        return count, v


class DelayLine(AbstractProcess):  # type: ignore[misc]
    """Sends at step t what it received at step t - `steps`, and 0 before; graded values pass unchanged (int32).

    Args:
        shape: of the values.
        steps: the delay, at least 1; one number or one for each element of `shape`.
        name: as of any Lava Process.

    Ports: a_in, s_out.
    """

    def __init__(self, *, shape: Shape, steps: Ints, name: str | None = None) -> None:
        super().__init__(shape=shape, name=name)
        delays = _per_neuron("steps", steps, shape, 1, 2**31 - 1)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.steps = Var(shape=shape, init=delays)
        self.buffer = Var(shape=(int(delays.max(initial=1)), *shape), init=0)


@implements(proc=DelayLine, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyDelayLineModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Keeps the last inputs in a ring: the slot that is read at the longest delay is the one written next."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    steps: Array = LavaPyType(np.ndarray, np.int32)
    buffer: Array = LavaPyType(np.ndarray, np.int32)

    def run_spk(self) -> None:
        """One step; sends before it receives, as Lava's Dense does, so that a loop through it does not deadlock."""
        length = len(self.buffer)
        slots = (self.time_step - self.steps) % length
        self.s_out.send(np.take_along_axis(self.buffer, slots[np.newaxis], axis=0)[0])
        self.buffer[self.time_step % length] = self.a_in.recv()


class Conv(LavaConv):  # type: ignore[misc]
    """Lava's Conv whose `weight_exp` counts: the sum wraps at 24 bits, then is shifted as Dense shifts its own.

    Lava's own fixed-point model ignores the exponent, and without one two convolutions cannot be chained.
    """


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyConvModel(AbstractPyConvModel):  # type: ignore[misc]
    """Lava's fixed-point convolution, and the shift: left, or right with floor.

    Not a subclass of Lava's PyConvModelFixed: Lava refuses a second model below one that implements a Process.
    """

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    a_buf: Array = LavaPyType(np.ndarray, np.int32, precision=24)
    weight: Array = LavaPyType(np.ndarray, np.int32, precision=8)

    def clamp_precision(self, x: Array) -> Array:
        """The buffered sums from the raw ones."""
        sums, exponent = signed_clamp(x, bits=24), int(np.asarray(self.weight_exp).item())
        shifted: Array = sums << exponent if exponent > 0 else sums >> -exponent
        return shifted


class Recorder(AbstractProcess):  # type: ignore[misc]
    """Collects what arrives at a_in for `steps` steps, then writes it to `path` as .npy, shape (steps, *shape), int32.

    Lava's own sink hands its values over one by one, at about 20 microseconds each; a file takes none of that time.

    Args:
        shape: of the port that is recorded.
        steps: how many steps the run will have.
        path: the file to write.
    """

    def __init__(self, *, shape: Shape, steps: int, path: str) -> None:
        super().__init__(shape=shape, steps=steps, path=path)
        self.a_in = InPort(shape=shape)


class StateRecorder(AbstractProcess):  # type: ignore[misc]
    """As `Recorder`, for a Var (connect it with ``recorder.state.connect_var(var)``): its value after every step.

    Lava's Monitor takes one probe only (with a second it does not compile), and hands it over as slowly as the sink.
    """

    def __init__(self, *, shape: Shape, steps: int, path: str) -> None:
        super().__init__(shape=shape, steps=steps, path=path)
        self.state = RefPort(shape=shape)


class _RecordingModel(PyLoihiProcessModel):  # type: ignore[misc]
    """What the two recorders share."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.path: str = proc_params["path"]
        self.log = np.zeros((proc_params["steps"], *proc_params["shape"]), dtype=np.int32)

    def record(self, values: Array) -> None:
        """Keep the values of this step, and write them all after the last."""
        self.log[self.time_step - 1] = values
        if self.time_step == len(self.log):
            np.save(self.path, self.log)


@implements(proc=Recorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyRecorderModel(_RecordingModel):
    """Records in the spiking phase."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def run_spk(self) -> None:
        """One step."""
        self.record(self.a_in.recv())


@implements(proc=StateRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyStateRecorderModel(_RecordingModel):
    """Records in the management phase, when every Process has finished the step."""

    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32)

    def post_guard(self) -> bool:
        """Ask for a management phase in every step."""
        return True

    def run_post_mgmt(self) -> None:
        """One step."""
        self.record(self.state.read())
