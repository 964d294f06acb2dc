"""Shapes and values of Conv1d, Conv2d and the pools against torch: where nir's own inference is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loihic.ir.node import ShapeError
from loihic.ops.conv import Conv1d, Conv2d
from loihic.ops.pool import AvgPool2d, SumPool2d

torch = pytest.importorskip("torch")
functional = torch.nn.functional


@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)), kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)), dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)), groups=st.sampled_from([1, 2, 4]), bias=st.booleans(),
)
def test_conv2d(size: Any, kernel: Any, stride: Any, dilation: Any, padding: Any, groups: int, bias: bool) -> None:
    rng = np.random.default_rng(sum(size))
    weight = rng.normal(size=(4, 4 // groups, *kernel))
    params = {"weight": weight, "bias": rng.normal(size=4) if bias else None, "stride": np.array(stride),
              "padding": np.array(padding), "dilation": np.array(dilation), "groups": groups}
    node = Conv2d.from_params(params, ("conv",))
    x = rng.normal(size=(1, 4, *size))
    fits = all(n + 2 * p >= d * (k - 1) + 1 for n, p, d, k in zip(size, padding, dilation, kernel, strict=True))
    if not fits:
        with pytest.raises(ShapeError, match="larger than the padded input"):
            node.output_shape((4, *size))
        return
    wanted = functional.conv2d(torch.from_numpy(x), torch.from_numpy(weight), None if not bias else torch.from_numpy(
        params["bias"]), stride, padding, dilation, groups).numpy()
    assert node.output_shape((4, *size)) == wanted.shape[1:]
    constant = node.constant()
    found = node.linear_map((4, *size)).apply(x) + (0 if constant is None else constant)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@given(size=st.tuples(st.integers(1, 9), st.integers(1, 9)), kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
       dilation=st.integers(1, 2), padding=st.sampled_from(["same", "valid"]))
def test_named_padding_without_stride_is_torchs(size: Any, kernel: Any, dilation: int, padding: str) -> None:
    assume(padding == "same" or all(dilation * (k - 1) < n for k, n in zip(kernel, size, strict=True)))
    weight = np.random.default_rng(0).normal(size=(2, 1, *kernel))
    node = Conv2d.from_params({"weight": weight, "padding": padding, "dilation": dilation}, ())
    x = np.random.default_rng(1).normal(size=(1, 1, *size))
    wanted = functional.conv2d(torch.from_numpy(x), torch.from_numpy(weight), padding=padding, dilation=dilation)
    np.testing.assert_allclose(node.linear_map((1, *size)).apply(x), wanted.numpy(), atol=1e-12)


@pytest.mark.parametrize(("size", "kernel", "stride", "wanted"), [
    (7, 3, 2, 4), (8, 3, 2, 4), (8, 5, 3, 3), (9, 2, 4, 3), (5, 1, 2, 3), (1, 5, 2, 1)])
def test_strided_same_has_as_many_outputs_as_strides(size: int, kernel: int, stride: int, wanted: int) -> None:
    weight = np.ones((1, 1, kernel, kernel))
    node = Conv2d.from_params({"weight": weight, "padding": "same", "stride": stride}, ())
    assert node.output_shape((1, size, size)) == (1, wanted, wanted)


@given(length=st.integers(1, 12), kernel=st.integers(1, 5), stride=st.integers(1, 3), dilation=st.integers(1, 3),
       padding=st.integers(0, 3), groups=st.sampled_from([1, 2]))
def test_conv1d(length: int, kernel: int, stride: int, dilation: int, padding: int, groups: int) -> None:
    assume(length + 2 * padding >= dilation * (kernel - 1) + 1)
    rng = np.random.default_rng(length)
    weight, bias, x = rng.normal(size=(4, 2 // groups, kernel)), rng.normal(size=4), rng.normal(size=(1, 2, length))
    node = Conv1d.from_params({"weight": weight, "bias": bias, "stride": stride, "padding": padding,
                               "dilation": dilation, "groups": groups}, ())
    wanted = functional.conv1d(*map(torch.from_numpy, (x, weight, bias)), stride, padding, dilation, groups).numpy()
    assert node.output_shape((2, length)) == wanted.shape[1:]
    np.testing.assert_allclose(node.linear_map((2, length)).apply(x) + node.constant(), wanted, atol=1e-12)


@given(size=st.tuples(st.integers(1, 9), st.integers(1, 9)), kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
       stride=st.tuples(st.integers(1, 3), st.integers(1, 3)), data=st.data())
def test_pools(size: Any, kernel: Any, stride: Any, data: st.DataObject) -> None:
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    assume(all(n + 2 * p >= k for n, p, k in zip(size, padding, kernel, strict=True)))
    params = {"kernel_size": np.array(kernel), "stride": np.array(stride), "padding": np.array(padding)}
    x = np.random.default_rng(0).normal(size=(1, 3, *size))
    mean = functional.avg_pool2d(torch.from_numpy(x), kernel, stride, padding).numpy()
    average, total = AvgPool2d.from_params(params, ()), SumPool2d.from_params(params, ())
    assert average.output_shape((3, *size)) == total.output_shape((3, *size)) == mean.shape[1:]
    np.testing.assert_allclose(average.linear_map((3, *size)).apply(x), mean, atol=1e-12)
    np.testing.assert_allclose(total.linear_map((3, *size)).apply(x), mean * np.prod(kernel), atol=1e-12)


@pytest.mark.parametrize(("weight", "groups", "inputs"), [
    ((4, 3, 3, 5), 1, (2, 8, 8)), ((4, 2, 3, 5), 2, (2, 8, 8)), ((3, 1, 3, 5), 2, (2, 8, 8)),
    ((4, 2, 3, 5), 1, (8, 8))])
def test_channels_that_do_not_fit_are_refused(weight: Any, groups: int, inputs: Any) -> None:
    node = Conv2d.from_params({"weight": np.ones(weight), "groups": groups}, ())
    with pytest.raises(ShapeError):
        node.output_shape(inputs)
