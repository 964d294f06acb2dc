"""Neurons to integers: decays, thresholds, biases and the initial voltage of one population."""

from __future__ import annotations

import numpy as np

from loihic.errors import Diagnostic
from loihic.ir.node import Array, Shape
from loihic.ledger import Loss
from loihic.ops.compartment import Compartment
from loihic.ops.neuron import Neuron, is_always_on
from loihic.ops.traits import Emit, Reset
from loihic.passes.manager import CompileContext
from loihic.quant.fixed import (
    DECAY_MAX,
    DECAY_UNITY,
    STATE_LIMIT,
    THRESHOLD_MAX,
    decode_bias,
    encode_bias,
)
from loihic.quant.scales import STATE_UNIT


def lower_neuron(name: str, node: Neuron, scale: Array, out_shift: int, shape: Shape,
                 context: CompileContext) -> Compartment:
    """The integer population of a centred neuron; every rounding goes into the ledger."""
    if is_always_on(node):
        one = np.ones((), dtype=np.int64)
        return Compartment(
            origins=node.origins, shape=shape, du=DECAY_MAX * one, dv=0 * one, vth=0 * one, vbias_mant=one)
    du = _decay(name, "decay_u", node.decay_u, DECAY_MAX + 1, context) - 1
    dv = _decay(name, "decay_v", node.decay_v, DECAY_UNITY, context)
    wanted = node.threshold * scale if node.emit is not Emit.STATE else np.zeros(shape)
    vth = np.clip(np.rint(wanted), 0, THRESHOLD_MAX).astype(np.int64)
    _note(name, "threshold", "v_threshold", wanted, vth.astype(float), context)
    state_scale = STATE_UNIT * scale
    ibias = encode_bias(node.bias_u * state_scale)
    vbias = encode_bias(node.bias_v * state_scale)
    _note(name, "bias", "current bias", node.bias_u * state_scale, decode_bias(*ibias).astype(float), context)
    _note(name, "bias", "voltage bias", node.bias_v * state_scale, decode_bias(*vbias).astype(float), context)
    v_init = np.clip(np.rint(node.v_init * state_scale), -STATE_LIMIT + 1, STATE_LIMIT - 1).astype(np.int64)
    stock = is_plain(node) and all(_uniform(x) for x in (du, dv, vth)) and int(dv.max(initial=0)) <= DECAY_MAX
    if context.options.stock_only and not stock:
        context.report(Diagnostic(
            code="LHC402", message="Lava's own LIF does not compute this neuron", node=name,
            param=_reason(node, du, dv, vth),
            help="leave --stock-only out: loihic's Neuron Process computes it"))
    return Compartment(
        origins=node.origins, shape=shape, du=_squeeze(du), dv=_squeeze(dv), vth=_squeeze(vth),
        ibias_mant=_squeeze(ibias[0]), ibias_exp=_squeeze(ibias[1]), vbias_mant=_squeeze(vbias[0]),
        vbias_exp=_squeeze(vbias[1]), v_init=_squeeze(v_init), reset=node.reset, emit=node.emit, out_shift=out_shift,
        stock=stock, unit=1.0 / float(state_scale.flat[0]) if state_scale.size else 1.0)


def is_plain(node: Neuron) -> bool:
    """Whether Lava's LIF knows everything the neuron does.

    That is one spike, reset to zero, rest until input comes, and decays and thresholds that all neurons share.
    """
    return (
        node.emit is Emit.SPIKE and node.reset is Reset.ZERO
        and not (np.any(node.bias_u) or np.any(node.bias_v) or np.any(node.v_init))
        and all(_uniform(x) for x in (node.decay_u, node.decay_v, node.threshold)))


def _decay(name: str, param: str, factor: Array, top: int, context: CompileContext) -> Array:
    """Parts of 4096 by which a state shrinks; the error noted is that of the time constant."""
    parts: Array = np.clip(np.rint((1.0 - factor) * DECAY_UNITY), 1 if param == "decay_u" else 0, top).astype(np.int64)
    actual = 1.0 - parts / DECAY_UNITY
    error = _relative(1.0 - factor, 1.0 - actual)
    if error > 1e-12:
        context.ledger.add(Loss(
            node=name, kind="decay", param=param, wanted=_span(factor), actual=_span(actual), error=error,
            why="decays are parts of 4096; relative error of the decay per step"))
    return np.asarray(parts)


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


def _squeeze(values: Array) -> Array:
    """A scalar where all neurons agree."""
    if not _uniform(values):
        return values
    return values.reshape(-1)[:1].reshape(()) if values.size else np.zeros((), dtype=np.int64)


def _reason(node: Neuron, du: Array, dv: Array, vth: Array) -> str:
    if node.emit is not Emit.SPIKE:
        return f"it sends {node.emit.value} values"
    if node.reset is not Reset.ZERO:
        return f"its reset is {node.reset.value}"
    uneven = [label for label, values in (("du", du), ("dv", dv), ("vth", vth)) if not _uniform(values)]
    return f"{', '.join(uneven)} differ within the population" if uneven else "it has a bias or an initial voltage"
