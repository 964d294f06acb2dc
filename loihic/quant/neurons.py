"""Neurons to integers: decays, thresholds, biases and the initial voltage of one population."""

from __future__ import annotations

import numpy as np

from loihic.errors import Diagnostic
from loihic.ir.node import Array
from loihic.ledger import Loss
from loihic.ops.compartment import Compartment
from loihic.ops.neuron import Neuron, is_always_on
from loihic.ops.traits import Emit, Reset
from loihic.passes.manager import CompileContext
from loihic.quant.decays import RoundedDecays
from loihic.quant.fixed import (
    DECAY_MAX,
    STATE_LIMIT,
    THRESHOLD_MAX,
    decode_bias,
    encode_bias,
)
from loihic.quant.scales import STATE_UNIT


def lower_neuron(name: str, node: Neuron, decays: RoundedDecays, scale: Array, out_shift: int,
                 context: CompileContext) -> Compartment:
    """The integer population of a centred neuron; every rounding goes into the ledger."""
    if is_always_on(node):
        zero, one = np.zeros((), dtype=np.int64), np.ones((), dtype=np.int64)
        return Compartment(origins=node.origins, shape=node.shape, du=np.asarray(DECAY_MAX), dv=zero, vth=zero,
                           vbias_mant=one)
    du, dv = decays.u - 1, decays.v
    _note_decay(name, "decay_u", node.decay_u, decays.factor_u, context)
    _note_decay(name, "decay_v", node.decay_v, decays.factor_v, context)
    state_scale = STATE_UNIT * scale
    wanted = node.threshold * scale if node.emit is not Emit.STATE else np.zeros(node.shape)
    # A voltage of whole units is above a threshold exactly if it is above the whole number below.
    nearest = np.floor(wanted + 1e-9) if _stays_whole(node) else np.rint(wanted)
    vth = np.clip(nearest, 0, THRESHOLD_MAX).astype(np.int64)
    if not _stays_whole(node):
        _note(name, "threshold", "v_threshold", wanted, vth.astype(float), context)
    ibias = _encode_bias(name, "current bias", node.bias_u * decays.gain * state_scale, context)
    vbias = _encode_bias(name, "voltage bias", node.bias_v * decays.leak * state_scale, context)
    v_init = np.clip(np.rint(node.v_init * state_scale), -STATE_LIMIT + 1, STATE_LIMIT - 1).astype(np.int64)
    stock = is_plain(node) and all(_uniform(x) for x in (du, dv, vth)) and int(dv.max(initial=0)) <= DECAY_MAX
    if context.options.stock_only and not stock:
        context.report(Diagnostic(
            code="LHC402", message="Lava's own LIF does not compute this neuron", node=name,
            param=_reason(node, du, dv, vth),
            help="leave --stock-only out: loihic's Neuron Process computes it"))
    return Compartment(
        origins=node.origins, shape=node.shape, du=squeezed(du), dv=squeezed(dv), vth=squeezed(vth),
        ibias_mant=squeezed(ibias[0]), ibias_exp=squeezed(ibias[1]), vbias_mant=squeezed(vbias[0]),
        vbias_exp=squeezed(vbias[1]), v_init=squeezed(v_init), reset=node.reset, emit=node.emit, out_shift=out_shift,
        stock=stock, unit=squeezed(1.0 / state_scale))


def _stays_whole(node: Neuron) -> bool:
    """Whether the voltage only ever holds sums of whole weights: no leak, no current's memory, no bias."""
    changed = np.any(node.bias_u) or np.any(node.bias_v) or np.any(node.v_init)
    return bool(node.emit is Emit.SPIKE and not node.has_current and np.all(node.decay_v == 1.0) and not changed)


def is_plain(node: Neuron) -> bool:
    """Whether Lava's LIF knows everything the neuron does.

    That is one spike, reset to zero, rest until input comes, and decays and thresholds that all neurons share.
    """
    return (
        node.emit is Emit.SPIKE and node.reset is Reset.ZERO
        and not (np.any(node.bias_u) or np.any(node.bias_v) or np.any(node.v_init))
        and all(_uniform(x) for x in (node.decay_u, node.decay_v, node.threshold)))


def _note_decay(name: str, param: str, wanted: Array, actual: Array, context: CompileContext) -> None:
    """Write down how much more or less a state shrinks in a step, and so the time constant's error."""
    error = _relative(1.0 - wanted, 1.0 - actual)
    if error > 1e-12:
        context.ledger.add(Loss(
            node=name, kind="decay", param=param, wanted=_span(wanted), actual=_span(actual), error=error,
            why="decays are parts of 4096; relative error of the decay per step"))


def _encode_bias(name: str, param: str, wanted: Array, context: CompileContext) -> tuple[Array, Array]:
    """Mantissas and exponents of biases in integer units; their rounding is written down."""
    encoded = encode_bias(wanted)
    _note(name, "bias", param, wanted, decode_bias(*encoded).astype(float), context)
    return encoded


def _note(name: str, kind: str, param: str, wanted: Array, actual: Array, context: CompileContext) -> None:
    error = _relative(wanted, actual)
    if error > 1e-12:
        context.ledger.add(Loss(
            node=name, kind=kind, param=param, wanted=_span(wanted), actual=_span(actual), error=error,
            why="rounded to integers; relative root mean square error"))


def _relative(wanted: Array, actual: Array) -> float:
    power = float(np.sqrt(np.mean(wanted**2))) if wanted.size else 0.0
    off = float(np.sqrt(np.mean((actual - wanted) ** 2))) if wanted.size else 0.0
    return off / power if power else off


def _span(values: Array) -> str:
    if not values.size:
        return "none"
    low, high = float(values.min()), float(values.max())
    return f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"


def _uniform(values: Array) -> bool:
    return bool(values.size == 0 or np.all(values == values.flat[0]))


def squeezed(values: Array) -> Array:
    """A scalar where all neurons agree."""
    if not _uniform(values):
        return values
    return values.reshape(-1)[:1].reshape(()) if values.size else np.zeros((), dtype=values.dtype)


def _reason(node: Neuron, du: Array, dv: Array, vth: Array) -> str:
    if node.emit is not Emit.SPIKE:
        return f"it sends {node.emit.value} values"
    if node.reset is not Reset.ZERO:
        return f"its reset is {node.reset.value}"
    uneven = [label for label, values in (("du", du), ("dv", dv), ("vth", vth)) if not _uniform(values)]
    return f"{', '.join(uneven)} differ within the population" if uneven else "it has a bias or an initial voltage"
