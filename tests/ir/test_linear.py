"""Linear maps against torch, scipy and plain matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal, sparse

from loihic.ir.linear import (
    ConvMap,
    DenseMap,
    IdentityMap,
    LinearMap,
    SparseMap,
    add,
    as_matrix,
    compose,
    convolve,
    from_csr,
)
from loihic.ir.node import ShapeError
from loihic.ops.conv import conv_map


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def conv_maps(draw: st.DrawFn, shape: tuple[int, int, int] | None = None) -> ConvMap:
    """Convolutions with kernels that need not be square, uneven pads, stride, dilation and groups."""
    groups = draw(st.sampled_from([1, 1, 2, 3])) if shape is None else draw(st.sampled_from(_divisors(shape[0])))
    channels, height, width = shape or (
        groups * draw(st.integers(1, 2)), draw(st.integers(1, 8)), draw(st.integers(1, 8)))
    size = tuple(draw(st.integers(1, min(5, n))) for n in (height, width))
    dilation = tuple(draw(st.sampled_from([d for d in (1, 2, 3) if d * (k - 1) < n]))
                     for k, n in zip(size, (height, width), strict=True))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    kernel = rng_of(draw(SEEDS)).normal(size=(groups * draw(st.integers(1, 2)), channels // groups, *size))
    kernel[rng_of(draw(SEEDS)).random(kernel.shape) < 0.2] = 0.0
    padding: Any = draw(st.sampled_from(["same", "valid", (draw(st.integers(0, 3)), draw(st.integers(0, 3)))]))
    return conv_map((channels, height, width), kernel, stride, padding, dilation, groups)


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


@st.composite
def maps(draw: st.DrawFn, in_shape: tuple[int, ...]) -> LinearMap:
    """Any map from `in_shape`."""
    count = int(np.prod(in_shape))
    rng = rng_of(draw(SEEDS))
    kind = draw(st.sampled_from(["identity", "dense", "sparse"] + ["conv"] * 2 * (len(in_shape) == 3)))
    if kind == "identity":
        return IdentityMap(in_shape=in_shape, out_shape=draw(st.sampled_from([in_shape, (count,)])))
    if kind == "conv":
        assert len(in_shape) == 3
        return draw(conv_maps(in_shape))
    out = (draw(st.integers(1, 5)),)
    matrix = rng.normal(size=(out[0], count)) * (rng.random((out[0], count)) < 0.5)
    if kind == "dense":
        return DenseMap(in_shape=in_shape, out_shape=out, matrix=matrix)
    return SparseMap(in_shape=in_shape, out_shape=out, matrix=sparse.csr_matrix(matrix))


def batch(linear: LinearMap, seed: int = 0) -> np.ndarray:
    return rng_of(seed).normal(size=(2, *linear.in_shape))


def same(first: LinearMap, second: LinearMap) -> None:
    """Equal as maps, by every way of looking at them."""
    assert (first.in_shape, first.out_shape) == (second.in_shape, second.out_shape)
    np.testing.assert_allclose(first.to_csr().toarray(), second.to_csr().toarray(), atol=1e-12)
    x = batch(first)
    np.testing.assert_allclose(first.apply(x), second.apply(x), atol=1e-12)


@given(conv_maps())
def test_convolution_is_torchs(linear: ConvMap) -> None:
    torch = pytest.importorskip("torch")
    x = batch(linear)
    (top, bottom), (left, right) = linear.pads
    padded = torch.nn.functional.pad(torch.from_numpy(x), (left, right, top, bottom))
    wanted = torch.nn.functional.conv2d(padded, torch.from_numpy(np.array(linear.kernel)), None, linear.stride, 0,
                                        linear.dilation, linear.groups).numpy()
    assert wanted.shape[1:] == linear.out_shape
    np.testing.assert_allclose(linear.apply(x), wanted, atol=1e-12)


@given(SEEDS, st.integers(1, 4), st.integers(1, 4))
def test_convolution_is_scipys(seed: int, height: int, width: int) -> None:
    rng = rng_of(seed)
    x, kernel = rng.integers(-9, 10, (1, 1, 6, 7)), rng.integers(-9, 10, (1, 1, height, width))
    found = convolve(x, kernel, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    np.testing.assert_array_equal(found[0, 0], signal.correlate2d(x[0, 0], kernel[0, 0], mode="valid"))


@given(conv_maps())
def test_matrix_of_a_convolution(linear: ConvMap) -> None:
    x = batch(linear)
    flat = linear.to_csr() @ x.reshape(2, -1).T
    np.testing.assert_allclose(linear.apply(x), flat.T.reshape(2, *linear.out_shape), atol=1e-12)
    assert np.all(linear.to_csr().data != 0)


@given(st.data())
def test_compose(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from([(2, 4, 6), (1, 6, 5), (6,)]))
    inner = data.draw(maps(shape))
    outer = data.draw(maps(inner.out_shape))
    both = compose(outer, inner)
    assert (both.in_shape, both.out_shape) == (inner.in_shape, outer.out_shape)
    x = batch(inner)
    np.testing.assert_allclose(both.apply(x), outer.apply(inner.apply(x)), atol=1e-10)


@given(st.data())
def test_convolution_behind_a_pool_stays_a_convolution_where_exact(data: st.DataObject) -> None:
    channels, rows, cols = data.draw(st.tuples(st.integers(1, 3), st.integers(2, 9), st.integers(2, 9)))
    size = (data.draw(st.integers(1, min(3, rows))), data.draw(st.integers(1, min(3, cols))))
    stride = data.draw(st.sampled_from([size, (2, 2), (1, 2)]))
    pool = conv_map((channels, rows, cols), np.full((channels, 1, *size), data.draw(st.sampled_from([1.0, 0.25]))),
                    stride, data.draw(st.sampled_from([(0, 0), (0, 0), (1, 1)])), (1, 1), channels)
    conv = data.draw(conv_maps(pool.out_shape))
    both = compose(conv, pool)
    x = batch(pool)
    np.testing.assert_allclose(both.apply(x), conv.apply(pool.apply(x)), atol=1e-10)
    unpadded = not any(side for pair in (*pool.pads, *conv.pads) for side in pair)
    if unpadded and conv.dilation == (1, 1):
        assert isinstance(both, ConvMap)


def test_a_padded_convolution_behind_a_whole_pool_is_one_convolution() -> None:
    pool = conv_map((16, 16, 16), np.ones((16, 1, 2, 2)), (2, 2), (0, 0), (1, 1), 16)
    conv = conv_map((16, 8, 8), rng_of(1).normal(size=(8, 16, 3, 3)), (1, 1), (1, 1), (1, 1), 1)
    both = compose(conv, pool)
    assert isinstance(both, ConvMap)
    assert both.kernel.shape == (8, 16, 6, 6)
    x = batch(pool)
    np.testing.assert_allclose(both.apply(x), conv.apply(pool.apply(x)), atol=1e-10)


@given(st.data())
def test_scaled_and_add_and_forms(data: st.DataObject) -> None:
    linear = data.draw(maps((2, 4, 5)))
    rows = rng_of(data.draw(SEEDS)).normal(size=data.draw(st.sampled_from([linear.out_shape, (1,)])))
    if len(linear.out_shape) == 3 and data.draw(st.booleans()):
        rows = rng_of(1).normal(size=(linear.out_shape[0], 1, 1))
    x = batch(linear)
    np.testing.assert_allclose(linear.scaled(rows).apply(x), rows * linear.apply(x), atol=1e-12)
    same(add(linear, linear.scaled(rows)), linear.scaled(1.0 + rows) if rows.shape != (1,) else
         linear.scaled(np.full(1, 1.0 + rows[0])))
    same(as_matrix(linear), linear)
    same(from_csr(linear.to_csr(), linear.in_shape, linear.out_shape), linear)


@given(st.data())
def test_reshaped(data: st.DataObject) -> None:
    linear = data.draw(maps((2, 3, 4)))
    flat = linear.reshaped(in_shape=(24,), out_shape=(int(np.prod(linear.out_shape)),))
    x = batch(linear)
    np.testing.assert_allclose(flat.apply(x.reshape(2, -1)), linear.apply(x).reshape(2, -1), atol=1e-12)


@given(st.data())
def test_row_bounds_are_reached_and_never_left(data: st.DataObject) -> None:
    linear = data.draw(maps((2, 3, 4)))
    rng = rng_of(data.draw(SEEDS))
    low = rng.normal(size=linear.in_shape)
    high = low + rng.random(linear.in_shape)
    least, most = linear.row_bounds(low, high)
    inside = low + (high - low) * rng.random((20, *linear.in_shape))
    found = linear.apply(inside)
    assert np.all(found >= least - 1e-9)
    assert np.all(found <= most + 1e-9)
    matrix = linear.to_csr().toarray()
    for row, (bottom, top) in enumerate(zip(least.ravel(), most.ravel(), strict=True)):
        worst = np.where(matrix[row] > 0, high.ravel(), low.ravel()).reshape(1, *linear.in_shape)
        best = np.where(matrix[row] > 0, low.ravel(), high.ravel()).reshape(1, *linear.in_shape)
        np.testing.assert_allclose(linear.apply(worst).ravel()[row], top, atol=1e-9)
        np.testing.assert_allclose(linear.apply(best).ravel()[row], bottom, atol=1e-9)


def test_sizes_that_do_not_fit_are_refused() -> None:
    wide, narrow = (DenseMap(in_shape=(n,), out_shape=(2,), matrix=np.ones((2, n))) for n in (4, 3))
    with pytest.raises(ShapeError):
        compose(wide, narrow)
