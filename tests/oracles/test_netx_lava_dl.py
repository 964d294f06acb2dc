"""lava-dl's own netx on Lava and what loihic compiles from the same .net files: the same bits in every step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from netx_nets import LIF, SDNN, conv, dense, inputs, write_net
from netx_recordings import READ_OUT, folder, mnist, pilotnet_spikes, recorded
from netx_runs import RESET, Job, netx, shipped, voltages

import loihic
from loihic.ir.node import Array

pytestmark = pytest.mark.oracle
STEPS = 20


def random_network(rng: np.random.Generator, biases: bool) -> tuple[list[dict[str, Any]], tuple[int, ...]]:
    """Layers of spiking neurons, dense ones behind convolutions every other time, and the shape of their input."""
    def weights(*shape: int) -> Array:
        return rng.integers(-90, 128, shape)

    def bias(count: int) -> dict[str, Any]:
        return {"bias": rng.integers(-40, 41, count)} if biases else {}

    def neuron(count: int = 1) -> dict[str, Any]:
        return {**LIF, "iDecay": rng.choice([1, 409, 1024, 4096], count),
                "vDecay": rng.choice([0, 128, 1024, 4096], count), "vThMant": int(rng.choice([0, 5, 80, 400]))}

    layers: list[dict[str, Any]] = []
    shape, size = (12,), 12
    if rng.random() < 0.5:
        shape = (2, int(rng.integers(5, 8)), int(rng.integers(5, 8)))
        stride, padding, groups = (int(rng.integers(1, 3)) for _ in range(3))
        height, width = ((n + 2 * padding - 3) // stride + 1 for n in shape[1:])
        size = 3 * height * (width - 1)
        layers = [inputs(*shape),
                  conv((4, height, width), weights(4, 2 // groups, 3, 3), stride=stride, padding=padding,
                       groups=groups, neuron=neuron(), **bias(4)),
                  conv((3, height, width - 1), weights(3, 4, 1, 2), neuron=neuron(), **bias(3)),
                  {"type": "flatten", "shape": np.array([size, 1, 1])}]
    layers.append(dense(weights(9, size), neuron(9), **bias(9)))
    if not biases:
        layers.append({**dense(weights(6, 9), neuron()), "type": "dense_rec", "weight_rec": weights(6, 6)})
    layers.append(dense(weights(5, len(layers[-1]["weight"])), neuron(), **bias(5)))
    return layers, shape


def spikes(rng: np.random.Generator, *shape: int) -> Array:
    return (rng.random((STEPS, *shape)) < 0.4).astype(np.int64)


@pytest.mark.parametrize("biases", [False, True])
def test_random_networks(tmp_path: Path, biases: bool) -> None:
    """Without biases nothing has to rest until it hears the input."""
    jobs = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        layers, shape = random_network(rng, biases)
        path = write_net(tmp_path / f"{seed}.net", layers)
        jobs.append(Job(path=path, x=spikes(rng, *shape), arguments=RESET if biases else {}))
    said = 0
    for job, answer in zip(jobs, netx(jobs, tmp_path), strict=True):
        program = loihic.compile(job.path, encoder=False, golden_steps=2)
        out, v = answer.aligned(STEPS), answer.aligned(STEPS, "v")
        last = program.graph.incoming["output"][0].src
        np.testing.assert_array_equal(program.run(job.x).outputs["output"][0], out, err_msg=job.path.name)
        np.testing.assert_array_equal(voltages(program, job.x, last), v, err_msg=job.path.name)
        said += np.unique(out, axis=0).shape[0] > 2
    assert said > 2


def test_delays_without_biases(tmp_path: Path) -> None:
    """netx delays what a layer hears in place of what it sends."""
    rng = np.random.default_rng(0)
    x = spikes(rng, 12)
    jobs = []
    for name, delays in (("several", rng.integers(0, 9, 9)), ("one", np.array(3))):
        layers = [dense(rng.integers(-127, 128, (9, 12)), delay=delays.astype(np.float32)),
                  dense(rng.integers(-127, 128, (5, 9)), delay=rng.integers(0, 5, 5).astype(np.float32))]
        jobs.append(Job(path=write_net(tmp_path / f"{name}.net", layers), x=x))
    for job, answer in zip(jobs, netx(jobs, tmp_path), strict=True):
        ours = loihic.compile(job.path).run(x).outputs["output"][0]
        assert ours.any()
        np.testing.assert_array_equal(ours, answer.aligned(STEPS), err_msg=job.path.name)


def test_what_a_read_out_adds_up(tmp_path: Path) -> None:
    """Of a last layer that cannot spike netx has nothing to say; its voltages are what loihic hands out.

    A last layer without neurons becomes one of netx's that adds up for ever what arrives.
    """
    rng = np.random.default_rng(1)
    x, first = spikes(rng, 12), dense(rng.integers(-127, 128, (9, 12)))
    weight = rng.integers(-127, 128, (5, 9))
    jobs = [Job(path=write_net(tmp_path / f"{name}.net", [first, dense(weight, neuron)]), x=x)
            for name, neuron in (("affine", {**LIF, "vThMant": (1 << 18) - 1}), ("none", None))]
    affine, none = netx(jobs, tmp_path)
    for job, answer, wanted in zip(jobs, (affine, none), (lambda y: y, lambda y: y.cumsum(axis=0)), strict=True):
        assert not answer.out.any()
        program = loihic.compile(job.path)
        ours = program.dequantise(program.run(x).outputs)["output"][0]
        np.testing.assert_array_equal(64 * wanted(ours), answer.aligned(STEPS, "v"), err_msg=job.path.name)


@pytest.mark.parametrize("skip", [False, True], ids=["encoder", "messages"])
def test_random_sigma_delta_networks(tmp_path: Path, skip: bool) -> None:
    """From the first step on, the waves of biases included; driven by values, or by the messages of the encoder."""
    rng = np.random.default_rng(2)

    def bias(count: int) -> Array:
        return rng.integers(-30, 31, count)

    def weights(*shape: int) -> Array:
        return rng.integers(-127, 128, shape)

    def neuron(threshold: int, **more: Any) -> dict[str, Any]:
        return {**SDNN, "vThMant": threshold, **more}

    networks = {
        "conv": [inputs(2, 6, 5, neuron=neuron(3)),
                 conv((3, 5, 4), weights(3, 2, 2, 2), neuron=neuron(5), bias=bias(3)),
                 {"type": "flatten", "shape": np.array([60, 1, 1])}, dense(weights(4, 60), neuron(0), bias=bias(4)),
                 dense(weights(2, 4), neuron(1, sigma_output=True))],
        "dense": [inputs(6, neuron=neuron(0)), dense(weights(5, 6), neuron(9), bias=bias(5)),
                  dense(weights(4, 5), neuron(2))],
        "weighed": [inputs(6, neuron=neuron(1), weight=np.float32(48), bias=np.float32(-5)),
                    dense(weights(5, 6), neuron(9)), dense(weights(4, 5), neuron(2, sigma_output=True))],
    }
    jobs, ours = [], []
    for name, layers in networks.items():
        path = write_net(tmp_path / f"{name}.net", layers)
        levels = rng.integers(-15, 16, (STEPS, *layers[0]["shape"]))
        levels[5:8] = levels[4]
        if skip:
            program = loihic.compile(path, encoder=False, input_range=(-1024.0, 1024.0), golden_steps=2)
            jobs.append(Job(path=path, x=levels << 6, arguments={"skip_layers": 1}))
            ours.append(program.run(levels << 6, raw=True))
        else:
            weight, constant = int(layers[0].get("weight", 64)), int(layers[0].get("bias", 0))
            jobs.append(Job(path=path, x=weight // 16 * levels + constant, drive="neuron"))
            ours.append(loihic.compile(path, golden_steps=2).run(levels / 16, raw=True))
    for job, answer, mine in zip(jobs, netx(jobs, tmp_path), ours, strict=True):
        out = mine.outputs["output"][0]
        assert np.unique(out).size > 5
        assert mine.latency["output"] == answer.late
        length = min(len(out), len(answer.out))
        np.testing.assert_array_equal(out[:length], answer.out[:length], err_msg=job.path.name)


def test_mnist_network(tmp_path: Path, shared_data: Path) -> None:
    """Images one after the other, between which netx resets its neurons, as independent samples."""
    count, steps = 3, 16
    path, x, labels = mnist(shared_data, steps)
    x = x[:count]
    job = Job(path=path, x=x.reshape(count * steps, -1), arguments={**RESET, "reset_interval": steps})
    answer, = netx([job], tmp_path)
    ours = loihic.compile(path).run(x).outputs["output"]
    np.testing.assert_array_equal(ours.reshape(count * steps, -1), answer.aligned(count * steps))
    assert ours.sum(axis=1).argmax(axis=1).tolist() == labels[:count].tolist()


@pytest.mark.slow
def test_pilotnet(tmp_path: Path, shared_data: Path) -> None:
    """Driven by the recorded spikes of its input layer; its last layer's voltages, too."""
    path = folder(shared_data, "pilotnet_lif") / "network.net"
    x, _ = pilotnet_spikes(path.parent)
    answer, = netx([Job(path=path, x=x, arguments={**RESET, "skip_layers": 1})], tmp_path, timeout=300)
    program = loihic.compile(path, encoder=False, golden_steps=2)
    np.testing.assert_array_equal(program.run(x).outputs["output"][0], answer.aligned(len(x)))
    np.testing.assert_array_equal(voltages(program, x, READ_OUT), answer.aligned(len(x), "v"))
    assert np.unique(answer.v).size > 5


