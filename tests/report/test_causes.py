"""The first divergence and its cause, on programs where only one loss can be to blame."""

from __future__ import annotations

import nir
import numpy as np
import pytest
from single_losses import SIZE, chain, coarse, exact, late, lif, off, saturating, spikes, with_source

import loihic
from loihic.ops.compartment import Compartment
from loihic.ops.traits import Emit
from loihic.program import Program
from loihic.report.compare import Comparison
from loihic.report.divergence import Detector
from loihic.sim.emulate import Emulator, LossKind
from loihic.sim.lockstep import Trace

ALWAYS = {LossKind.SATURATION, LossKind.ARITHMETIC}
PARAMETERS = [LossKind.WEIGHTS, LossKind.DECAY, LossKind.THRESHOLD, LossKind.BIAS]


def differing(program: Program, x: dict[str, np.ndarray], node: str) -> tuple[int, int, int]:
    """(step, sample, index) of the first spike of a vector population that differs, by brute force."""
    start = program.graph.nodes[node].start
    ours = program.run(x, record=[(node, "out")], raw=True).recorded[node, "out"][:, start:]
    output = next(iter(program.outputs))
    theirs = program.run_float(x)[output]
    places = np.argwhere(ours[:, : theirs.shape[1]] != theirs)
    sample, step, index = min(places.tolist(), key=lambda place: (place[1], place[0], place[2]))
    return step, sample, index


def check_kind(found: Comparison, kind: LossKind, nodes: tuple[str, ...]) -> None:
    assert found.first is not None
    assert found.cause is not None
    assert (found.cause.kind, found.cause.nodes, found.cause.delayed_to) == (kind, nodes, None)
    assert found.cause.also == ()
    assert str(found.cause).startswith("rounding of states" if kind is LossKind.ARITHMETIC else kind.value)


def test_nothing_lost_nothing_found() -> None:
    program = exact()
    assert {kind for _, kind in Emulator(program).places} == ALWAYS
    found = program.compare(spikes(program))
    assert found.first is None
    assert found.cause is None
    assert found.output_error == 0
    assert all(one.float_spikes > 20 for one in found.populations)


@pytest.mark.parametrize("kind", PARAMETERS)
def test_the_one_parameter_that_is_off(kind: LossKind) -> None:
    program = off(kind)
    assert {kind for _, kind in Emulator(program).places} == {kind, *ALWAYS}
    found = program.compare(spikes(program))
    check_kind(found, kind, ("n0",) if kind is LossKind.WEIGHTS else ("n1",))
    assert found.first is not None
    assert found.first.node == "n1"


def test_saturation() -> None:
    program, x = saturating()
    found = program.compare(x)
    check_kind(found, LossKind.SATURATION, ("n1",))
    assert found.first is not None
    assert (found.first.step, found.first.sample, found.first.index[0]) == differing(program, x, "n1")


def test_arithmetic() -> None:
    program = coarse()
    x = spikes(program, samples=40)
    found = program.compare(x)
    check_kind(found, LossKind.ARITHMETIC, ("n1",))
    assert found.first is not None
    assert (found.first.step, found.first.sample, found.first.index[0]) == differing(program, x, "n1")


def test_a_late_loop() -> None:
    program = late()
    assert LossKind.DELAY in {kind for _, kind in Emulator(program).places}
    found = program.compare(spikes(program))
    check_kind(found, LossKind.DELAY, tuple(name for name, _ in Emulator(program).everywhere([LossKind.DELAY])))


