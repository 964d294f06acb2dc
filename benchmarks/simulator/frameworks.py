"""The integers against the float networks in the frameworks that they come from: time per step, in one run.

Usage: python frameworks.py [--steps N]        (needs torch, norse, snntorch, spikingjelly: make measure-simulator)

cnn_sinabs runs in SpikingJelly, the Braille network in snnTorch and in Norse, each in float32, without gradients, as
their users write it: step by step, layers as the framework has them. Time is per step and sample, the least of some
runs, for one sample and for a batch; torch and loihic use as many threads as there are cores.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from networks import SHARED, Case, cases
from norse.torch.functional import lif_box
from snntorch import Synaptic
from speed import best
from spikingjelly.activation_based import functional, neuron

from loihic.api import read_model

DT = 1e-4
BATCHES = (1, 64)
REPEATS = 3


def tensor(values: Any) -> torch.Tensor:
    """In float32."""
    return torch.from_numpy(np.array(values, dtype=np.float32))


def nodes_of(name: str) -> Mapping[str, Any]:
    """The nodes of a file of the NIR paper."""
    return read_model(SHARED / "nir" / name)[0].nodes


def spikingjelly_cnn() -> Callable[[torch.Tensor], None]:
    """cnn_sinabs on spikes (T, N, 2, 34, 34)."""
    layers: list[torch.nn.Module] = []
    nodes = nodes_of("cnn_sinabs.nir")
    for node in (nodes[str(i)] for i in range(13)):
        if node.op == "Conv2d":
            layer: Any = torch.nn.Conv2d(*node.weight.shape[1::-1], node.weight.shape[2:], node.stride, node.padding)
        elif node.op == "Affine":
            layer = torch.nn.Linear(*node.weight.shape[::-1])
        elif node.op == "SumPool2d":
            layer = torch.nn.LPPool2d(1, node.kernel_size, node.stride)
        else:
            layer = torch.nn.Flatten() if node.op == "Flatten" else neuron.IFNode(float(node.v_threshold.flat[0]), 0.0)
        if node.op in ("Conv2d", "Affine"):
            layer.weight.data, layer.bias.data = tensor(node.weight), tensor(node.bias)
        layers.append(layer)
    model = torch.nn.Sequential(*layers)

    def run(x: torch.Tensor) -> None:
        functional.reset_net(model)
        for step in x:
            model(step)

    return run


Layer = Callable[[torch.Tensor], torch.Tensor]


def braille(make: Callable[[Any], Layer]) -> Callable[[torch.Tensor], None]:
    """The Braille network on spikes (T, N, 12); `make` gives a layer of neurons at rest."""
    nodes = nodes_of("braille_noDelay_bias_zero.nir")
    into, back, out = (tensor(nodes[name].weight) for name in ("fc1", "lif1.w_rec", "fc2"))

    def run(x: torch.Tensor) -> None:
        first, second = make(nodes["lif1.lif"]), make(nodes["lif2"])
        spikes = torch.zeros(x.shape[1], into.shape[0])
        for step in x:
            spikes = first(step @ into.T + spikes @ back.T)
            second(spikes @ out.T)

    return run


def snntorch_layer(node: Any) -> Layer:
    """Synaptic neurons; their gains are factors of what comes in."""
    gain = tensor(node.w_in * (DT / node.tau_syn) * node.r * (DT / node.tau_mem))
    layer = Synaptic(alpha=tensor(1 - DT / node.tau_syn), beta=tensor(1 - DT / node.tau_mem),
                     threshold=tensor(node.v_threshold), reset_mechanism="zero", reset_delay=False)
    state: list[torch.Tensor] = list(layer.init_synaptic()) if hasattr(layer, "init_synaptic") else []

    def run(x: torch.Tensor) -> torch.Tensor:
        sent, *state[:] = layer(gain * x, *state)
        return sent

    return run


def norse_layer(node: Any) -> Layer:
    """lif_box neurons behind a current."""
    params = lif_box.LIFBoxParameters(tau_mem_inv=tensor(1 / node.tau_mem), v_leak=tensor(node.v_leak),
                                      v_th=tensor(node.v_threshold), v_reset=tensor(node.v_reset))
    rate, w_in, r = tensor(DT / node.tau_syn), tensor(node.w_in), tensor(node.r)
    state: dict[str, Any] = {"i": 0.0, "v": lif_box.LIFBoxFeedForwardState(v=tensor(node.v_leak))}

    def run(x: torch.Tensor) -> torch.Tensor:
        state["i"] = state["i"] + rate * (w_in * x - state["i"])
        sent, state["v"] = lif_box.lif_box_feed_forward_step(r * state["i"], state["v"], params, dt=DT)
        return sent

    return run


def spent(run: Callable[[torch.Tensor], None], x: np.ndarray) -> float:
    """Microseconds per step and sample of spikes (N, T, ...), the least of some runs."""
    steps = tensor(x).transpose(0, 1).contiguous()
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        with torch.no_grad():
            run(steps)
        times.append(time.perf_counter() - begun)
    return min(times) / x.shape[0] / x.shape[1] * 1e6


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=256)
    steps = parser.parse_args().steps
    cnn, recurrent = cases(["cnn_sinabs", "braille"])
    rows: list[tuple[str, Case, Callable[[torch.Tensor], None]]] = [
        ("SpikingJelly", cnn, spikingjelly_cnn()), ("snnTorch", recurrent, braille(snntorch_layer)),
        ("Norse", recurrent, braille(norse_layer))]
    print("| network | samples | framework | us/step/sample | loihic us/step/sample | ratio |")
    print("|---|---|---|---|---|---|")
    for name, case, run in rows:
        for batch in BATCHES:
            x = case.spikes(batch, steps)
            theirs, ours = spent(run, x), best(case, x, os.cpu_count() or 1)
            print(f"| {case.name} | {batch} | {name} | {theirs:.1f} | {ours:.1f} | {theirs / ours:.0f} |")


if __name__ == "__main__":
    main()
