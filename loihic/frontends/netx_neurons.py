"""CUBA neurons and axonal delays of lava-dl in discrete time, with nothing rounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from loihic.frontends.nir_schema import MalformedError
from loihic.ir.node import Array, Shape
from loihic.ops.delay import StepDelay
from loihic.ops.neuron import Neuron, neuron
from loihic.ops.traits import Emit, Reset
from loihic.quant.fixed import DECAY_UNITY, THRESHOLD_MAX

LONGEST_DELAY = 62  # to which lava-dl's blocks clamp what they train, and netx what it reads
_NORM_EXPONENTS = 3  # to which slayer.neuron.norm.WgtScaleBatchNorm clamps in its forward pass


@dataclass(frozen=True, kw_only=True, slots=True)
class Exponents:
    """Powers of two by which weights and biases of a layer count.

    Attributes:
        weight: of weights: `wgtExp` of the older exporter, less that of the normalisation.
        bias: of biases: that of the normalisation alone, which divides what lies behind the current.
    """

    weight: int
    bias: int


def exponents(values: Mapping[str, Any]) -> Exponents:
    """The exponents of a layer from its neuron's checked values.

    netx ignores them both. Every file of lava-dl 0.6.0 has `wgtExp` 0, if at all; `weight_exp` is written by
    WgtScaleBatchNorm, whose v = decay v + (u + bias) / 2**weight_exp has the same spikes as a voltage that hears
    weights and biases divided by it.
    """
    norm = max(-_NORM_EXPONENTS, min(_NORM_EXPONENTS, int(values.get("weight_exp", 0))))
    return Exponents(weight=int(values.get("wgtExp", 0)) - norm, bias=-norm)


def cuba(values: Mapping[str, Any], bias: Array | None, shape: Shape, origins: tuple[str, ...], *,
         recurrent: bool = False) -> Neuron:
    """The population of a layer, in units in which 1 is 1 in the weighted sum.

    Lava's LIF with netx's du = iDecay - 1, dv = vDecay, vth = vThMant and a bias of exponent 6 computes

        u = rsz(u (4096 - iDecay), 12) + (a << 6),  v = rsz(v (4096 - vDecay), 12) + u + (bias << 6),  v > vth << 6

    so this neuron's u and v are Lava's divided by 64, but for the rounding toward zero.

    A threshold beyond 17 bits cannot be reached by 24 bits of voltage: slayer.block.cuba.Affine writes 2**18 - 1 to say
    that its neurons neither spike nor reset, and that what it hands on is the voltage.

    The bias adds to the voltage, but in a recurrent layer to the current, whose memory it enters: slayer runs such a
    layer step by step, and keeps the current with the bias in it. (netx adds it to the voltage all the same.)

    Args:
        values: the neuron's checked values (see `netx_schema.NEURONS`).
        bias: whole numbers, broadcastable to `shape`, or None.
        shape: of the population.
        origins: names in the user's file.
        recurrent: whether the layer is of the type ``dense_rec``.

    Raises:
        MalformedError: a parameter does not fit the shape, or asks for what Loihi's neuron does not do.
    """
    if values.get("gradedSpike"):
        raise MalformedError("gradedSpike: neurons that send their voltage when they spike are not supported",
                             code="LHC401", help="train with graded_spike=False; netx ignores the flag")
    if int(values.get("refDelay", 1)) > 1:
        raise MalformedError("refDelay: refractory periods are not supported", code="LHC401",
                             param=f"refDelay = {values['refDelay']} steps; 1 is allowed",
                             help="train without; netx ignores the period")
    threshold = per_neuron(values["vThMant"], shape, "vThMant")
    silent = threshold > THRESHOLD_MAX
    if silent.any() and not silent.all():
        raise MalformedError("vThMant: some neurons of the layer spike and some cannot", code="LHC105",
                             param=f"vThMant is {threshold.min():g}..{threshold.max():g}; 17 bits are allowed")
    reads_out = bool(silent.all())
    constant = 0.0 if bias is None else bias * 2.0 ** exponents(values).bias
    return neuron(
        shape, origins=origins, reset=Reset.NONE if reads_out else Reset.ZERO,
        emit=Emit.STATE if reads_out else Emit.SPIKE,
        decay_u=1.0 - per_neuron(values["iDecay"], shape, "iDecay") / DECAY_UNITY,
        decay_v=1.0 - per_neuron(values["vDecay"], shape, "vDecay") / DECAY_UNITY,
        threshold=0.0 if reads_out else threshold,
        bias_u=constant if recurrent else 0.0, bias_v=0.0 if recurrent else constant)


def axonal_delay(steps: Array | None, shape: Shape, origins: tuple[str, ...]) -> StepDelay | None:
    """The delay of a layer's own spikes, in steps; None if there is none.

    lava-dl trains it on the axons of the layer that has it. netx puts it onto the synapses in front of that layer,
    which is the same but for biases, ignores it for convolutions, and delays recurrent connections too, which is not
    what was trained.

    Raises:
        MalformedError: it does not fit the shape, or is longer than Loihi's.
    """
    if steps is None or not steps.any():
        return None
    full = per_neuron(steps, shape, "delay")
    longest = int(steps.max())
    if longest > LONGEST_DELAY:
        raise MalformedError("delay: longer than an axon can wait", code="LHC408",
                             param=f"{longest} steps; the limit is {LONGEST_DELAY}",
                             help="clamp the delays before the export, as slayer.axon.Delay(max_delay=62) does")
    return StepDelay(origins=origins, shape=shape, steps=full.astype(np.int64))


def per_neuron(value: Array, shape: Shape, name: str) -> Array:
    """One number, one per channel or one per neuron, broadcastable to `shape`.

    Raises:
        MalformedError: it is none of these.
    """
    if value.size == 1:
        return value.reshape(())
    if value.size == shape[0]:
        return value.reshape(shape[0], *[1] * (len(shape) - 1))
    if value.size == prod(shape):
        return value.reshape(shape)
    raise MalformedError(f"{name} is neither one number nor one per channel or neuron",
                         param=f"{name} has the shape {value.shape}, the layer {shape}")
