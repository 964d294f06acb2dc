"""How close a recurrent network comes to the float one, with plain recipes and with what the compiler can do.

Usage: python braille.py [FOLDER with braille_noDelay_bias_zero.nir] [--inputs 200]

200 seeded inputs of 256 steps at 1 and 3 % density; the calibration data has other seeds. Prints, per way of compiling:
synapse words, mismatched entries per float spike (hidden, output) and agreement of decisions at both densities, and
whether every state was proven or observed free of wrap.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import loihic
from loihic.ops.compartment import Compartment
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.ops.synapse import Synapse
from loihic.partition.words import synapse_words
from loihic.program import Program
from loihic.quant.budget import Budget
from loihic.quant.proofs import Verdict
from loihic.sim.reference import run_reference

HERE = Path(__file__).resolve()
DENSITIES = (0.01, 0.03)
STEPS = 256


def spikes(count: int, seed: int, density: float) -> np.ndarray:
    """Seeded inputs (count, STEPS, 12)."""
    return (np.random.default_rng(seed).random((count, STEPS, 12)) < density).astype(float)


def calibration() -> dict[str, np.ndarray]:
    """40 inputs at each density, of other seeds than those that are measured."""
    return {"input": np.concatenate([spikes(40, 1000 + i, density) for i, density in enumerate(DENSITIES)])}


def published_recipe(program: Program) -> Program:
    """The integers of the NIR paper's own import to Lava: du, dv * 4095, vth * 131071 >> 9, w * 256, each cut off.

    Lava clips the weights to -256..255 and makes them even. The recipe has no biases; they are added to the current
    with the weights' factor.
    """
    nodes = dict(program.graph.nodes)
    for name, node in program.source.nodes.items():
        old = nodes[name]
        if isinstance(node, Map):
            cut = (node.linear.to_csr().toarray() * 256).astype(np.int64)
            nodes[name] = DenseSynapse(in_shape=node.linear.in_shape, out_shape=node.linear.out_shape, group=name,
                                       weights=np.clip(cut, -256, 255) >> 1 << 1)
        elif isinstance(node, Neuron):
            assert isinstance(old, Compartment)
            one = np.ones((), dtype=np.int64)
            nodes[name] = replace(
                old, du=int((1 - node.decay_u.flat[0]) * 4095) * one, dv=int((1 - node.decay_v.flat[0]) * 4095) * one,
                vth=(131071 >> 9) * one, ibias_mant=(node.bias_u * 256 * 64).astype(np.int64), ibias_exp=0 * one)
    return replace(program, graph=replace(program.graph, nodes=nodes), proofs=())


class Inputs:
    """The inputs, and what the float network answers."""

    def __init__(self, program: Program, count: int) -> None:
        self.x = {density: spikes(count, 0, density) for density in DENSITIES}
        self.hidden: dict[float, np.ndarray] = {}
        self.output: dict[float, np.ndarray] = {}
        for density, x in self.x.items():
            seen: list[np.ndarray] = []

            def observe(name: str, _: object, sent: np.ndarray, seen: list[np.ndarray] = seen) -> None:
                if name == "lif1.lif":
                    seen.append(sent)

            self.output[density] = run_reference(program.source, {"input": x}, observe=observe)["output"]
            self.hidden[density] = np.stack(seen, axis=1)

    def measure(self, program: Program) -> str:
        """One line of figures."""
        words = sum(synapse_words(node) for node in program.graph.nodes.values() if isinstance(node, Synapse))
        cells = []
        for density, x in self.x.items():
            result = program.run(x, record=[("lif1.lif", "out")])
            start = program.graph.nodes["lif1.lif"].start
            hidden, output = result.recorded["lif1.lif", "out"][:, start : start + STEPS], result.outputs["output"]
            wanted, answer = self.hidden[density], self.output[density]
            same = np.mean(output.sum(1).argmax(1) == answer.sum(1).argmax(1))
            missed = np.sum(hidden != wanted) / wanted.sum(), np.sum(output != answer) / answer.sum()
            cells.append(f"{missed[0]:.3f} / {missed[1]:.3f} / {same:.1%}")
        wraps = [proof.verdict for proof in program.proofs if proof.effect == "wraps"]
        free = "not analysed" if not wraps else (
            "proven" if all(v is Verdict.PROVEN for v in wraps) else
            "proven or observed" if all(v is not Verdict.MAY_OVERFLOW for v in wraps) else "may wrap")
        return f"{words} | {' | '.join(cells)} | {free}"


def ways(model: Path) -> dict[str, Callable[[], Program]]:
    """Every way of compiling, by its label."""
    def compiled(**choices: object) -> Callable[[], Program]:
        return lambda: loihic.compile(model, dt=1e-4, **choices)

    known = calibration()
    return {
        "published recipe (dv*4095, vth>>9, w*256)": lambda: published_recipe(compiled(neuron_scales=False)()),
        "8 bits, a scale per population": compiled(neuron_scales=False),
        "8 bits": compiled(),
        "8 bits, calibrated": compiled(calibration=known),
        "8f (one of two exponents), calibrated": compiled(weight_bits="8f", calibration=known),
        "12 bits in two synapses, calibrated": compiled(weight_bits=12, calibration=known),
        "16 bits in two synapses, calibrated": compiled(weight_bits=16, calibration=known),
        "auto, words of 8 bits": compiled(weight_bits="auto", calibration=known),
        "auto, --budget words=1300": compiled(weight_bits="auto", calibration=known, budget=Budget(words=1300)),
        "auto, --max-error 0.05": compiled(
            weight_bits="auto", calibration=known, budget=Budget(max_error=0.05)),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(os.environ.get("LOIHIC_SHARED_DATA", HERE.parents[3] / "shared" / "data")) / "nir"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    parser.add_argument("--inputs", type=int, default=200)
    given = parser.parse_args()
    model = given.folder / "braille_noDelay_bias_zero.nir"
    inputs = Inputs(loihic.compile(model, dt=1e-4), given.inputs)
    heads = [f"hidden / output mismatches per float spike / decisions, {density:.0%}" for density in DENSITIES]
    print(f"| | synapse words | {' | '.join(heads)} | u |\n|---|---|---|---|---|")
    for label, made in ways(model).items():
        print(f"| {label} | {inputs.measure(made())} |", flush=True)


if __name__ == "__main__":
    main()
