"""Lava's stock Processes, run by the worker, against numpy models written here: the facts the compiler relies on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from loihic.targets.lava.network import LavaConnection, LavaNetwork, LavaProbe, LavaProcess, LavaTap
from loihic.targets.lava.runner import lava_version, run_network

pytestmark = pytest.mark.skipif(lava_version() is None, reason="Lava is not installed")

LIF = "lava.proc.lif.process."
DENSE = "lava.proc.dense.process."
SPARSE = "lava.proc.sparse.process."
CONV = "lava.proc.conv.process.Conv"
SEEDS = st.integers(0, 2**32 - 1)
EXTRA_STEPS = 3


def run_many(kind: str, variants: list[dict[str, Any]], x: np.ndarray, *, neuron: bool = False) -> list[np.ndarray]:
    """For each of `variants`, the output (T + 3, ...) of a process of `kind` fed with x (T, *shape)."""
    ports = ("a_in", "s_out") if neuron else ("s_in", "a_out")
    names = [str(index) for index in range(len(variants))]
    network = LavaNetwork(
        processes=(LavaProcess(name="in", kind="input", args={"shape": x.shape[1:]}),
                   *(LavaProcess(name=name, kind=kind, args=args) for name, args in zip(names, variants, strict=True))),
        connections=tuple(LavaConnection(src="in", src_port="s_out", dst=name, dst_port=ports[0]) for name in names),
        taps=tuple(LavaTap(key=name, process=name, port=ports[1]) for name in names),
    )
    result = run_network(network, {"in": x[np.newaxis]}, len(x) + EXTRA_STEPS, timeout=120)
    return [result[name][0] for name in names]


def later(y: np.ndarray, delay: int = 1) -> np.ndarray:
    """y (T, ...) as it arrives `delay` steps later, in a run of T + 3 steps."""
    out = np.zeros((len(y) + EXTRA_STEPS, *y.shape[1:]), dtype=np.int64)
    out[delay:delay + len(y)] = y[:len(out) - delay]
    return out


def csr_arguments(name: str, matrix: csr_matrix) -> dict[str, Any]:
    return {f"{name}_data": matrix.data, f"{name}_indices": matrix.indices, f"{name}_indptr": matrix.indptr,
            f"{name}_shape": matrix.shape}


def synaptic_weights(w: np.ndarray, mode: str, bits: int) -> np.ndarray:
    """The weights that Lava computes with: clipped to the sign mode's range, low bits dropped."""
    if mode == "INHIBITORY":
        return -synaptic_weights(-w, "EXCITATORY", bits)
    mixed = mode == "MIXED"
    k = 8 - bits + mixed
    return (np.clip(w, -256 * mixed, 255) >> k) << k


def scaled(y: np.ndarray, exponent: int) -> np.ndarray:
    return y << exponent if exponent > 0 else y >> -exponent


@settings(max_examples=2, deadline=None, derandomize=True)
@given(seed=SEEDS)
def test_lif(seed: int) -> None:
    rng, m = np.random.default_rng(seed), 2**23
    x = (rng.uniform(-1, 1, size=(20, 150)) * rng.choice([40, 2**13, 2**18], size=150)).astype(np.int64)
    kinds: list[dict[str, Any]] = [
        {"shape": (150,), "du": int(rng.integers(0, 4096)), "dv": int(rng.integers(0, 4096)),
         "vth": int(rng.integers(0, 2000)), "bias_mant": rng.integers(-4096, 4096, size=150),
         "bias_exp": rng.integers(0, 8, size=150)} for _ in range(3)]
    got = run_many(LIF + "LIF", kinds, x, neuron=True)
    got += run_many(LIF + "LIFReset", [{**p, "reset_interval": 6, "reset_offset": 2} for p in kinds], x, neuron=True)

    def decayed(state: np.ndarray, factor: int) -> np.ndarray:
        return np.trunc(state * factor / 4096).astype(np.int64)

    for index, out in enumerate(got):
        p = kinds[index % 3]
        u = v = np.zeros(150, dtype=np.int64)
        for t, a in enumerate(np.concatenate([x, np.zeros((EXTRA_STEPS, 150), dtype=np.int64)]), start=1):
            if index >= 3 and t % 6 == 2:
                u, v = u * 0, v * 0
            u = decayed(u, 4095 - p["du"]) + a * 64
            u = np.where(u > m, u - 2 * m, np.where(u <= -m, u + 2 * m, u))
            v = np.clip(decayed(v, 4096 - p["dv"]) + u + (p["bias_mant"] << p["bias_exp"]), 1 - m, m - 1)
            np.testing.assert_array_equal(out[t - 1], v > p["vth"] * 64)
            v = np.where(v > p["vth"] * 64, 0, v)


