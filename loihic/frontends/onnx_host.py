"""What is left to the host: softmax and its like at the end of a network; and why other operators are not read."""

from __future__ import annotations

from collections.abc import Mapping

from loihic.errors import Diagnostic, Severity
from loihic.frontends.onnx_table import OnnxNode, operator_names
from loihic.frontends.raw import listed

_LEFT = frozenset({"Softmax", "LogSoftmax", "ArgMax", "TopK", "Hardmax"})
_PASSED = frozenset({"Identity", "Cast", "Flatten", "Squeeze", "Unsqueeze", "Reshape", "QuantizeLinear",
                     "DequantizeLinear", "Dropout", "Quant", "IntQuant"})
_MOST_PASSED = 8

_HELP: Mapping[str, str] = {
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax", "ArgMax", "TopK"),
                    "it is read at the end of a network only, where it is left to the host"),
    **dict.fromkeys(("HardSwish", "Gelu", "Mish", "Swish", "Erf"),
                    "the function falls before it rises, so that no thresholds stand for it; train with ReLU, "
                    "LeakyRelu or HardSigmoid"),
    **dict.fromkeys(("Elu", "Selu", "Celu", "Softplus", "Softsign", "ThresholdedRelu"),
                    "train with ReLU, LeakyRelu, Sigmoid, Tanh or HardSigmoid"),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), "recurrent ONNX layers are not read; export spiking or recurrent networks "
                    "by NIR"),
    **dict.fromkeys(("If", "Loop", "Scan"), "control flow is not read; export the network with fixed shapes, or "
                    "simplify it (onnxsim)"),
    **dict.fromkeys(("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"),
                    "scales that depend on the input cannot be compiled; quantise statically, with calibration data"),
    **dict.fromkeys(("LayerNormalization", "InstanceNormalization", "GroupNormalization", "RMSNormalization",
                     "LpNormalization", "LRN", "Attention", "MultiHeadAttention"),
                    "it divides or multiplies by what depends on the input; train with BatchNormalization, and without "
                    "attention"),
    **dict.fromkeys(("Resize", "Upsample", "ConvTranspose"), "enlarge by Tile, Expand or DepthToSpace instead"),
    **dict.fromkeys(("Abs", "Sqrt", "Exp", "Log", "Reciprocal", "Floor", "Ceil", "Round", "Sign", "Mod", "Where",
                     "Equal", "Greater", "Less", "Not", "And", "Or"), "it is read between constants only"),
}


def unsupported(nodes: list[OnnxNode], functions: frozenset[tuple[str, str]]) -> list[Diagnostic]:
    """One error per operator that is not read, with all its nodes."""
    grouped: dict[tuple[str, str], list[OnnxNode]] = {}
    for node in nodes:
        grouped.setdefault((node.domain, node.op), []).append(node)
    return [Diagnostic(
        code="LHC401" if op in _HELP and not domain else "LHC102",
        message=f"operator {f'{domain}.{op}' if domain else op!s} is not read",
        node=listed(one.label for one in group),
        help="the file defines it as a function: inline it with onnx.inliner.inline_local_functions"
             if (domain, op) in functions else _HELP.get(op, f"read are {', '.join(operator_names())}"),
    ) for (domain, op), group in grouped.items()]


def device_end(name: str, producers: Mapping[str, OnnxNode]) -> tuple[str, list[OnnxNode]]:
    """Where the chip's part of an output ends.

    Args:
        name: tensor that the file calls an output.
        producers: by the names of their outputs.

    Returns:
        The tensor that the chip gives, and the nodes left to the host, the last first; none if `name` is that tensor.
    """
    left: list[OnnxNode] = []
    passed: list[OnnxNode] = []
    end = name
    while (node := producers.get(name)) is not None and node.inputs and len(passed) <= _MOST_PASSED:
        if node in left:  # the graph runs in a circle
            break
        passed.append(node)
        if node.op in _LEFT and node.domain == "":
            left += passed
            passed = []
            end = node.inputs[0]
        elif node.op not in _PASSED:
            break
        name = node.inputs[0]
    return end, left


def left_to_host(output: str, nodes: list[OnnxNode]) -> Diagnostic:
    """The note about nodes at an output that are not computed on the chip."""
    names = [node.shown for node in reversed(nodes)]
    return Diagnostic(
        code="LHC109", message=f"output {output} is taken before {', '.join(names)}", node=listed(names),
        severity=Severity.NOTE, help="apply it to the output on the host; the largest output stays the largest")
