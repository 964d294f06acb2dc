"""Sigma-delta neurons of lava-dl: what a layer says about them, and what lava-dl's netx makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from loihic.frontends.netx_neurons import exponents, per_neuron
from loihic.frontends.nir_schema import MalformedError
from loihic.ir.node import Array, Shape
from loihic.ops.sigma_delta import SdnRole, SigmaDelta

STATE_EXPONENT = 6  # netx fixes it
SPIKE_EXPONENT = 6  # netx's default; an argument of its Network, not in the file
MESSAGE_BITS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class SdnParameters:
    """A layer of sigma-delta neurons, all numbers as in the file; 64 stands for a trained 1.0 throughout.

    Attributes:
        role: which Process it is.
        shape: of the population.
        threshold: `vThMant`: changes of at least this are sent; 0 sends all of them.
        bias: whole numbers, broadcastable to `shape`; zero but for SIGMA_DELTA.
        activation: ``relu``, or ``identity`` where there is none (DELTA and SIGMA).
        spike_exp: messages are levels times 2**spike_exp.
        state_exp: states are levels times 2**(spike_exp + state_exp).
        message_bits: of what is sent.
    """

    role: SdnRole
    shape: Shape
    threshold: int
    bias: Array
    activation: str
    spike_exp: int = SPIKE_EXPONENT
    state_exp: int = STATE_EXPONENT
    message_bits: int = MESSAGE_BITS


def sdn_parameters(values: Mapping[str, Any], bias: Array | None, shape: Shape, *, is_input: bool) -> SdnParameters:
    """The parameters of a layer whose neurons have the type SDNN.

    What netx (lava-dl 0.6.0, lava/lib/dl/netx/hdf5.py) builds, with E = spike_exp = 6 (an argument of its Network) and
    S = state_exp = 6 (fixed); the integer behaviour is that of lava.proc.sdn.models, `fixed_pt`:

    *Input layer* (type ``input``): ``Delta(shape, vth=vThMant, spike_exp=E, state_exp=S)``, cum_error False. `weight`
    (64 if absent) and `bias` (0) of the layer are only offered to the user as `in_layer.transform`; the Process does
    not apply them, nor an activation. It is driven through `in_layer.neuron.a_in`, with x = 64 * value, whole:

        act = x << (E + S);  d = act - act_before + residue
        s = d if |d| >= vth << (E + S) else 0;  residue = d - s;  sends s >> S (floor)

    *Hidden layer*: ``SigmaDelta(shape, vth=vThMant, bias=bias, spike_exp=E, state_exp=S)``, act_mode RELU whatever
    `activation` says, cum_error False; without a bias in the file, bias 0. With a the weighted sum of what arrives:

        sigma += a;  act = max(sigma + (bias << (E + S)), 0);  then as above

    so sigma is not shifted: messages carry E, and the weights, 64 times the trained ones, the other 6, which is why S
    is 6. The residue is what stayed below the threshold; the S bits that the shift drops from what is sent are lost for
    good.

    *Output layer* (with the dataset `sigma_output`, which lava-dl writes only as True): ``Sigma(shape)``, which sends
    sigma += a itself, 2**(E + S) * 64 times the trained value. It has neither bias nor activation nor threshold; a bias
    in the file makes netx fail.

    The states are int32 in Lava's model, without a wrap at 24 bits; on the chip they have 24. Messages have 16 bits
    (`messageBits` is not written by lava-dl), which makes netx tell the next layer's synapse num_message_bits = 16. A
    first layer without an input layer hears num_message_bits = 0, so that changes turn into ones, unless
    input_message_bits says otherwise. reset_interval is ignored with a warning. Every synapse takes a step; the Delta
    answers in the step in which it is driven. Synapses, delays and biases are stored as for CUBA neurons.

    slayer.block.sigma_delta trains the same with values in place of integers: |d| >= threshold, activation by name, and
    messages floored to 2**-12. Only its relu is what netx runs.

    Args:
        values: the neuron's checked values (see `netx_schema.NEURONS`).
        bias: of the layer, whole numbers, or None.
        shape: of the population.
        is_input: whether the layer is of the type ``input``.

    Raises:
        MalformedError: the activation is not one that Loihi's Processes have, or the parameters contradict each other.
    """
    role = SdnRole.DELTA if is_input else SdnRole.SIGMA if values.get("sigma_output") else SdnRole.SIGMA_DELTA
    activation = str(values.get("activation", "relu"))
    if role is SdnRole.SIGMA_DELTA and activation != "relu":
        raise MalformedError(f"activation: {activation[:40]!r} is not supported", code="LHC401",
                             help="train with torch.nn.functional.relu; netx runs relu whatever the file says")
    if exponents(values).bias:
        raise MalformedError("weight_exp: a normalisation by powers of two is not supported here", code="LHC401",
                             param=f"weight_exp = {values['weight_exp']}",
                             help="train with slayer.neuron.norm.MeanOnlyBatchNorm; netx ignores the exponent")
    full = np.zeros(()) if bias is None or is_input else per_neuron(bias, shape, "bias")
    if role is SdnRole.SIGMA and full.any():
        raise MalformedError("bias: an output layer that adds up changes has no bias",
                             help="export the last layer with slayer.block.sigma_delta.Output")
    return SdnParameters(
        role=role, shape=shape, threshold=int(values["vThMant"]), bias=full, message_bits=int(values["messageBits"]),
        activation="relu" if role is SdnRole.SIGMA_DELTA else "identity")


def sdn_node(parameters: SdnParameters, origins: tuple[str, ...]) -> SigmaDelta:
    """The node of a layer."""
    return SigmaDelta(
        origins=origins, shape=parameters.shape, role=parameters.role, threshold=parameters.threshold,
        bias=np.rint(parameters.bias).astype(np.int64), spike_exp=parameters.spike_exp, state_exp=parameters.state_exp)