@settings(max_examples=2, deadline=None, derandomize=True)
@given(seed=SEEDS)
def test_dense_and_sparse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(-1000, 1000, size=(6, 9))
    variants, dense, sparse = [], [], []
    for mode in ("MIXED", "EXCITATORY", "INHIBITORY"):
        bits, exponent, message = int(rng.integers(1, 9)), int(rng.integers(-8, 8)), int(rng.choice([0, 24]))
        w = rng.integers(-300, 300, size=(5, 9)) * (rng.random((5, 9)) < 0.5)
        w = {"MIXED": w, "EXCITATORY": abs(w), "INHIBITORY": -abs(w)}[mode]
        common = {"num_weight_bits": bits, "weight_exp": exponent, "sign_mode": mode, "num_message_bits": message}
        variants.append((mode, bits, exponent, message, w))
        dense.append({**common, "weights": w})
        sparse.append({**common, **csr_arguments("weights", csr_matrix(w))})
    got = zip(run_many(DENSE + "Dense", dense, x), run_many(SPARSE + "Sparse", sparse, x), strict=True)
    for (mode, bits, exponent, message, w), outputs in zip(variants, got, strict=True):
        message_values = x if message else (x != 0).astype(np.int64)
        want = later(scaled(message_values @ synaptic_weights(w, mode, bits).T, exponent))
        for out in outputs:
            np.testing.assert_array_equal(out, want, err_msg=f"{mode} {bits} {exponent} {message}")


