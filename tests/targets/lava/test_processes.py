"""loihic's own Lava Processes against numpy models written here from their description."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loihic.targets.lava.network import LavaConnection, LavaNetwork, LavaProbe, LavaProcess, LavaTap
from loihic.targets.lava.runner import lava_version, run_network

pytestmark = pytest.mark.skipif(lava_version() is None, reason="Lava is not installed")

M = 2**23


def run_one(kind: str, args: dict, x: np.ndarray, probes: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Output s_out (key "s") and Vars of one process fed with x (N, T, *shape), for T + 3 steps."""
    shape = x.shape[2:]
    network = LavaNetwork(
        processes=(LavaProcess(name="in", kind="input", args={"shape": shape}),
                   LavaProcess(name="p", kind=kind, args=args)),
        connections=(LavaConnection(src="in", src_port="s_out", dst="p", dst_port="a_in"),),
        taps=(LavaTap(key="s", process="p", port="s_out"),),
        probes=tuple(LavaProbe(key=name, process="p", var=name) for name in probes),
    )
    return run_network(network, {"in": x}, x.shape[1] + 3, timeout=120)


def toward_zero(x: int, bits: int) -> int:
    return x >> bits if x >= 0 else -(-x >> bits)


def neuron(a: list[int], p: dict[str, int], start: int, reset: str, output: str, shift: int) -> np.ndarray:
    """(T, 3) of s, u, v of one neuron in Python's unbounded integers."""
    u, v, theta, rows = 0, p["v_init"], p["vth"] * 64, []
    for k, x in enumerate(a):
        if k < start:
            u, v, s = 0, p["v_init"], 0
        else:
            u = toward_zero(u * (4095 - p["du"]), 12) + x * 64 + p["ibias_mant"] * 2 ** p["ibias_exp"]
            u = (u + 2**31) % 2**32 - 2**31
            u = u - 2 * M if u > M else u + 2 * M if u <= -M else u
            v = toward_zero(v * (4096 - p["dv"]), 12) + u + p["vbias_mant"] * 2 ** p["vbias_exp"]
            v = max(1 - M, min(M - 1, v))
            if output == "graded":
                s = v // 2**shift
            else:
                s = max(0, (v - 1) // theta) if output == "multi" and theta > 0 else int(v > theta)
                v = {"zero": 0 if s else v, "subtract": v - s * theta, "none": v}[reset]
        rows.append((s, u, v))
    return np.array(rows)


@pytest.mark.parametrize("output", ["spike", "multi", "graded"])
@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
@settings(max_examples=2, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), start=st.sampled_from([0, 3]))
def test_neuron(reset: str, output: str, seed: int, start: int) -> None:
    rng, shape, steps = np.random.default_rng(seed), (6, 8), 12
    # Three magnitudes of input: ordinary, near the 24-bit limits, and beyond them (wrap at 24 and at 32 bits).
    scale = rng.choice([20, 2**16, 2**18, 2**30], size=shape)
    x = (rng.uniform(-1, 1, size=(1, steps, *shape)) * scale).astype(np.int64)
    args = {
        "du": rng.choice([0, 1, 100, 2047, 4095], size=shape), "dv": rng.choice([0, 3, 1000, 4095, 4096], size=shape),
        "vth": rng.choice([0, 1, 10, 500, 131071], size=shape), "v_init": rng.integers(1 - M, M, size=shape),
        "ibias_mant": rng.integers(-4096, 4096, size=shape), "ibias_exp": rng.integers(0, 8, size=shape),
        "vbias_mant": rng.integers(-4096, 4096, size=shape), "vbias_exp": rng.integers(0, 8, size=shape),
    }
    got = run_one("loihic.Neuron", {"shape": shape, "start": start, "reset": reset, "output": output, "out_shift": 5,
                                    **args}, x, ("u", "v"))
    padded = np.concatenate([x[0], np.zeros((3, *shape), dtype=np.int64)])
    for index in np.ndindex(shape):
        parameters = {name: int(value[index]) for name, value in args.items()}
        want = neuron(padded[(slice(None), *index)].tolist(), parameters, start, reset, output, 5)
        for column, key in enumerate(("s", "u", "v")):
            np.testing.assert_array_equal(got[key][(0, slice(None), *index)], want[:, column], err_msg=key)


