"""Eight bits in PyTorch: quantisation-aware training by torchao's PT2E with its XNNPACK quantiser, and the files of it.

Weights are int8 with a scale per output channel, activations int8 with a zero point, biases real numbers.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_qat_pt2e
from torchao.testing.pt2e._xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config

BATCH = ({0: Dim("batch")},)
# What exporters write down of where a node came from: paths of this machine, and numbers that change with every run.
ORIGINS = ("stack_trace", "from_node", "torch_fn", "nn_module_stack")


def simulated(model: nn.Module, example: Tensor) -> Any:
    """The model with every rounding of the integers in its forward pass, to be trained a little more.

    Args:
        model: as trained in floating point.
        example: a batch of at least two inputs.
    """
    quantiser = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True, is_qat=True))
    return prepare_qat_pt2e(export(model, (example,), dynamic_shapes=BATCH).module(), quantiser)


def quantised(model: Any, example: Tensor) -> ExportedProgram:
    """The program of what `simulated` gave, with integer weights, once it is trained."""
    program = export(convert_pt2e(model), (example.clone(),), dynamic_shapes=BATCH)  # a view brings all of its base
    for node in program.graph.nodes:
        for key in ORIGINS:
            node.meta.pop(key, None)
    return program


def answers(program: ExportedProgram, x: Tensor) -> Tensor:
    """What torch itself computes with a quantised program."""
    with torch.no_grad():
        outputs: Tensor = program.module()(x)
    return outputs


def write(program: ExportedProgram, path: Path) -> None:
    """Write a program as .pt2, or as .onnx with QuantizeLinear and DequantizeLinear."""
    if path.suffix == ".pt2":
        torch.export.save(program, path)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported: Any = torch.onnx.export(
            program, input_names=["input"], output_names=["output"], dynamo=True, verbose=False)
    for node in exported.model.graph:
        node.metadata_props.clear()
    exported.save(path)
