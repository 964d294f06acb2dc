"""Quantised models for the tests of the PyTorch reader: PT2E with two quantisers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from torch_support import answers, torch

from loihic.ir.graph import SourceGraph
from loihic.ops.quantiser import Quantiser

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("torchao")
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e, prepare_qat_pt2e
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )
    from torchao.testing.pt2e._xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config

STYLES = ("xnnpack", "xnnpack-channel", "x86", "xnnpack-channel-qat", "x86-qat")


def quantised(model: Any, example: tuple[Any, ...], style: str, *, dynamic: bool = True, fold: bool = True,
              reference: bool = False) -> Any:
    """The program of a model quantised by PT2E after calibration on random inputs."""
    qat = style.endswith("qat")
    shapes = tuple({0: torch.export.Dim("batch")} for _ in example) if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if style.startswith("x86"):
            quantiser = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config(is_qat=qat))
        else:
            quantiser = XNNPACKQuantizer().set_global(
                get_symmetric_quantization_config(is_per_channel="channel" in style, is_qat=qat))
        captured = torch.export.export(model, example, dynamic_shapes=shapes).module()
        prepared = (prepare_qat_pt2e if qat else prepare_pt2e)(captured, quantiser)
        for _ in range(8):
            prepared(*(torch.randn(4 if dynamic else x.shape[0], *x.shape[1:]) for x in example))
        ready = convert_pt2e(prepared, fold_quantize=fold, use_reference_representation=reference)
        return torch.export.export(ready, example, dynamic_shapes=shapes)


def differences(program: Any, graph: SourceGraph, *shape: int, samples: int = 100) -> tuple[int, int]:
    """How many outputs differ from torch's by a level of the last grid, and how many there are.

    Everything else must be equal up to the rounding of float32, and no output may differ by two levels.
    """
    x = torch.randn(samples, *shape)
    with torch.no_grad():
        theirs = program.module()(x).numpy()
    (ours,) = answers(graph, x)
    step = max(float(np.max(node.scale)) for node in graph.nodes.values() if isinstance(node, Quantiser))
    error = np.abs(ours.reshape(theirs.shape) - theirs)
    far = error > 1e-4 * max(1.0, float(np.abs(theirs).max()))
    assert np.all(error < 2.5 * step)
    return int(far.sum()), far.size
