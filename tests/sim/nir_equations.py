"""NIR's equations in plain numpy, node by node: an independent simulator that shares no code with loihic.

Order within a step: inputs, then nodes from front to back; a neuron computes its current, its voltage with the new
current, its spike, its reset. Edges known to be late carry the value of the step before.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np


def flattened(net: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Nodes and edges with nested graphs inlined (each has one Input and one Output named so)."""
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    inner = {name for name, node in net.nodes.items() if isinstance(node, nir.NIRGraph)}
    for name, node in net.nodes.items():
        if name not in inner:
            nodes[name] = node
            continue
        nodes |= {f"{name}.{key}": below for key, below in node.nodes.items()}
        edges += [(f"{name}.{a}", f"{name}.{b}") for a, b in node.edges]
    for a, b in net.edges:
        edges.append((f"{a}.output" if a in inner else a, f"{b}.input" if b in inner else b))
    return nodes, edges


def simulate_nir(net: Any, inputs: dict[str, np.ndarray], *, reset: str = "zero",
                 exponential: bool = False) -> dict[str, np.ndarray]:
    """What every node sends in every step, (T, *shape) by name; `inputs` are (T, *shape) by Input node."""
    nodes, edges = flattened(net)
    waiting = {name: set() if name in _long_delays(nodes) else
               {a for a, b in edges if b == name and (a, b) not in net.late} for name in nodes}
    order: list[str] = []
    while len(order) < len(nodes):
        free = [name for name in nodes if name not in order and waiting[name] <= set(order)]
        assert free, "a loop that is not late"
        order += free[:1]
    steps = next(iter(inputs.values())).shape[0]
    sent: dict[str, list[np.ndarray]] = {name: [] for name in nodes}
    lines: dict[str, list[np.ndarray]] = {name: [] for name in nodes}
    states: dict[str, dict[str, Any]] = {name: {} for name in nodes}
    shapes = _shapes(nodes, edges, {name: x.shape[1:] for name, x in inputs.items()})
    for t in range(steps):
        for name in order:
            node = nodes[name]
            if name in inputs:
                sent[name].append(np.asarray(inputs[name][t], dtype=float))
                continue
            if isinstance(node, nir.Delay):
                sent[name].append(_delayed(node, lines[name], sent, edges, name, t, net.dt, shapes[name]))
                continue
            x = np.zeros(())
            for a, b in edges:
                if b == name:
                    past = t - ((a, b) in net.late)
                    x = x + (sent[a][past] if past >= 0 else np.zeros(shapes[a]))
            sent[name].append(_step(node, states[name], x, net.dt, reset, exponential))
    return {name: np.stack(values) for name, values in sent.items()}


def _long_delays(nodes: dict[str, Any]) -> set[str]:
    """Delays that are at least a step long everywhere: they need no value of the step that is being computed."""
    return {name for name, node in nodes.items() if isinstance(node, nir.Delay) and np.min(node.delay) > 0}


