"""One small network per NIR operator, compiled to see which Lava Processes the operator becomes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from loihic.api import lower_float
from loihic.frontends.build import build_source
from loihic.frontends.raw import RawGraph, RawNode
from loihic.ir.node import Shape
from loihic.ir.registry import source_ops
from loihic.ops.synapse import Synapse
from loihic.ops.traits import LinearNode
from loihic.options import Options
from loihic.passes.manager import CompileContext, run_passes
from loihic.passes.pipeline import integer_pipeline
from loihic.targets.lava.emit import emit, process_names

SIZE = 2
MAP = (1, 4, 4)
TAU = np.full(SIZE, 20.0)
_ONE, _ZERO = np.ones(SIZE), np.zeros(SIZE)
_SPIKING = {"v_threshold": _ONE, "v_reset": _ZERO}
_WEIGHT = np.array([[0.5, -1.0], [1.0, 0.25]])
_WINDOW = {"stride": np.array([1, 1]), "padding": np.array([0, 0])}
_KERNEL = np.linspace(-1.0, 1.0, 9)

# Per operator: the shape of its input, and its parameters.
SPECIMENS: Mapping[str, tuple[Shape, Mapping[str, Any]]] = {
    "Affine": ((SIZE,), {"weight": _WEIGHT, "bias": np.array([0.137, 0.223])}),
    "Linear": ((SIZE,), {"weight": _WEIGHT}),
    "Scale": ((SIZE,), {"scale": np.array([0.5, 2.0])}),
    "Conv1d": ((1, 8), {"input_shape": 8, "weight": _KERNEL[:3].reshape(1, 1, 3), "stride": 1, "padding": 0,
                        "dilation": 1, "groups": 1, "bias": np.zeros(1)}),
    "Conv2d": (MAP, {"input_shape": np.array(MAP[1:]), "weight": _KERNEL.reshape(1, 1, 3, 3), **_WINDOW,
                     "dilation": np.array([1, 1]), "groups": 1, "bias": np.zeros(1)}),
    "SumPool2d": (MAP, {"kernel_size": np.array([2, 2]), **_WINDOW}),
    "AvgPool2d": (MAP, {"kernel_size": np.array([2, 2]), **_WINDOW}),
    "Flatten": (MAP, {"start_dim": 0, "end_dim": -1, "input_type": np.array(MAP)}),
    "Threshold": ((SIZE,), {"threshold": 0.5 * _ONE}),
    "Delay": ((SIZE,), {"delay": np.array([2.0, 3.0])}),
    "I": ((SIZE,), {"r": _ONE}),
    "IF": ((SIZE,), {"r": _ONE, **_SPIKING}),
    "LI": ((SIZE,), {"tau": TAU, "r": _ONE, "v_leak": _ZERO}),
    "LIF": ((SIZE,), {"tau": TAU, "r": TAU, "v_leak": _ZERO, **_SPIKING}),
    "CubaLI": ((SIZE,), {"tau_syn": TAU, "tau_mem": TAU, "r": TAU, "v_leak": _ZERO, "w_in": TAU}),
    "CubaLIF": ((SIZE,), {"tau_syn": TAU, "tau_mem": TAU, "r": TAU, "v_leak": _ZERO, "w_in": TAU, **_SPIKING}),
    "Input": ((SIZE,), {}),
    "Output": ((SIZE,), {}),
}
PORTS = ("Input", "Output")


def specimen(op: str) -> RawGraph:
    """Input, the operator under the name ``node``, a population that spikes, Output; dt is 1."""
    shape, params = SPECIMENS[op]
    flat = {"r": np.ones(()), "v_threshold": np.ones(()), "v_reset": np.zeros(())}
    nodes = {"input": ("Input", {"shape": np.asarray(shape)}), "node": (op, params), "last": ("IF", flat),
             "output": ("Output", {"shape": np.asarray(())})}
    if op in PORTS:
        del nodes["node"]
    names = list(nodes)
    return RawGraph(
        nodes={name: RawNode(type=kind, params=values, metadata={}, origin=f"/nodes/{name}")
               for name, (kind, values) in nodes.items()},
        edges=tuple(pairwise(names)), metadata={"dt": 1.0}, name=op, digest="", version="")


def processes_of(op: str, options: Options) -> list[str] | None:
    """Kinds of the Lava Processes that an operator becomes or enters, ports as ``input`` and ``output``.

    The connection that leads into a population is not counted as part of it. None for an operator without a specimen.

    Raises:
        CompileError: the specimen does not compile.
    """
    if op not in SPECIMENS:
        return None
    context = CompileContext(options=options)
    fused = lower_float(build_source(specimen(op)), context, {})
    graph = run_passes(fused, integer_pipeline(context.options), context)
    kinds = {process.name: process.kind for process in emit(graph).processes}
    labels = process_names(graph)
    wanted = op.lower() if op in PORTS else "node"
    linear = issubclass(source_ops()[op], LinearNode)
    found = [kinds.get(labels.get(name, ""), "output") for name, node in graph.nodes.items()
             if wanted in node.origins and (linear or not isinstance(node, Synapse))]
    return sorted(dict.fromkeys(found))
