"""What PyTorch exports, against PyTorch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_support import graph_outputs

torch = pytest.importorskip("torch")
nn = torch.nn


class Network(nn.Module):  # type: ignore[misc]
    """The nodes that exporters make of usual layers, and of shapes computed on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8, stride=2), nn.PReLU(8))
        self.pool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)
        self.last = nn.Sequential(nn.Hardsigmoid(), nn.Linear(8, 5))

    def forward(self, x: Any) -> Any:
        x = self.second(self.first(x))
        x = self.pool(x + nn.functional.hardtanh(0.5 * x))
        x = torch.cat([x, -x], 1)[:, 2:10]
        flat = x.view(x.size(0), 8, -1).permute(0, 2, 1).reshape(x.size(0), -1)
        averages = nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.last(averages + x.mean((2, 3)) + flat[:, :8]).softmax(-1)


@pytest.mark.parametrize(("opset", "axes"), [(11, None), (17, {"x": {0: "batch"}})])
def test_exported_network(tmp_path: Path, opset: int, axes: dict[str, dict[int, str]] | None) -> None:
    torch.manual_seed(1)
    network = Network().train()
    network(torch.randn(32, 3, 11, 13))  # gives the normalisation its statistics
    network.eval()
    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (torch.randn(1, 3, 11, 13),), str(path), input_names=["x"], output_names=["y"],
                          dynamic_axes=axes, opset_version=opset, dynamo=False)
    x = np.random.default_rng(0).normal(size=(6, 3, 11, 13)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()
    logits = graph_outputs(path, {"x": x})["y"]  # the softmax is left to the host
    found = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
