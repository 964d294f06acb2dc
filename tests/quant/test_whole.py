"""Whole weights in synapses: every integer comes back, and units that all branches of a sum share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loihic.ir.linear import ConvMap, DenseMap, IdentityMap, LinearMap
from loihic.ops.conv_synapse import ConvSynapse
from loihic.quant.units import Entering, settle
from loihic.quant.whole import doubling, whole_synapses

RANGES = [(0, 0), (0, 255), (-255, 0), (-128, 127), (-256, 254), (-1, 1), (-32768, 32767), (5, 300)]


def linear_map(rng: np.random.Generator, low: int, high: int, *, conv: bool) -> LinearMap:
    if conv:
        kernel = rng.integers(low, high, (3, 2, 2, 2), endpoint=True).astype(float)
        return ConvMap(in_shape=(2, 4, 5), out_shape=(3, 3, 4), kernel=kernel)
    matrix = rng.integers(low, high, (4, 6), endpoint=True) * (rng.random((4, 6)) < rng.choice([0.1, 1.0]))
    return DenseMap(in_shape=(6,), out_shape=(4,), matrix=matrix.astype(float))


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from(RANGES), st.booleans())
def test_sums_are_exact(seed: int, span: tuple[int, int], conv: bool) -> None:
    rng = np.random.default_rng(seed)
    linear = linear_map(rng, *span, conv=conv)
    factor = doubling([linear])
    made = whole_synapses(linear, group="g", origins=(), message_bits=9, factor=factor)
    assert 1 <= len(made) <= 2
    message = rng.integers(-20, 21, (3, *linear.in_shape))
    total = np.zeros((3, *linear.out_shape), dtype=np.int64)
    for synapse in made:
        state = synapse.initial(3)
        synapse.receive(state, message)
        total = total + synapse.emit(state)
        stored = synapse.kernel if isinstance(synapse, ConvSynapse) else getattr(synapse, "weights", None)
        if stored is not None and synapse.sign_mode.value == "MIXED":
            assert not np.any(stored & 1)  # mixed 8-bit mantissas are even
    np.testing.assert_array_equal(total, np.rint(linear.apply(message.astype(float))) * factor)


def test_seventeen_bits_are_too_many() -> None:
    linear = DenseMap(in_shape=(1,), out_shape=(1,), matrix=np.array([[32768.0]]))
    with pytest.raises(ValueError, match="16 bits"):
        whole_synapses(linear, group="g", origins=(), message_bits=9)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_one_way_keeps_its_unit(seed: int, conv: bool) -> None:
    rng = np.random.default_rng(seed)
    whole = linear_map(rng, -127, 127, conv=conv)
    unit = rng.uniform(1e-3, 1.0, (whole.out_shape[0], *[1] * (len(whole.out_shape) - 1)))
    found = settle([Entering(linear=whole.scaled(unit), unit=unit, bits=8)], whole.out_shape)
    assert found.errors == (0.0,)
    x = rng.normal(size=(2, *whole.in_shape))
    np.testing.assert_allclose(found.whole[0].apply(x), whole.apply(x), atol=1e-9)


@settings(max_examples=60)
@given(st.floats(1e-3, 1.0), st.floats(0.05, 20.0))
def test_residual_sums_share_a_unit(scale: float, ratio: float) -> None:
    """a s + b t for all levels a, b of 8 bits: as whole numbers off by less than a thousandth of a level."""
    shape, identity = (1,), IdentityMap(in_shape=(1,), out_shape=(1,))
    units = [np.full(shape, scale), np.full(shape, scale * ratio)]
    found = settle([Entering(linear=identity.scaled(unit), unit=unit, bits=8, high=255) for unit in units], shape)
    first, second = (float(linear.to_csr().toarray()[0, 0]) for linear in found.whole)
    assert first == round(first)
    assert second == round(second)
    assert 255 * (abs(first) + abs(second)) < 1 << 23
    a, b = np.meshgrid(np.arange(256), np.arange(256))
    error = (a * first + b * second) * float(found.unit) - (a * units[0] + b * units[1])
    assert np.abs(error).max() < 0.02 * min(scale, scale * ratio) * max(1.0, ratio, 1 / ratio)
