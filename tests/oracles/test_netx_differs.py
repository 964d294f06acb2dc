"""Where lava-dl's netx departs from what its files say, and loihic does not follow: by how much, and what it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from netx_nets import LIF, Integers, conv, dense, inputs, run_exact, write_net
from netx_runs import RESET, Answer, Job, compiled, netx

import loihic
from loihic.errors import CompileError
from loihic.frontends.netx import read_netx
from loihic.ir.node import Array
from loihic.ops.neuron import Neuron

pytestmark = pytest.mark.oracle

STEPS = 30
Layers = list[dict[str, Any]]
rng = np.random.default_rng(11)


def weights(*shape: int, low: int = -90, high: int = 100) -> Array:
    return rng.integers(low, high, shape)


def lif(**changes: Any) -> dict[str, Any]:
    return {**LIF, **changes}


X = (rng.random((STEPS, 12)) < 0.4).astype(np.int64)
PICTURES = (rng.random((STEPS, 2, 6, 6)) < 0.4).astype(np.int64)
VALUES = np.repeat(2 * rng.integers(-4, 20, (1, 12)), STEPS, axis=0)
W, REC = weights(9, 12), weights(9, 9)
SQUARE, LOOP = weights(12, 12), weights(12, 12)
BIAS, DELAYS = rng.integers(-20, 41, 9), np.arange(9, dtype=np.float32)
KERNEL, FLAT = weights(3, 2, 2, 2), weights(5, 75)
ODD = -rng.integers(1, 64, (9, 12))
ODD[:, ::3] = -64
SLOW, FULL = lif(vDecay=16, vThMant=1500), np.full(9, 900)
WIDE = weights(9, 12, low=-250)
WIDE[:, ::3] = 255


def recurrent(**more: Any) -> dict[str, Any]:
    return {**dense(W), "type": "dense_rec", "weight_rec": REC, **more}


def delayed_conv(delay: Mapping[str, Any]) -> Layers:
    return [inputs(2, 6, 6), conv((3, 5, 5), KERNEL, **delay), {"type": "flatten", "shape": np.array([75, 1, 1])},
            dense(FLAT)]


def late(path: Path, x: Array, steps: int) -> Array:
    """What is answered to an input that comes `steps` later."""
    return compiled(path, np.concatenate([np.zeros_like(x[:steps]), x[:-steps]]))


def samples(path: Path, x: Array) -> Array:
    """What is answered to two samples, each of half the steps."""
    program = loihic.compile(path, encoder=False, golden_steps=2)
    return program.run(x.reshape(2, -1, *x.shape[1:])).outputs["output"].reshape(len(x), -1)


def reset_between(path: Path, x: Array) -> Array:
    """What a recurrent layer answers that is reset after half the steps, but still hears what it sent before."""
    node = read_netx(path)[0].nodes["layer0"]
    sent, answers = np.zeros(len(REC)), []
    for t, spikes in enumerate(x):
        if t in (0, len(x) // 2):
            neurons = Integers(node)
        sent = neurons.step(W @ spikes + REC @ sent)
        answers.append(sent)
    return np.array(answers)


def delayed_loop(path: Path, x: Array) -> Array:
    """What a recurrent layer answers that hears everything late, and twice as loud."""
    neurons = Integers(read_netx(path)[0].nodes["layer0"])
    everything, sent = np.hstack([SQUARE, LOOP]), np.zeros((len(x) + 1, len(LOOP)))
    for t in range(len(x)):
        heard = [np.append(x[t - d], sent[t - d]) if t >= d else np.zeros(2 * len(LOOP)) for d in range(len(LOOP))]
        sent[t + 1] = neurons.step(np.array([2 * row @ spikes for row, spikes in zip(everything, heard, strict=True)]))
    return sent[1:]


def encoded(path: Path, x: Array) -> Array:
    """What is answered to values that input neurons hear as these whole numbers."""
    return compiled(path, x / 64, encoder=True)


def bias_in_voltage(path: Path, x: Array) -> Array:
    """What is answered where biases of recurrent layers are added to the voltage."""
    graph = read_netx(path)[0]
    nodes = {name: replace(node, bias_u=np.zeros(()), bias_v=node.bias_u) if isinstance(node, Neuron) else node
             for name, node in graph.nodes.items()}
    return run_exact(replace(graph, nodes=nodes), x)["output"]["out"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A network that netx understands in its own way.

    Attributes:
        layers: of the file.
        entries: how many spikes are there for one and not for the other.
        instead: layers of a file of which loihic makes what netx makes of this one.
        ours: what loihic says to the file.
        theirs: what it says to `instead`, or to the file itself where there is none, when it is to say as netx.
        x: the input.
        drive: what it goes to in netx.
        arguments: of netx.
    """

    layers: Layers
    entries: int
    instead: Layers | None = None
    ours: Callable[[Path, Array], Array] = compiled
    theirs: Callable[[Path, Array], Array] = compiled
    x: Array = field(default_factory=lambda: X)
    drive: str = "inp"
    arguments: Mapping[str, Any] = field(default_factory=dict)