def test_encoder_of_tiny_network(tmp_path: Path) -> None:
    """Values weighed and biased as the file says: netx leaves this to its user, and takes it as biases or as currents.

    Both are the same here, where currents have no memory.
    """
    path = shipped("tiny.net")
    levels = np.random.default_rng(3).integers(-10, 15, (3, 16, 16))  # quarters, so that z is whole
    z = np.repeat(9 * levels[None] + 34, STEPS, axis=0)
    jobs = [Job(path=path, x=z, drive=drive, arguments={**RESET, "reset_offset": 0}) for drive in ("bias", "neuron")]
    ours = loihic.compile(path, golden_steps=2).run(np.repeat(levels[None] / 4, STEPS, axis=0)).outputs["output"][0]
    assert ours.any()
    for answer in netx(jobs, tmp_path):
        np.testing.assert_array_equal(ours, answer.aligned(STEPS))


def test_encoder_of_dense_network(tmp_path: Path) -> None:
    """Its last layer has no neurons: netx adds up what loihic hands out."""
    path = shipped("mnist.net")
    levels = np.random.default_rng(4).integers(-4, 5, (STEPS, 784))
    program = loihic.compile(path, golden_steps=2)
    sums = program.dequantise(program.run(levels / 4.0).outputs)["output"][0].cumsum(axis=0)
    job = Job(path=path, x=19 * levels + 64, drive="neuron", arguments={**RESET, "reset_offset": 0})
    answer, = netx([job], tmp_path)
    assert not answer.out.any()
    np.testing.assert_array_equal(64 * sums, answer.aligned(STEPS, "v"))