def _shapes(nodes: dict[str, Any], edges: list[tuple[str, str]], known: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    shapes = dict(known)
    while len(shapes) < len(nodes):
        before = len(shapes)
        for a, b in edges:
            if a in shapes and b not in shapes:
                node = nodes[b]
                keeps = isinstance(node, nir.Delay | nir.Input | nir.Output | nir.Scale) or _is_neuron(node)
                shapes[b] = shapes[a] if keeps else linear(node, np.zeros(shapes[a])).shape
        assert len(shapes) > before
    return shapes


def _delayed(node: nir.Delay, line: list[np.ndarray], sent: dict[str, list[np.ndarray]], edges: list[tuple[str, str]],
             name: str, t: int, dt: float, shape: tuple[int, ...]) -> np.ndarray:
    """y(t) = x(t - delay), element by element."""
    steps = np.broadcast_to(np.rint(node.delay / dt).astype(int).reshape(-1)[0] if np.size(node.delay) == 1
                            else np.rint(node.delay / dt).astype(int), shape)
    out = np.zeros(shape)
    for index in np.ndindex(*shape):
        past = t - steps[index]
        if past >= 0:
            out[index] = sum(sent[a][past][index] for a, b in edges if b == name)
    return out


def _is_neuron(node: Any) -> bool:
    return isinstance(node, nir.I | nir.IF | nir.LI | nir.LIF | nir.CubaLI | nir.CubaLIF | nir.Threshold)


def _step(node: Any, state: dict[str, Any], x: np.ndarray, dt: float, reset: str, exponential: bool) -> np.ndarray:
    if isinstance(node, nir.Input | nir.Output):
        return x
    if isinstance(node, nir.Threshold):
        return (x > node.threshold).astype(float)
    if not _is_neuron(node):
        return linear(node, x)

    def rate(tau: np.ndarray) -> np.ndarray:
        return 1 - np.exp(-dt / tau) if exponential else dt / tau

    v = state.get("v", getattr(node, "v_leak", np.zeros(x.shape)))
    if isinstance(node, nir.I | nir.IF):
        v = v + dt * node.r * x
    elif isinstance(node, nir.LI | nir.LIF):
        v = v + rate(node.tau) * ((node.v_leak - v) + node.r * x)
    else:
        i = state.get("i", np.zeros(x.shape))
        i = i + rate(node.tau_syn) * (node.w_in * x - i)
        v = v + rate(node.tau_mem) * ((node.v_leak - v) + node.r * i)
        state["i"] = i
    if isinstance(node, nir.I | nir.LI | nir.CubaLI):
        state["v"] = v
        return v
    spikes = v > node.v_threshold
    state["v"] = np.where(spikes, node.v_reset if reset == "zero" else v - (node.v_threshold - node.v_reset), v)
    return spikes.astype(float)


def linear(node: Any, x: np.ndarray) -> np.ndarray:
    """The linear primitives, by loops."""
    if isinstance(node, nir.Affine):
        return node.weight @ x + node.bias
    if isinstance(node, nir.Linear):
        return node.weight @ x
    if isinstance(node, nir.Scale):
        return node.scale * x
    if isinstance(node, nir.Flatten):
        return x.reshape(-1)
    if isinstance(node, nir.Conv2d):
        summed = correlate(x, node.weight, node.stride, node.padding, node.dilation, node.groups)
        return summed + node.bias[:, None, None]
    if isinstance(node, nir.Conv1d):
        padding = node.padding if isinstance(node.padding, str) else (0, int(node.padding))
        flat = correlate(x[:, None], node.weight[:, :, None], (1, int(node.stride)), padding,
                         (1, int(node.dilation)), node.groups)
        return flat[:, 0] + node.bias[:, None]
    if isinstance(node, nir.SumPool2d | nir.AvgPool2d):
        kernel = np.ones((x.shape[0], 1, *node.kernel_size))
        out = correlate(x, kernel, node.stride, node.padding, (1, 1), x.shape[0])
        return out / np.prod(node.kernel_size) if isinstance(node, nir.AvgPool2d) else out
    raise TypeError(type(node).__name__)


def correlate(x: np.ndarray, kernel: np.ndarray, stride: Any, padding: Any, dilation: Any, groups: int) -> np.ndarray:
    """Cross-correlation of (C, H, W) by direct loops; 'same' has ceil(size / stride) outputs, odd zeros at the end."""
    stride, dilation = (tuple(int(v) for v in np.broadcast_to(value, 2)) for value in (stride, dilation))
    pads = []
    for axis in range(2):
        n, k = x.shape[1 + axis], kernel.shape[2 + axis]
        if isinstance(padding, str):
            outputs = -(-n // stride[axis])
            total = max((outputs - 1) * stride[axis] + dilation[axis] * (k - 1) + 1 - n, 0)
            pads.append((total // 2, total - total // 2) if padding == "same" else (0, 0))
        else:
            pads.append((int(np.broadcast_to(padding, 2)[axis]),) * 2)
    x = np.pad(x, ((0, 0), *pads))
    size = [(x.shape[1 + a] - dilation[a] * (kernel.shape[2 + a] - 1) - 1) // stride[a] + 1 for a in range(2)]
    out = np.zeros((kernel.shape[0], *size))
    per_in, per_out = kernel.shape[1], kernel.shape[0] // groups
    for o, row, col, i, ky, kx in np.ndindex(*out.shape, *kernel.shape[1:]):
        channel = (o // per_out) * per_in + i
        out[o, row, col] += kernel[o, i, ky, kx] * x[
            channel, row * stride[0] + ky * dilation[0], col * stride[1] + kx * dilation[1]]
    return out
