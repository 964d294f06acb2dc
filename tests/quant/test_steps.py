"""Staircases as multiplications: whatever is found rises at the same whole sums, everywhere within the bounds."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loihic.ops.activation import Activation
from loihic.quant.steps import product, rises


@settings(max_examples=100)
@given(st.data())
def test_quantisers_become_products(data: st.DataObject) -> None:
    """Of 2 to 8 bits, with biases, with scales that are powers of two and ties that alternate, some out of reach."""
    low, high = -data.draw(st.integers(0, 1 << 20)), data.draw(st.integers(0, 1 << 20))
    if data.draw(st.booleans()):
        unit, scale = 2.0 ** -data.draw(st.integers(0, 8)), 2.0 ** data.draw(st.integers(-6, 6))
        constant = unit * data.draw(st.integers(-500, 500))
    else:
        unit = data.draw(st.floats(1e-4, 1.0))
        scale = unit * data.draw(st.floats(0.3, 3000.0)) * np.pi / 3  # without ties, which float64 breaks at random
        constant = data.draw(st.floats(-5.0, 5.0)) * scale
    least, most = data.draw(st.sampled_from([(0, 255), (-128, 127), (-8, 7), (0, 3), (0, 1)]))

    def level(total: np.ndarray) -> np.ndarray:
        return np.clip(np.rint((total * unit + constant) / scale), least, most)

    steps = rises(level, np.arange(least + 1, most + 1), low, high, ())
    found = product(steps.reshape(1, -1), least + 1, low, high)
    assert found is not None
    finite = steps[np.isfinite(steps)].astype(np.int64)
    sums = np.unique(np.concatenate([finite - 1, finite, finite + 1, [low, high],
                                     np.linspace(low, high, 999).astype(np.int64)]))
    sums = sums[(sums >= low) & (sums <= high)]
    neuron = Activation(shape=(1,), low=least, high=most, multiplier=found.multiplier, addend=found.addend,
                        shift=found.shift, ties_even=found.ties_even)
    np.testing.assert_array_equal(neuron.level(sums[:, None])[:, 0], level(sums.astype(float)))


@settings(max_examples=50)
@given(st.data())
def test_bent_staircases_are_no_products(data: st.DataObject) -> None:
    """Where a product is found for arbitrary steps it is exact; steep, then flat, there is none."""
    count = data.draw(st.integers(1, 12))
    steps = np.sort(data.draw(st.lists(st.integers(-5000, 5000), min_size=count, max_size=count)))
    found = product(steps.reshape(1, -1).astype(float), 1, -5001, 5001)
    if found is not None:
        sums = np.arange(-5001, 5002)
        neuron = Activation(shape=(1,), low=0, high=count, multiplier=found.multiplier, addend=found.addend,
                            shift=found.shift, ties_even=found.ties_even)
        np.testing.assert_array_equal(neuron.level(sums[:, None])[:, 0], np.searchsorted(steps, sums, side="right"))
    assert product(np.array([[1.0, 2.0, 3.0, 1000.0, 2000.0]]), 1, -5001, 5001) is None