DIFFERENCES = {
    # Without a reset, layer i is alone with its bias until it hears the first input step: here for one step.
    "biases act before the input": Difference(
        layers=[dense(W, SLOW, bias=FULL)], entries=203,
        theirs=lambda path, x: late(path, np.append(x, x[:1], axis=0), 1)[1:]),
    # What the layer hears is late, but not its bias.
    "delays in front of neurons with biases": Difference(
        layers=[dense(W, SLOW, bias=FULL, delay=np.float32(3))], entries=198, instead=[dense(W, SLOW, bias=FULL)],
        theirs=lambda path, x: late(path, x, 3), arguments=RESET),
    # As lava-dl's own tests set them; slayer adds what is heard to the current.
    "inputs as biases of neurons whose currents remember": Difference(
        layers=[inputs(12, neuron=lif()), dense(W)], entries=76,
        instead=[inputs(12, neuron=lif(iDecay=4096)), dense(W)], ours=encoded, theirs=encoded, x=VALUES,
        drive="bias", arguments={**RESET, "reset_offset": 0}),
    "biases of recurrent layers in the voltage": Difference(
        layers=[recurrent(bias=BIAS)], entries=3, theirs=bias_in_voltage, arguments=RESET),
    "delays of convolutions ignored": Difference(
        layers=delayed_conv({"delay": DELAYS[3:6]}), entries=22, instead=delayed_conv({}), x=PICTURES),
    "exponents of normalisation ignored": Difference(
        layers=[dense(W, lif(weight_exp=np.array([1.0])))], entries=15, instead=[dense(W)]),
    "exponents of weights ignored": Difference(layers=[dense(W, lif(wgtExp=1))], entries=11, instead=[dense(W)]),
    "weights of 255 among negative ones are 254": Difference(
        layers=[dense(WIDE, SLOW)], entries=22, instead=[dense(np.minimum(WIDE, 254), SLOW)]),
    # -64 is shifted to -256, which a synapse of negative weights does not hold: -255, of which 6 bits are left.
    "weights of -64 among negative ones are -63": Difference(
        layers=[dense(ODD, SLOW, bias=FULL)], entries=7, instead=[dense(np.maximum(ODD, -63), SLOW, bias=FULL)],
        arguments=RESET),
    # Here none of them is left.
    "weights of -64 alone are nothing": Difference(
        layers=[dense(0 * W - 64, SLOW, bias=FULL)], entries=135, instead=[dense(0 * W, SLOW, bias=FULL)],
        arguments=RESET),
    # What neurons sent in the last step before they are reset, they hear in the first step after it.
    "recurrent spikes across a reset": Difference(
        layers=[recurrent()], entries=5, ours=samples, theirs=reset_between,
        arguments={**RESET, "reset_interval": STEPS // 2}),
    # On the recurrent synapses too; and netx forgets that it had shifted the weights by a bit.
    "delays of recurrent layers": Difference(
        layers=[{**dense(SQUARE), "type": "dense_rec", "weight_rec": LOOP, "delay": np.arange(12, dtype=np.float32)}],
        entries=53, theirs=delayed_loop),
}

# netx builds none of these.
REFUSED_BY_NETX: Mapping[str, tuple[Layers, str]] = {
    "weights that are all zero": ([dense(np.zeros((9, 12)))], "OverflowError: cannot convert float infinity"),
    "delays of a recurrent layer with other inputs": ([recurrent(delay=DELAYS)], "expects same shape than the weight"),
    "pool": ([inputs(2, 6, 6), conv((2, 3, 3), np.full((1, 1, 2, 2), 64), stride=2, kind="pool")],
             "NotImplementedError: pool"),
    "unpool": ([inputs(2, 6, 6), conv((2, 12, 12), np.full((1, 1, 2, 2), 64), stride=2, kind="unpool")],
               "NotImplementedError: unpool"),
    "convT": ([inputs(2, 6, 6), conv((3, 7, 7), weights(2, 3, 2, 2), kind="convT")], "NotImplementedError: convT"),
    "average": ([dense(W), {"type": "average", "shape": np.array([3, 1, 1])}], "NotImplementedError: average"),
}

# The code with which loihic refuses a file, and what netx makes of it.
REFUSED_HERE: Mapping[str, tuple[Layers, str, Layers]] = {
    "delays beyond 62": ([dense(W, delay=np.float32(70))], "LHC408", [dense(W, delay=np.float32(62))]),
    "refractory periods": ([dense(W, lif(refDelay=3))], "LHC401", [dense(W)]),
    "graded spikes": ([dense(W, lif(gradedSpike=True))], "LHC401", [dense(W)]),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Job, Answer]]:
    """Of all networks, by name; in one process, which takes seconds to start."""
    place = tmp_path_factory.mktemp("differs")
    asked = dict(DIFFERENCES)
    for name, (layers, *_) in {**REFUSED_BY_NETX, **REFUSED_HERE}.items():
        asked[name] = Difference(layers=layers, entries=0, x=X if layers[0]["type"] != "input" else PICTURES)
    jobs = {name: Job(path=write_net(place / f"{index}.net", case.layers), x=case.x, drive=case.drive,
                      arguments=case.arguments) for index, (name, case) in enumerate(asked.items())}
    return dict(zip(jobs, zip(jobs.values(), netx(list(jobs.values()), place), strict=True), strict=True))


@pytest.mark.parametrize("name", DIFFERENCES)
def test_what_netx_does(answers: dict[str, tuple[Job, Answer]], name: str, tmp_path: Path) -> None:
    case, (job, answer) = DIFFERENCES[name], answers[name]
    path = job.path if case.instead is None else write_net(tmp_path / "instead.net", case.instead)
    theirs = answer.aligned(STEPS)
    assert (case.ours(job.path, case.x) != theirs).sum() == case.entries
    np.testing.assert_array_equal(case.theirs(path, case.x)[:STEPS], theirs)


@pytest.mark.parametrize("name", REFUSED_BY_NETX)
def test_what_only_loihic_reads(answers: dict[str, tuple[Job, Answer]], name: str) -> None:
    job, answer = answers[name]
    assert REFUSED_BY_NETX[name][1] in answer.error
    compiled(job.path, job.x)


@pytest.mark.parametrize("name", REFUSED_HERE)
def test_what_only_netx_reads(answers: dict[str, tuple[Job, Answer]], name: str, tmp_path: Path) -> None:
    (_, code, instead), (job, answer) = REFUSED_HERE[name], answers[name]
    with pytest.raises(CompileError) as caught:
        read_netx(job.path)
    assert [found.code for found in caught.value.diagnostics] == [code]
    np.testing.assert_array_equal(compiled(write_net(tmp_path / "instead.net", instead), X), answer.aligned(STEPS))
