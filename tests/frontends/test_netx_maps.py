"""The linear maps of lava-dl's layers, against PyTorch where lava-dl calls it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loihic.frontends.netx_maps import average, conv, conv_transpose, dense, pool, unpool
from loihic.ir.linear import ConvMap, LinearMap
from loihic.ir.node import Array, Shape, ShapeError

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
RIMS = st.tuples(st.integers(0, 2), st.integers(0, 2))


def kernel_of(*shape: int) -> Array:
    return np.random.default_rng(5).integers(-9, 10, shape).astype(np.float64)


def ramp(shape: Shape) -> Array:
    return np.random.default_rng(6).integers(0, 5, (2, *shape)).astype(np.float64)


def as_lava_dl_pools(x: Array, kernel: Array, stride: Any, padding: Any, dilation: Any) -> Array:
    """slayer.synapse.Pool.forward, without its dimension of time."""
    torch = pytest.importorskip("torch")
    count, channels, height, width = x.shape
    grown = np.pad(x, ((0, 0), (0, 0), (0, height % kernel.shape[2]), (0, width % kernel.shape[3])))
    tall = torch.tensor(grown.reshape(count, 1, -1, grown.shape[3]))
    out = torch.nn.functional.conv2d(tall, torch.tensor(kernel), None, stride, padding, dilation)
    return np.asarray(out.reshape(count, channels, -1, out.shape[3]))


@settings(max_examples=30)
@given(st.integers(1, 3), st.tuples(st.integers(1, 7), st.integers(1, 7)), PAIRS, PAIRS, RIMS, PAIRS)
def test_pool(channels: int, size: Any, sizes: Any, stride: Any, padding: Any, dilation: Any) -> None:
    shape, kernel = (channels, *size), kernel_of(1, 1, *sizes)
    try:
        linear = pool(shape, kernel, stride, padding, dilation)
    except ShapeError:
        with pytest.raises(RuntimeError):
            as_lava_dl_pools(ramp(shape), kernel, stride, padding, dilation)
        return
    x = ramp(shape)
    np.testing.assert_array_equal(linear.apply(x), as_lava_dl_pools(x, kernel, stride, padding, dilation))


def test_ordinary_pools_keep_a_shared_kernel() -> None:
    for size in ((4, 6), (5, 7), (1, 1)):
        linear = pool((3, *size), kernel_of(1, 1, 2, 2), (2, 2), (0, 0), (1, 1))
        assert isinstance(linear, ConvMap)
        assert linear.groups == 3
        assert linear.out_shape == (3, -(-size[0] // 2), -(-size[1] // 2))


@settings(max_examples=30)
@given(st.integers(1, 3), st.tuples(st.integers(1, 4), st.integers(1, 4)), PAIRS, PAIRS, RIMS, PAIRS)
def test_unpool(channels: int, size: Any, sizes: Any, stride: Any, padding: Any, dilation: Any) -> None:
    torch = pytest.importorskip("torch")
    shape, kernel = (channels, *size), kernel_of(1, 1, *sizes)
    x = ramp(shape)

    def expected() -> Array:
        tall = torch.tensor(x.reshape(2, 1, -1, size[1]))
        out = torch.nn.functional.conv_transpose2d(tall, torch.tensor(kernel), None, stride, padding, 0, 1, dilation)
        return np.asarray(out.reshape(2, channels, -1, out.shape[3]))

    try:
        linear = unpool(shape, kernel, stride, padding, dilation)
    except ShapeError:
        with pytest.raises(RuntimeError):
            expected()
        return
    np.testing.assert_array_equal(linear.apply(x), expected())


@settings(max_examples=30)
@given(st.sampled_from([1, 2]), st.tuples(st.integers(1, 4), st.integers(1, 4)), PAIRS, PAIRS, RIMS, PAIRS)
def test_transposed_convolution(groups: int, size: Any, sizes: Any, stride: Any, padding: Any, dilation: Any) -> None:
    torch = pytest.importorskip("torch")
    shape, kernel = (4, *size), kernel_of(4, 3, *sizes)
    x = ramp(shape)
    try:
        linear = conv_transpose(shape, kernel, stride, padding, dilation, groups)
    except ShapeError:
        with pytest.raises(RuntimeError):
            torch.nn.functional.conv_transpose2d(
                torch.tensor(x), torch.tensor(kernel), None, stride, padding, 0, groups, dilation)
        return
    out = torch.nn.functional.conv_transpose2d(
        torch.tensor(x), torch.tensor(kernel), None, stride, padding, 0, groups, dilation)
    np.testing.assert_array_equal(linear.apply(x), np.asarray(out))
    if stride == (1, 1) and all(dilation[a] * (sizes[a] - 1) >= padding[a] for a in range(2)):
        assert isinstance(linear, ConvMap)


def test_convolution_neither_flips_nor_transposes() -> None:
    torch = pytest.importorskip("torch")
    kernel, x = kernel_of(6, 2, 2, 3), ramp((4, 5, 7))
    linear = conv((4, 5, 7), kernel, (2, 1), (1, 0), (1, 2), 2)
    out = torch.nn.functional.conv2d(torch.tensor(x), torch.tensor(kernel), None, (2, 1), (1, 0), (1, 2), 2)
    np.testing.assert_array_equal(linear.apply(x), np.asarray(out))


@pytest.mark.parametrize("shape", [(3, 8), (3, 8, 1, 1, 1), (24,)])
def test_dense_weights_in_every_shape_that_occurs(shape: Shape) -> None:
    matrix, x = kernel_of(3, 8), ramp((2, 2, 2))
    linear = dense(matrix.reshape(shape), 3, (2, 2, 2))
    np.testing.assert_array_equal(linear.apply(x), x.reshape(2, 8) @ matrix.T)


def test_average_of_runs() -> None:
    x = ramp((2, 3, 2))
    np.testing.assert_allclose(average((2, 3, 2), 4).apply(x), x.reshape(2, 4, 3).mean(axis=2))


@pytest.mark.parametrize("build", [
    lambda: conv((1, 8, 8), kernel_of(1, 1, 1, 1), (1 << 20, 1 << 20), (1 << 20, 1 << 20), (1, 1), 1),
    lambda: conv((1, 4000, 4000), kernel_of(9, 1, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    lambda: conv_transpose((1, 4000, 4000), kernel_of(1, 1, 1, 1), (1000, 1000), (0, 0), (1, 1), 1),
    lambda: conv_transpose((64, 99, 99), kernel_of(64, 64, 3, 3), (2, 2), (0, 0), (1, 1), 1),
    lambda: unpool((9, 1000, 1000), kernel_of(1, 1, 3, 1), (1, 2), (0, 0), (1, 1)),
    lambda: pool((9, 1000, 1000), kernel_of(1, 1, 3, 1), (1, 1), (1, 0), (1, 1)),
    lambda: pool((2, 3, 3), kernel_of(1, 2, 2, 2), (2, 2), (0, 0), (1, 1)),
    lambda: average((4,), 5),
])
def test_absurd_sizes_are_refused_before_anything_is_built(build: Any) -> None:
    with pytest.raises(ShapeError):
        build()


def test_maps_are_whole() -> None:
    maps: list[LinearMap] = [pool((3, 5, 5), kernel_of(1, 1, 3, 3), (1, 1), (1, 1), (1, 1)),
                             conv_transpose((4, 3, 3), kernel_of(4, 2, 3, 3), (2, 2), (1, 1), (1, 1), 2)]
    for linear in maps:
        weights = linear.to_csr().data
        assert np.array_equal(weights, np.rint(weights))
