"""Allocation of bits in a network of 100 layers and 50 million weights: time and memory.

Usage: python large.py [--layers 100] [--size 707]

Every layer is a full matrix into a population of LIF neurons, weights drawn at random. Prints the seconds of each pass
and the process's peak memory; the time of this machine, which may be noisy, is for orientation.
"""

from __future__ import annotations

import argparse
import resource

import nir
import numpy as np

from loihic import Options, api
from loihic.passes.manager import CompileContext


def network(layers: int, size: int) -> nir.NIRGraph:
    """Alternating Linear (single precision, as exporters write it) and LIF."""
    rng, full = np.random.default_rng(0), np.ones(size)
    nodes: dict[str, object] = {"in": nir.Input({"input": np.array([size])})}
    edges, last = [], "in"
    for layer in range(layers):
        nodes[f"w{layer}"] = nir.Linear((2 / np.sqrt(size) * rng.normal(size=(size, size))).astype(np.float32))
        nodes[f"lif{layer}"] = nir.LIF(tau=4 * full, r=3 * full, v_leak=0 * full, v_threshold=full, v_reset=0 * full)
        edges += [(last, f"w{layer}"), (f"w{layer}", f"lif{layer}")]
        last = f"lif{layer}"
    nodes["out"] = nir.Output({"output": np.array([size])})
    return nir.NIRGraph(nodes=nodes, edges=[*edges, (last, "out")], type_check=False)


def main() -> None:
    """Compile it and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=100)
    parser.add_argument("--size", type=int, default=707)
    given = parser.parse_args()
    context = CompileContext(options=Options(dt=1.0, weight_bits="auto"))
    graph, provenance, _ = api.read_model(network(given.layers, given.size))
    api.compile_source(graph, provenance, context)
    for name, seconds in context.times.items():
        print(f"{name:<14} {seconds:7.1f} s")
    for diagnostic in context.diagnostics:
        if diagnostic.code == "LHC502":
            print(diagnostic.message)
    print(f"peak memory    {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:7.2f} GiB")


if __name__ == "__main__":
    main()