def test_axonal_delays_of_the_ntidigits_network(tmp_path: Path) -> None:
    """Without its last layer, an average, which netx does not build."""
    path, steps = shipped("gts/ntidigits/ntidigits.net"), 80
    x = np.load(shipped("gts/ntidigits/input.npy")).T[:steps].astype(np.int64)
    answer, = netx([Job(path=path, x=x, arguments={"num_layers": 5})], tmp_path)
    program = loihic.compile(path, golden_steps=2)
    start = program.graph.nodes["layer4"].start  # type: ignore[attr-defined]
    spikes = program.run(x.reshape(steps, 1, 1, 64), record=[("layer4", "out")]).recorded["layer4", "out"][0]
    assert answer.out.sum() > 100
    np.testing.assert_array_equal(spikes[start : start + steps], answer.aligned(steps))


@pytest.mark.slow
def test_sigma_delta_pilotnet(tmp_path: Path) -> None:
    """An image that changes a little, and then moves on."""
    path = shipped("gts/pilotnet_sdnn/network.net")
    image = recorded(shipped("gts/pilotnet_sdnn/input.npy").parent, "input")[0]
    noise = np.random.default_rng(5).integers(-8, 9, image.shape)
    x = np.stack([image, image, image + noise, image + noise, *[np.roll(image, 5, axis=2)] * 3])
    answer, = netx([Job(path=path, x=np.concatenate([x, *[x[-1:]] * 10]), drive="neuron")], tmp_path, timeout=300)
    out = loihic.compile(path, golden_steps=2).run(x / 64, raw=True).outputs["output"][0]
    assert np.unique(out).size > 5
    np.testing.assert_array_equal(out, answer.out[: len(out)])