def test_wrap_and_saturation_at_their_edges() -> None:
    """u: +2**23 stays, more wraps, once, after the sum has wrapped at 32 bits; v saturates."""
    a = np.array([M // 64, M // 64 + 1, -M // 64, -M // 64 - 1, 3 * M // 64 + 1, 2**25])
    args = {"shape": (6,), "du": 4095, "vth": 2**17 - 1, "reset": "none"}
    got = run_one("loihic.Neuron", args, a.reshape(1, 1, -1), ("u", "v"))
    np.testing.assert_array_equal(got["u"][0, 0], [M, -M + 64, M, M - 64, M + 64, 2 * M - 2**31])
    np.testing.assert_array_equal(got["v"][0, 0], [M - 1, -M + 64, M - 1, M - 64, M - 1, 1 - M])


def test_neuron_equals_stock_lif() -> None:
    """With equal parameters, Neuron is Lava's own LIF, even where Lava overflows."""
    rng, shape = np.random.default_rng(1), (200,)
    x = (rng.uniform(-1, 1, size=(1, 12, *shape)) * rng.choice([30, 2**17, 2**31 - 1], size=shape)).astype(np.int64)
    bias = {"mant": rng.integers(-4096, 4096, size=shape), "exp": rng.integers(0, 8, size=shape)}
    common = {"shape": shape, "du": 300, "dv": 77, "vth": 400}
    ours = run_one("loihic.Neuron", {**common, "vbias_mant": bias["mant"], "vbias_exp": bias["exp"]}, x, ("u", "v"))
    stock = run_one("lava.proc.lif.process.LIF", {**common, "bias_mant": bias["mant"], "bias_exp": bias["exp"]}, x,
                    ("u", "v"))
    for key, value in ours.items():
        np.testing.assert_array_equal(value, stock[key], err_msg=key)


@pytest.mark.parametrize("steps", [1, 4, "per element"])
def test_delay_line(steps: int | str) -> None:
    rng, shape = np.random.default_rng(2), (3, 4)
    x = rng.integers(-(2**31), 2**31, size=(2, 9, *shape))
    delays = np.arange(1, 13).reshape(shape) if isinstance(steps, str) else steps
    got = run_one("loihic.DelayLine", {"shape": shape, "steps": delays}, x)["s"]
    padded = np.concatenate([x, np.zeros((2, 3, *shape), dtype=np.int64)], axis=1)
    for index in np.ndindex(shape):
        delay = int(np.broadcast_to(delays, shape)[index])
        want = np.concatenate([np.zeros((2, delay), dtype=np.int64), padded[(..., *index)]], axis=1)[:, :12]
        np.testing.assert_array_equal(got[(..., *index)], want)


def test_loop_through_a_delay_line_does_not_deadlock() -> None:
    """A neuron that adds its own output, two steps late, to its input: graded, without memory, a Fibonacci of sorts."""
    network = LavaNetwork(
        processes=(LavaProcess(name="in", kind="input", args={"shape": (1,)}),
                   LavaProcess(name="n", kind="loihic.Neuron", args={"shape": (1,), "du": 4095, "dv": 4096,
                                                                     "output": "graded", "out_shift": 6}),
                   LavaProcess(name="d", kind="loihic.DelayLine", args={"shape": (1,), "steps": 2})),
        connections=(LavaConnection(src="in", src_port="s_out", dst="n", dst_port="a_in"),
                     LavaConnection(src="n", src_port="s_out", dst="d", dst_port="a_in"),
                     LavaConnection(src="d", src_port="s_out", dst="n", dst_port="a_in")),
        taps=(LavaTap(key="s", process="n", port="s_out"),),
    )
    got = run_network(network, {"in": np.array([3, -5]).reshape(1, 2, 1)}, 6, timeout=60)["s"]
    assert got[0, :, 0].tolist() == [3, -5, 3, -5, 3, -5]