def conv_model(x: np.ndarray, w: np.ndarray, stride: Any, padding: Any, dilation: Any, groups: int) -> np.ndarray:
    """(T, W', H', C') true convolution of x (T, W, H, C) with w (C', kw, kh, C / groups), wrapped at 24 bits."""
    w = w[:, ::-1, ::-1]
    x = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)))
    size = [(x.shape[1 + i] - dilation[i] * (w.shape[1 + i] - 1) - 1) // stride[i] + 1 for i in (0, 1)]
    out = np.zeros((len(x), *size, w.shape[0]), dtype=np.int64)
    per_group = w.shape[0] // groups
    for o in range(w.shape[0]):
        channels = slice(o // per_group * w.shape[3], (o // per_group + 1) * w.shape[3])
        for i, j in np.ndindex(*w.shape[1:3]):
            at_i, at_j = i * dilation[0], j * dilation[1]
            window = x[:, at_i:at_i + stride[0] * (size[0] - 1) + 1:stride[0],
                       at_j:at_j + stride[1] * (size[1] - 1) + 1:stride[1], channels]
            out[..., o] += window @ w[o, i, j]
    return (out + 2**23) % 2**24 - 2**23


@settings(max_examples=2, deadline=None, derandomize=True)
@given(seed=SEEDS)
def test_conv(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(-(2**17), 2**17, size=(3, 7, 6, 4))
    variants: list[dict[str, Any]] = [
        {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 1, "num_message_bits": 24},
        {"stride": (1, 3), "padding": (0, 2), "dilation": (2, 1), "groups": 2, "num_message_bits": 24},
        {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 4, "num_message_bits": 0}]
    for p in variants:
        p |= {"weight": rng.integers(-128, 128, size=(4, 3, 2, 4 // p["groups"])), "input_shape": x.shape[1:]}
    for p, out in zip(variants, run_many(CONV, variants, x), strict=True):
        values = x if p["num_message_bits"] else (x != 0).astype(np.int64)
        want = conv_model(values, p["weight"], p["stride"], p["padding"], p["dilation"], p["groups"])
        np.testing.assert_array_equal(out, later(want))


def delayed_model(x: np.ndarray, w: np.ndarray, delays: np.ndarray, exponent: int) -> np.ndarray:
    """(T + 3, out): every delay's share of the sum is scaled by itself, and arrives 1 + delay steps later."""
    return sum((later(scaled(x @ np.where(delays == delay, w, 0).T, exponent), 1 + delay)
                for delay in np.unique(delays)), np.zeros((len(x) + EXTRA_STEPS, len(w)), dtype=np.int64))


@pytest.mark.parametrize("exponent", [0, -3, 2])
def test_delays(exponent: int) -> None:
    """Delays 0 to 63 of DelayDense and DelaySparse: the sum arrives 1 + delay steps later."""
    rng = np.random.default_rng(abs(exponent))
    x = rng.integers(-50, 50, size=(70, 8))
    w = rng.integers(-60, 60, size=(8, 8)) * 2
    delays = np.arange(64).reshape(8, 8)
    common = {"weight_exp": exponent, "sign_mode": "MIXED", "num_message_bits": 8}
    want = delayed_model(x, w, delays, exponent)
    dense, = run_many(DENSE + "DelayDense", [{**common, "weights": w, "delays": delays}], x)
    np.testing.assert_array_equal(dense, want)
    sparse_arguments = {**common, **csr_arguments("weights", csr_matrix(w)),
                        **csr_arguments("delays", csr_matrix(delays))}
    sparse, = run_many(SPARSE + "DelaySparse", [sparse_arguments], x)
    np.testing.assert_array_equal(sparse, want)


def test_inputs_end_in_zeros_and_keep_32_bits() -> None:
    """A source neither repeats its data nor narrows them; two samples do not see each other."""
    x = np.array([[[2**31 - 1, -(2**31)]], [[1, -1]]])
    network = LavaNetwork(processes=(LavaProcess(name="in", kind="input", args={"shape": (2,)}),), connections=(),
                          taps=(LavaTap(key="y", process="in", port="s_out"),))
    got = run_network(network, {"in": x}, 3, timeout=60)["y"]
    np.testing.assert_array_equal(got, np.concatenate([x, np.zeros((2, 2, 2), dtype=np.int64)], axis=1))


def test_groups_without_a_connection_reshaped_ports_and_many_probes() -> None:
    """Groups run one by one; an out port is reshaped in C order; Vars of two dimensions are probed side by side."""
    rng = np.random.default_rng(3)
    x, w = rng.integers(0, 2, size=(1, 5, 2, 3)), rng.integers(-50, 50, size=(6, 6)) * 2
    lif = {"vth": 20, "du": 4095, "dv": 0}
    network = LavaNetwork(
        processes=(LavaProcess(name="in", kind="input", args={"shape": (2, 3)}),
                   LavaProcess(name="w", kind=DENSE + "Dense", args={"weights": w, "sign_mode": "MIXED"}),
                   LavaProcess(name="n", kind=LIF + "LIF", args={"shape": (3, 2), **lif}),
                   LavaProcess(name="alone", kind="loihic.Neuron", args={"shape": (2,), "vbias_mant": 1, **lif})),
        connections=(LavaConnection(src="in", src_port="s_out", dst="w", dst_port="s_in", shape=(6,)),
                     LavaConnection(src="w", src_port="a_out", dst="n", dst_port="a_in", shape=(3, 2))),
        taps=(LavaTap(key="a", process="w", port="a_out"), LavaTap(key="alone/s", process="alone", port="s_out")),
        probes=(LavaProbe(key="u", process="n", var="u"), LavaProbe(key="v", process="n", var="v"),
                LavaProbe(key="alone/v", process="alone", var="v"), LavaProbe(key="buffer", process="w", var="a_buff")),
    )
    got = run_network(network, {"in": x}, 8, timeout=60)
    want = later((x[0].reshape(5, 6) @ w.T)[:5])
    np.testing.assert_array_equal(got["a"][0], want)
    np.testing.assert_array_equal(got["buffer"][0, :-1], want[1:])
    np.testing.assert_array_equal(got["u"][0], want.reshape(8, 3, 2) * 64)
    assert got["v"].shape == (1, 8, 3, 2)
    assert not np.array_equal(got["v"], got["u"])
    np.testing.assert_array_equal(got["alone/v"][0, :, 0], np.arange(1, 9))
