"""Neurons in discrete time in NIR's words: time constants that Euler's rule takes back to the same factors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from loihic.ir.node import Array
from loihic.ops.neuron import Neuron
from loihic.ops.traits import Emit, Reset

SLOWEST = 2.0**24  # steps: the time constant of a state that never decays; exact in float32 too, as is 1 - 1 / SLOWEST


class NoFormError(ValueError):
    """A node that NIR has no words for: what it lacks, and what the user can do."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.message, self.help = message, help


@dataclass(frozen=True, kw_only=True, slots=True)
class Spelling:
    """A population in NIR's words.

    Attributes:
        type: the name of NIR's class.
        params: its parameters, each of the population's shape, or whatever broadcasts to it.
        constant: what the input has to bring along at each step, of the population's shape; None for nothing.
        settled: whether NIR's neurons start where their bias would lead them, and not where these start.
    """

    type: str
    params: Mapping[str, Array]
    constant: Array | None
    settled: bool


def spelling(node: Neuron, dt: float, takes: Callable[[Array], bool]) -> Spelling:
    """What NIR calls a population, such that Euler's rule in steps of `dt` gives the same numbers again.

    A bias goes into the node in front wherever the current has no memory, which is exact; else it becomes v_leak, and
    the neuron starts there. A state that is forgotten in each step has a time constant of the least number above dt, or
    none if the population has no such state at all: then LIF stands for CubaLIF and Threshold for LIF. A state that
    never decays has one of `SLOWEST` steps, or none: then IF stands for LIF.

    Args:
        node: the population.
        dt: the time step that the file is to state.
        takes: whether a node in front can add a constant, which has the population's shape.

    Raises:
        NoFormError: NIR has no such neuron.
    """
    _check(node)
    constant, rest = _biases(node, takes)
    through = node.gain * node.w_in
    has_leak = not np.all(node.decay_v == 1.0)
    spikes = node.emit is Emit.SPIKE
    params: dict[str, Array] = {}
    leak = np.zeros(node.shape)
    if not node.has_current and spikes and np.all(node.decay_v == 0.0) and np.all(through == 1.0):
        return Spelling(type="Threshold", params={"threshold": node.threshold - rest}, constant=constant, settled=False)
    if not node.has_current and not has_leak:
        kind = "IF" if spikes else "I"
        params["r"] = through / dt
    else:
        tau, kept = _time_constant(node.decay_v, dt)
        params["r"] = _nearest(lambda r: (1.0 - kept) * r, (through if not node.has_current else node.gain), 1.0 - kept)
        leak = params["v_leak"] = _nearest(lambda level: (1.0 - kept) * level, rest, 1.0 - kept)
        if node.has_current:
            kind = "CubaLIF" if spikes else "CubaLI"
            params["tau_mem"] = tau
            params["tau_syn"], kept_u = _time_constant(node.decay_u, dt)
            params["w_in"] = _nearest(lambda w: (1.0 - kept_u) * w, node.w_in, 1.0 - kept_u)
        else:
            kind = "LIF" if spikes else "LI"
            params["tau"] = tau
    if spikes:
        params |= {"v_threshold": node.threshold, "v_reset": node.v_reset}
    settled = bool(np.any((leak != node.v_init) & (node.decay_v != 0.0)))
    return Spelling(type=kind, params=params, constant=constant, settled=settled)


def _check(node: Neuron) -> None:
    if node.emit is Emit.MULTI:
        raise NoFormError("NIR has no neurons that spike several times in a step",
                          "write the network with one spike a step, and compile what is written with --spikes multi")
    if node.emit is Emit.SPIKE and node.reset is not Reset.ZERO and np.any(node.decay_v):
        raise NoFormError("NIR does not say that a spike takes the threshold off the voltage",
                          "write the network with a reset to zero, and compile what is written with --reset subtract")
    if any(np.any((decay < 0.0) | (decay > 1.0)) for decay in (node.decay_u, node.decay_v)):
        raise NoFormError("no time constant stands for a state that grows or alternates", "decays lie within 0..1")
    if not np.all(node.gain * node.w_in):
        raise NoFormError("neurons that do not hear their input", "leave them out of the network")


def _biases(node: Neuron, takes: Callable[[Array], bool]) -> tuple[Array | None, Array]:
    """What the input brings along, and what v_leak has to add to the voltage in each step."""
    memoryless = node.decay_u == 0.0
    constant = (node.bias_u + np.where(memoryless, node.bias_v / node.gain, 0.0)) / node.w_in
    if not np.any(constant):
        front, rest = None, node.bias_v
    elif takes(constant):
        front, rest = constant, np.where(memoryless, 0.0, node.bias_v)
    else:
        front, rest = None, node.bias_v + np.where(memoryless, node.gain * node.bias_u, 0.0)
        if np.any(node.bias_u[~memoryless]):
            raise NoFormError("a bias of the current that no node in front can add",
                              "put a linear node with nothing else behind it in front of the population")
    if np.any(rest[node.decay_v == 1.0]):
        raise NoFormError(
            "a bias of a voltage that never decays" + (", behind a current that does" if node.has_current else ""),
            "train with a leak (vDecay of 1 or more), with a current without memory (iDecay = 4096), or without bias; "
            "or compile the file itself")
    return front, rest


def _time_constant(decay: Array, dt: float) -> tuple[Array, Array]:
    """The time constant for each factor, above dt, and the factor 1 - dt / tau that it gives."""
    least = np.nextafter(dt, np.inf)
    share = np.where(decay < 1.0, 1.0 - decay, 1.0 / SLOWEST)
    tau = _nearest(lambda value: 1.0 - dt / np.maximum(value, least), dt, share, wanted=decay)
    tau = np.maximum(tau, least)
    return tau, 1.0 - dt / tau


def _nearest(read: Callable[[Array], Array], over: Array | float, under: Array, wanted: Array | None = None) -> Array:
    """The quotient, or a neighbour of it for which `read` gives more nearly what is `wanted`: the dividend."""
    best = np.asarray(over / under)
    target = np.asarray(over) if wanted is None else wanted
    for other in (np.nextafter(best, np.inf), np.nextafter(best, -np.inf)):
        best = np.where(np.abs(read(other) - target) < np.abs(read(best) - target), other, best)
    return best
