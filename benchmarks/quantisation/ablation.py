"""Every technique of quantisation switched off in turn: what does it earn?

Usage: python ablation.py [FOLDER with braille_noDelay_bias_zero.nir and cnn_sinabs.nir] [--only CASE]

Prints the output error (relative root mean square, spike trains filtered over 10 steps) on inputs that the calibration
has not seen, for networks that differ in what they are sensitive to: a recurrent one that is nearly chaotic, one with
few bits, one without leak, one with time constants of hundreds of steps.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import nir
import numpy as np
from allocation import HERE, Case, Judge, cnn, digits
from braille import calibration, spikes

import loihic
from loihic.ops.neuron import Neuron
from loihic.passes import pipeline
from loihic.passes.quantise import Quantise
from loihic.quant import decays, fit, moments, populations, wiring
from loihic.quant.ranges import StateRange
from loihic.quant.scales import Layout, room_wanted

Off = Callable[[], contextlib.AbstractContextManager[object]]


def quantise_without(technique: str) -> contextlib.AbstractContextManager[object]:
    """The pass with one of its options off."""
    def made(**_: object) -> Quantise:
        return replace(Quantise(), **{technique: False})

    return mock.patch.object(pipeline, "Quantise", made)


def nearest_decays(node: Neuron, rate: float = 0.0) -> decays.RoundedDecays:
    """Each decay rounded for itself, and nothing made up for."""
    u, v = (np.rint((1 - factor) * 4096).astype(np.int64) for factor in (node.decay_u, node.decay_v))
    return decays.RoundedDecays(u=np.maximum(u, 1), v=v, gain=np.ones(node.shape), leak=np.ones(node.shape))


def whole_voltage(node: Neuron, bound: StateRange, seen: StateRange, climb: np.ndarray, **how: int) -> StateRange:
    """Room for every voltage that was seen."""
    return room_wanted(node, bound, seen, np.full(node.shape, np.inf), **how)


TECHNIQUES: dict[str, Off] = {
    "nothing: all on": contextlib.nullcontext,
    "a scale per neuron": lambda: mock.patch.object(Layout, "by_neuron", Layout.shared),
    "search of scales": lambda: mock.patch.multiple(fit, MANY=1, ROUGHLY=1, FEW=1),
    "search of exponents": lambda: mock.patch.object(fit, "ROUNDS", 0),
    "clipping of large weights": lambda: mock.patch.object(fit, "CLIPPED", 0.0),
    "adaptive rounding and importance of weights": lambda: quantise_without("adaptive"),
    "bias correction": lambda: quantise_without("bias_correction"),
    "nearness to the threshold": lambda: mock.patch.object(moments, "NEAR", 1e9),
    "decays rounded in pairs": lambda: mock.patch.object(populations, "round_decays", nearest_decays),
    "voltages clipped where harmless": lambda: mock.patch.object(wiring, "room_wanted", whole_voltage),
}


def slow() -> Case:
    """Neurons whose voltages and currents last for hundreds of steps, 16-bit weights."""
    rng, one = np.random.default_rng(0), np.ones(150)
    tau = 200 * rng.uniform(0.5, 2, 150)
    nodes = {
        "input": nir.Input({"input": np.array([20])}), "w": nir.Linear(rng.normal(0.1, 1, (150, 20))),
        "cuba": nir.CubaLIF(tau_syn=tau / 3, tau_mem=tau, r=100 * one, v_leak=0 * one, v_threshold=5 * one,
                            v_reset=0 * one, w_in=one),
        "output": nir.Output({"output": np.array([150])})}
    graph = nir.NIRGraph(nodes=nodes, edges=[("input", "w"), ("w", "cuba"), ("cuba", "output")], type_check=False)

    def inputs(seed: int) -> np.ndarray:
        return (np.random.default_rng(seed).random((4, 2000, 20)) < 0.1).astype(float)

    return Case(graph, inputs(5), inputs(1), dt=1.0, bits="16")


def trials(folder: Path) -> dict[str, Callable[[], Case]]:
    """Every case by name."""
    def braille(bits: str) -> Case:
        x = np.concatenate([spikes(100, 0, 0.01), spikes(100, 0, 0.03)])
        return Case(folder / "braille_noDelay_bias_zero.nir", calibration()["input"], x, dt=1e-4, bits=bits)

    return {
        "Braille, 8 bits": lambda: braille("8"),
        "Braille, 12 bits": lambda: braille("12"),
        "digits_recurrent, 3 bits": lambda: replace(digits("digits_recurrent"), bits="3"),
        "cnn_sinabs (no leak), 12 bits": lambda: replace(cnn(folder), bits="12"),
        "slow neurons, 16 bits": slow,
    }


def main() -> None:
    """Print a table: a row per technique, a column per case."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(os.environ.get("LOIHIC_SHARED_DATA", HERE.parents[3] / "shared" / "data")) / "nir"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    parser.add_argument("--only", metavar="CASE", help="a part of a case's name")
    given = parser.parse_args()
    cases = {name: made for name, made in trials(given.folder).items() if (given.only or "") in name}
    found: dict[str, list[str]] = {label: [] for label in TECHNIQUES}
    for made in cases.values():
        trial = made()
        judge = Judge(trial)
        for label, off in TECHNIQUES.items():
            with off():
                program = loihic.compile(trial.model, dt=trial.dt, weight_bits=trial.bits,
                                         calibration={"input": trial.calibration})
            found[label].append(f"{judge.of(program)[0]:.3f}")
    print(f"| without | {' | '.join(cases)} |\n|---|{'---|' * len(cases)}")
    for label, cells in found.items():
        print(f"| {label} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