def test_a_loss_upstream_of_voltages_is_found_in_the_whole_network() -> None:
    """n1 sends voltages within the tolerance, n2 spikes: only undoing n1's weights mends n2."""
    leaky = nir.LI(tau=np.full(2, 8.0), r=np.full(2, 8.0), v_leak=np.zeros(2))
    net = chain(nir.Linear(np.ones((2, 4))), leaky, nir.Linear(np.ones((2, 2))), lif(2, 40.0), size=4, out=2)
    program = loihic.compile(net, dt=1.0, neuron_scales=False)
    program = with_source(program, "n0", linear=program.source.nodes["n0"].linear.scaled(np.asarray(1.006)))
    found = program.compare(spikes(program, samples=20))
    assert found.first is not None
    assert found.first.node == "n3"
    assert found.cause is not None
    assert (found.cause.kind, found.cause.nodes) == (LossKind.WEIGHTS, ())
    assert "throughout the network" in str(found.cause)


def test_two_losses_that_only_suffice_together() -> None:
    """In step 1 the integers have v = 4 * 7/8 + 4 = 7.5 and fire above 8; the floats have 7.8 and fire above 7.7."""
    program = exact()
    program = with_source(program, "n1", threshold=np.full(SIZE, 7.7), bias_v=np.full(SIZE, 0.16))
    found = program.compare({"input": np.ones((1, 2, 4))})
    assert found.first is not None
    assert (found.first.node, found.first.step) == ("n1", 1)
    assert found.first.charge == pytest.approx(7.5 / 8)
    assert found.cause is not None
    assert found.cause.kind is None
    assert "together" in str(found.cause)


def detector(emit: str, **changes: object) -> Detector:
    zero = np.zeros((), dtype=np.int64)
    node = Compartment(shape=(2,), du=zero, dv=zero, vth=zero + 100, emit=Emit(emit), unit=np.asarray(1e-6), **changes)
    return Detector("p", node, np.full(2, 2.0), 0.1)


def trace(out: list[list[float]], v: list[list[float]] | None = None) -> Trace:
    values = np.asarray(out, dtype=float)
    return Trace(values, values if v is None else np.asarray(v), values)


def test_spikes_diverge_at_once_and_the_earliest_counts() -> None:
    watch = detector("spike")
    watch.add(0, 5, trace([[1, 0], [0, 0]]), trace([[1, 0], [0, 0]]))
    assert watch.found is None
    watch.add(1, 5, trace([[0, 0], [0, 1]], [[0, 0], [0, 0]]), trace([[0, 0], [0, 0]], [[0, 0], [0, 1.5]]))
    assert watch.found is not None
    assert (watch.found.step, watch.found.sample, watch.found.index) == (1, 6, (1,))
    assert watch.found.charge == 0.75
    assert "p[1] fires in the integers, not in the floats: there v is 0.75 of the threshold" in str(watch.found)
    watch.add(2, 5, trace([[1, 0], [0, 0]]), trace([[0, 0], [0, 0]]))
    watch.finish()
    watch.add(1, 7, trace([[1, 0], [0, 0]]), trace([[0, 0], [0, 0]]))
    assert (watch.found.step, watch.found.sample) == (1, 6)
    watch.add(0, 7, trace([[1, 0], [0, 0]]), trace([[0, 0], [0, 0]]))
    assert (watch.found.step, watch.found.sample) == (0, 7)


def test_voltages_diverge_beyond_a_share_of_the_greatest_so_far() -> None:
    watch = detector("graded")
    watch.add(0, 0, trace([[9.0, 10.0]]), trace([[9.9, 10.0]]))
    assert watch.found is None
    watch.add(1, 0, trace([[0.9, 0.0]]), trace([[0.0, 0.0]]))  # the greatest was 10
    assert watch.found is None
    watch.add(2, 0, trace([[1.1, 0.0]]), trace([[0.0, 0.0]]))
    assert watch.found is not None
    assert (watch.found.step, watch.found.index, watch.found.ours, watch.found.charge) == (2, (0,), 1.1, None)
    watch = detector("graded")
    watch.add(0, 0, trace([[60e-6, 0.0]]), trace([[0.0, 0.0]]))  # less than a unit of the accumulated sum
    assert watch.found is None
    watch.finish()
    watch.add(0, 0, trace([[70e-6, 0.0]]), trace([[0.0, 0.0]]))
    assert watch.found is not None
