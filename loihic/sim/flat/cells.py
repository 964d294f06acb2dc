"""Populations and delay lines as rows of columns."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from loihic.ir.node import Array, HardwareNode, Shape
from loihic.ops.activation import Activation
from loihic.ops.compartment import Compartment
from loihic.ops.delay_line import DelayLine
from loihic.ops.sigma_delta import SdnRole, SigmaDeltaNeurons
from loihic.ops.traits import Emit, Reset
from loihic.quant.fixed import ACTIVATION_SHIFT, DECAY_UNITY, decode_bias
from loihic.sim.flat import columns as c
from loihic.sim.flat.arena import Arena, UnsuitableError, check, fitting

EMITS = {Emit.SPIKE: c.EMIT_SPIKE, Emit.MULTI: c.EMIT_MULTI, Emit.STATE: c.EMIT_STATE}
RESETS = {Reset.ZERO: c.RESET_ZERO, Reset.SUBTRACT: c.RESET_SUBTRACT, Reset.NONE: c.RESET_NONE}
ROLES = {SdnRole.DELTA: c.ROLE_DELTA, SdnRole.SIGMA_DELTA: c.ROLE_SIGMA_DELTA, SdnRole.SIGMA: c.ROLE_SIGMA}
BIAS_MAX = 1 << 29  # so that v, a clipped current and a bias add up in 32 bits


@singledispatch
def describe(node: HardwareNode, places: Array, table: Arena, params: Arena) -> dict[int, int]:
    """The columns of a cell, by number; what takes more than a number goes into the arenas.

    Args:
        node: the cell.
        places: where each element, in the kernels' order, lies in the flat array of the node.
        table: the arena of int32.
        params: the arena of int64.

    Raises:
        UnsuitableError: a parameter is larger than the kernels have bits for.
    """
    raise UnsuitableError(f"no kernel steps {node.op}")


@describe.register
def _compartment(node: Compartment, places: Array, table: Arena, params: Arena) -> dict[int, int]:
    theta = fitting(np.asarray(node.vth).astype(np.int64) << ACTIVATION_SHIFT)
    if node.emit is Emit.MULTI:
        fitting(theta, 0)
    elif node.emit is Emit.STATE:
        theta = np.zeros_like(theta)
    parts = [
        fitting(DECAY_UNITY - (np.asarray(node.du) + 1), 0, DECAY_UNITY),
        fitting(DECAY_UNITY - np.asarray(node.dv), 0, DECAY_UNITY),
        fitting(decode_bias(node.ibias_mant, node.ibias_exp)),
        fitting(decode_bias(node.vbias_mant, node.vbias_exp), -BIAS_MAX, BIAS_MAX), theta]
    check(node.v_init, -(1 << 31) + 1)  # so that it has a magnitude
    each = any(part.size and bool(np.any(part != part.flat[0])) for part in parts)
    columns = {c.KIND: c.COMPARTMENT, c.EMIT: EMITS[node.emit], c.RESET: RESETS[node.reset], c.STOCK: int(node.stock),
               c.START: 0 if node.stock else node.start, c.SHIFT: min(node.out_shift, 31), c.STRIDE: int(each)}
    if each:
        full = [_placed(part, node.shape, places) for part in parts]
        return columns | {c.PARAMS: table.add(np.concatenate(full))}
    numbers = [int(part.flat[0]) if part.size else 0 for part in parts]
    return columns | dict(zip((c.DECAY_U, c.DECAY_V, c.BIAS_U, c.BIAS_V, c.THETA), numbers, strict=True))


@describe.register
def _activation(node: Activation, places: Array, table: Arena, params: Arena) -> dict[int, int]:
    fitting([node.low, node.high, node.high - node.low])
    columns = {c.KIND: c.ACTIVATION, c.START: node.start, c.LOW: node.low, c.HIGH: node.high, c.RISE: node.rise,
               c.TIES_EVEN: int(node.ties_even), c.SIGMA: int(node.sigma), c.DELTA: int(node.delta),
               c.LEAST: node.vth, c.STEPS: -1}
    if node.thresholds is not None:
        steps = node.thresholds.shape[-1]
        fitting([node.low + node.rise * steps, node.rise * steps])
        rows = node.thresholds.reshape(-1, steps) if steps else np.zeros((1, 0), dtype=np.int64)
        own = np.arange(len(rows)).repeat(max(places.size // len(rows), 1))[places] if places.size else places
        return columns | {c.STEPS: steps, c.PARAMS: params.add(rows), c.STRIDE: 1, c.OWN_ROW: table.add(own)}
    parts = [np.asarray(part).astype(np.int64) for part in (node.multiplier, node.addend, node.shift)]
    each = any(part.size != 1 for part in parts)
    full = [_placed(part, node.shape, places) if each else part.reshape(1) for part in parts]
    return columns | {c.PARAMS: params.add(np.concatenate(full)), c.STRIDE: int(each)}


@describe.register
def _sigma_delta(node: SigmaDeltaNeurons, places: Array, table: Arena, params: Arena) -> dict[int, int]:
    shift = node.spike_exp + node.state_exp
    bias = np.asarray(node.bias).astype(np.int64) << shift
    full = bias.reshape(1) if bias.size == 1 else _placed(bias, node.shape, places)
    return {c.KIND: c.SIGMA_DELTA, c.ROLE: ROLES[node.role], c.SHIFT: node.state_exp, c.INPUT_SHIFT: shift,
            c.LEAST: min(int(node.threshold) << shift, 1 << 62), c.PARAMS: params.add(full),
            c.STRIDE: int(full.size > 1)}


@describe.register
def _line(node: DelayLine, places: Array, table: Arena, params: Arena) -> dict[int, int]:
    steps = np.asarray(node.steps)
    each = steps.size > 1 and bool(np.any(steps != steps.flat[0]))
    own = _placed(steps, node.shape, places) if each else steps.reshape(-1)[:1]
    return {c.KIND: c.LINE, c.STEPS: int(steps.max(initial=1)), c.STRIDE: int(each), c.PARAMS: table.add(own)}


def _placed(values: Array, shape: Shape, places: Array) -> Array:
    """A parameter for each element, in the kernels' order."""
    return np.broadcast_to(values, shape).reshape(-1)[places].astype(np.int64)
