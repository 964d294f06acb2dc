"""Random NIR graphs for property tests: every primitive, per-neuron parameters, branches, recurrence, nesting.

Hypothesis draws the structure (so that a failing graph shrinks) and a seed for the numbers in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import nir
import numpy as np
from hypothesis import strategies as st

Shape = tuple[int, ...]

NEURONS = ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF", "Threshold")
SPIKING = ("IF", "LIF", "CubaLIF", "Threshold")
STATEFUL_SPIKING = ("IF", "LIF", "CubaLIF")
EXTREMES = ("none", "none", "none", "zero weights", "no spikes")


@dataclass
class RandomNet:
    """A graph, the edges in it that carry the previous step's value, and what to compile it with.

    `late` is how a reader of NIR's one-step recurrence sees the graph; it is known here because the graph was built,
    and lets an independent simulator run it without searching for loops.
    """

    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    late: set[tuple[str, str]] = field(default_factory=set)
    inputs: dict[str, Shape] = field(default_factory=dict)
    dt: float = 1.0
    seed: int = 0

    @property
    def graph(self) -> nir.NIRGraph:
        """The graph as users hand it over."""
        return nir.NIRGraph(nodes=self.nodes, edges=self.edges, type_check=False)

    def spikes(self, steps: int, *, samples: int = 1, density: float = 0.4) -> dict[str, np.ndarray]:
        """Seeded binary inputs (samples, steps, *shape) by input node."""
        rng = np.random.default_rng(self.seed + 1)
        return {name: (rng.random((samples, steps, *shape)) < density).astype(float)
                for name, shape in self.inputs.items()}

    def __repr__(self) -> str:
        kinds = {name: type(node).__name__ for name, node in self.nodes.items()}
        return f"RandomNet(seed={self.seed}, dt={self.dt}, nodes={kinds}, edges={self.edges})"


class Builder:
    """Adds nodes to a RandomNet and knows the shape that leaves each."""

    def __init__(self, seed: int, dt: float = 1.0, extreme: str = "none") -> None:
        self.net = RandomNet(dt=dt, seed=seed)
        self.rng = np.random.default_rng(seed)
        self.extreme = extreme

    def add(self, node: Any, *sources: str, name: str = "") -> str:
        """Put a node behind `sources`; returns its name."""
        name = name or f"n{len(self.net.nodes)}"
        self.net.nodes[name] = node
        self.net.edges += [(source, name) for source in sources]
        return name

    def input(self, shape: Shape) -> str:
        """An Input node."""
        name = self.add(nir.Input({"input": np.array(shape)}), name=f"in{len(self.net.inputs)}")
        self.net.inputs[name] = shape
        return name

    def output(self, source: str, shape: Shape) -> str:
        """An Output node behind `source`."""
        count = sum(isinstance(node, nir.Output) for node in self.net.nodes.values())
        return self.add(nir.Output({"output": np.array(shape)}), source, name=f"out{count}")

    def numbers(self, *shape: int, spread: float = 1.0) -> np.ndarray:
        """Normal numbers, or zeros where the graph is to have no weights."""
        return np.zeros(shape) if self.extreme == "zero weights" else self.rng.normal(0.1, spread, shape)

    def linear(self, source: str, shape: Shape, out: int, kind: str) -> tuple[str, Shape]:
        """Linear or Affine on a vector."""
        weight = self.numbers(out, *shape)
        node = nir.Linear(weight) if kind == "Linear" else nir.Affine(weight, self.numbers(out, spread=0.2))
        return self.add(node, source), (out,)

    def scale(self, source: str, shape: Shape) -> tuple[str, Shape]:
        """Scale, one number an element."""
        return self.add(nir.Scale(self.rng.uniform(-2, 2, shape)), source), shape

    def conv2d(self, source: str, shape: Shape, padding: str, groups: int) -> tuple[str, Shape]:
        """Conv2d with a kernel that need not be square, stride, dilation and padding."""
        rng, (channels, height, width) = self.rng, shape
        groups = groups if channels % groups == 0 else 1
        out = groups * int(rng.integers(1, 3))
        kernel = (int(rng.integers(1, min(3, height) + 1)), int(rng.integers(1, min(5, width) + 1)))
        stride = (int(rng.integers(1, 3)), int(rng.integers(1, 3)))
        dilation = tuple(2 if 2 * (k - 1) + 1 <= n and rng.random() < 0.3 else 1
                         for k, n in zip(kernel, shape[1:], strict=True))
        pads: Any = padding
        if padding == "numbers":
            pads = (int(rng.integers(0, 3)), int(rng.integers(0, 3)))
        size = tuple(conv_size(n, k, s, d, p if isinstance(p := (pads if isinstance(pads, str) else pads[axis]), str)
                               else int(p)) for axis, (n, k, s, d) in
                     enumerate(zip(shape[1:], kernel, stride, dilation, strict=True)))
        node = nir.Conv2d((height, width), self.numbers(out, channels // groups, *kernel, spread=0.5), stride, pads,
                          dilation, groups, self.numbers(out, spread=0.2))
        return self.add(node, source), (out, *size)

    def conv1d(self, source: str, shape: Shape, padding: str, groups: int) -> tuple[str, Shape]:
        """Conv1d."""
        rng, (channels, length) = self.rng, shape
        groups = groups if channels % groups == 0 else 1
        out = groups * int(rng.integers(1, 3))
        kernel, stride = int(rng.integers(1, min(4, length) + 1)), int(rng.integers(1, 3))
        pads: Any = int(rng.integers(0, 3)) if padding == "numbers" else padding
        node = nir.Conv1d(length, self.numbers(out, channels // groups, kernel, spread=0.5), stride, pads, 1, groups,
                          self.numbers(out, spread=0.2))
        return self.add(node, source), (out, conv_size(length, kernel, stride, 1, pads))

    def pool(self, source: str, shape: Shape, kind: str) -> tuple[str, Shape]:
        """SumPool2d or AvgPool2d, windows that may overlap or leave gaps."""
        kernel = tuple(int(self.rng.integers(1, min(3, n) + 1)) for n in shape[1:])
        stride = tuple(int(self.rng.integers(1, 3)) for _ in kernel)
        padding = tuple(int(self.rng.integers(0, k // 2 + 1)) for k in kernel)
        node = getattr(nir, kind)(np.array(kernel), np.array(stride), np.array(padding))
        size = tuple(conv_size(n, k, s, 1, p) for n, k, s, p in zip(shape[1:], kernel, stride, padding, strict=True))
        return self.add(node, source), (shape[0], *size)

    def flatten(self, source: str, shape: Shape) -> tuple[str, Shape]:
        """Flatten of everything."""
        return self.add(nir.Flatten({"input": np.array(shape)}, 0, -1), source), (prod(shape),)

    def delay(self, source: str, shape: Shape, *, uneven: bool) -> tuple[str, Shape]:
        """Delay of 0 to 3 steps, alike or one length an element."""
        steps = self.rng.integers(0, 4, shape) if uneven else np.full((1,), self.rng.integers(0, 4))
        return self.add(nir.Delay(steps * self.net.dt), source), shape

    def neuron_node(self, kind: str, shape: Shape) -> Any:
        """A neuron with parameters of its own for each member of the population."""
        rng, dt = self.rng, self.net.dt
        tau = {name: dt * rng.uniform(1.3, 20.0, shape) for name in ("tau", "tau_syn", "tau_mem")}
        r, leak = rng.uniform(0.5, 2.0, shape), rng.normal(0.0, 0.2, shape)
        v_reset = rng.normal(0.0, 0.2, shape)
        high = 1e6 if self.extreme == "no spikes" else 1.0
        fire = {"v_threshold": np.maximum(v_reset, 0) + high * rng.uniform(0.1, 1.0, shape), "v_reset": v_reset}
        w_in = rng.uniform(0.5, 2.0, shape) * rng.choice([-1, 1, 1], shape)
        made = {
            "I": lambda: nir.I(r=0.2 * r / dt),
            "IF": lambda: nir.IF(r=r / dt, **fire),
            "LI": lambda: nir.LI(tau=tau["tau"], r=r, v_leak=leak),
            "LIF": lambda: nir.LIF(tau=tau["tau"], r=3 * r, v_leak=leak, **fire),
            "CubaLI": lambda: nir.CubaLI(tau_syn=tau["tau_syn"], tau_mem=tau["tau_mem"], r=r, v_leak=leak, w_in=w_in),
            "CubaLIF": lambda: nir.CubaLIF(
                tau_syn=tau["tau_syn"], tau_mem=tau["tau_mem"], r=6 * r, v_leak=leak, w_in=w_in, **fire),
            "Threshold": lambda: nir.Threshold(fire["v_threshold"]),
        }
        return made[kind]()

    def neuron(self, source: str, shape: Shape, kind: str) -> str:
        """A neuron behind `source`."""
        return self.add(self.neuron_node(kind, shape), source)

    def recur(self, source: str, shape: Shape, kind: str, loop: str) -> str:
        """A population that hears itself: directly, through an Affine, or an Affine and a Delay that is exact."""
        name = self.neuron(source, shape, kind)
        if loop == "direct":
            self.net.edges.append((name, name))
            self.net.late.add((name, name))
            return name
        flat = prod(shape)
        back = self.add(nir.Affine(self.numbers(flat, flat, spread=0.5), self.numbers(flat, spread=0.1)), name)
        if loop == "delay":  # the Delay is the past: no other step is added
            back = self.add(nir.Delay(np.full(flat, 2 * self.net.dt)), back)
            self.net.nodes[self.net.edges[-1][0]] = nir.Linear(self.numbers(flat, flat, spread=0.5))
        else:
            self.net.late.add((name, back))
        self.net.edges.append((back, name))
        return name

    def nested(self, source: str, shape: Shape, kind: str) -> str:
        """A recurrent population in a graph of its own, as snnTorch and Norse export them."""
        flat = prod(shape)
        inner = {
            "input": nir.Input({"input": np.array(shape)}), "output": nir.Output({"output": np.array(shape)}),
            "lif": self.neuron_node(kind, shape), "w_rec": nir.Linear(self.numbers(flat, flat, spread=0.5))}
        edges = [("input", "lif"), ("lif", "output"), ("lif", "w_rec"), ("w_rec", "lif")]
        name = self.add(nir.NIRGraph(nodes=inner, edges=edges, type_check=False), source)
        self.net.late.add((f"{name}.lif", f"{name}.w_rec"))
        return name


def conv_size(size: int, kernel: int, stride: int, dilation: int, padding: int | str) -> int:
    """Outputs along one dimension."""
    if padding == "same":
        return -(-size // stride)
    pad = 0 if padding == "valid" else int(padding)
    return (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1


PADDINGS = ("numbers", "same", "valid")


@st.composite
def blocks(draw: st.DrawFn, build: Builder, source: str, shape: Shape, kinds: tuple[str, ...] = NEURONS, *,
           recurrent: bool = True) -> tuple[str, Shape]:
    """Linear things that fit the shape, then a neuron: what networks are made of."""
    for _ in range(draw(st.integers(1, 2), label="linear nodes")):
        choices = ["Scale", "Delay"]
        choices += {1: ["Linear", "Affine", "Linear", "Affine"], 2: ["Conv1d", "Flatten"],
                    3: ["Conv2d", "Conv2d", "SumPool2d", "AvgPool2d", "Flatten"]}[len(shape)]
        kind = draw(st.sampled_from(choices))
        if kind in ("Linear", "Affine"):
            source, shape = build.linear(source, shape, draw(st.integers(1, 6)), kind)
        elif kind == "Scale":
            source, shape = build.scale(source, shape)
        elif kind == "Delay":
            source, shape = build.delay(source, shape, uneven=draw(st.booleans()))
        elif kind in ("Conv1d", "Conv2d"):
            place = build.conv1d if kind == "Conv1d" else build.conv2d
            source, shape = place(source, shape, draw(st.sampled_from(PADDINGS)), draw(st.sampled_from([1, 2])))
        elif kind == "Flatten":
            source, shape = build.flatten(source, shape)
        else:
            source, shape = build.pool(source, shape, kind)
    kind = draw(st.sampled_from(kinds))
    loop = draw(st.sampled_from(["no", "no", "direct", "affine", "delay", "nested"])) if recurrent else "no"
    if loop == "no" or len(shape) > 1 or kind not in STATEFUL_SPIKING:
        return build.neuron(source, shape, kind), shape
    if loop == "nested":
        return build.nested(source, shape, kind), shape
    return build.recur(source, shape, kind, loop), shape


SHAPES = st.one_of(
    st.tuples(st.integers(1, 6)),
    st.tuples(st.integers(1, 2), st.integers(3, 6)),
    st.tuples(st.integers(1, 2), st.integers(3, 7), st.integers(3, 7)),
)


@st.composite
def networks(draw: st.DrawFn, kinds: tuple[str, ...] = NEURONS, *, recurrent: bool = True) -> RandomNet:
    """A whole network: a stem, then either a chain or branches of unequal depth that merge, one or two ports a side."""
    build = Builder(draw(st.integers(0, 2**32 - 1), label="seed"), draw(st.sampled_from([1.0, 1e-3])),
                    draw(st.sampled_from(EXTREMES)))
    shape = draw(SHAPES, label="input shape")
    source = build.input(shape)
    for _ in range(draw(st.integers(1, 2), label="stem")):
        source, shape = draw(blocks(build, source, shape, kinds, recurrent=recurrent))
    form = draw(st.sampled_from(["chain", "branches", "two inputs", "two outputs"]))
    if form in ("branches", "two inputs"):
        if len(shape) > 1:
            source, shape = build.flatten(source, shape)
        ends, stems = [], [(source, shape)]
        if form == "two inputs":
            other = (draw(st.integers(1, 4)),)
            stems.append((build.input(other), other))
        for branch in range(2):
            end, size = stems[branch % len(stems)]
            for _ in range(draw(st.integers(0, 2), label=f"depth of branch {branch}")):
                end, size = draw(blocks(build, end, size, kinds, recurrent=recurrent))
            ends.append(build.linear(end, size, 3, "Linear")[0])
        shape = (3,)
        source = build.add(build.neuron_node(draw(st.sampled_from(kinds)), shape), *ends)
    build.output(source, shape)
    if form == "two outputs":
        source, shape = draw(blocks(build, source, shape, kinds, recurrent=recurrent))
        build.output(source, shape)
    return build.net
