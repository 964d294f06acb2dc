"""Adaptive rounding: never worse than the nearest numbers, optimal where that can be tried out, and on the lattice."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loihic.quant.adapt import adapt


def moments(rng: np.random.Generator, shape: tuple[int, ...], columns: int) -> np.ndarray:
    """Positive definite, with a common part as inputs that are never negative have."""
    root = rng.normal(size=(*shape, columns, columns)) * 0.3 + 1.0
    return root @ np.swapaxes(root, -1, -2)


def cost(off: np.ndarray, full: np.ndarray) -> np.ndarray:
    each = np.broadcast_to(full, (len(off), *full.shape[-2:]))
    return np.einsum("ri,rij,rj->r", off, each, off)


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 12), st.booleans())
def test_no_row_errs_more_than_before(seed: int, rows: int, columns: int, shared: bool) -> None:
    rng = np.random.default_rng(seed)
    wanted = rng.normal(size=(rows, columns)) * 5
    steps = rng.choice([0.0, 1.0, 4.0], size=wanted.shape)
    made = np.where(steps > 0, np.rint(wanted / np.maximum(steps, 1)) * steps, wanted)
    low, high = np.full(wanted.shape, -8.0), np.full(wanted.shape, 8.0)
    made = np.clip(made, low, high)
    full = moments(rng, () if shared else (rows,), columns)
    found = adapt(wanted, made, steps, low, high, full)
    assert np.all(cost(found - wanted, full) <= cost(made - wanted, full) * (1 + 1e-9) + 1e-12)
    moved = found != made
    assert not np.any(moved & (steps == 0))
    np.testing.assert_array_equal(np.rint((found - made)[moved] / steps[moved]), (found - made)[moved] / steps[moved])
    assert np.all((found >= low) & (found <= high))


def test_errors_of_inputs_that_come_together_cancel() -> None:
    """Four weights of 0.4 whose inputs always spike together: nearest loses 1.6, two must go up."""
    wanted = np.full((1, 4), 0.4)
    ends = np.full((1, 4), 9.0)
    found = adapt(wanted, np.zeros((1, 4)), np.ones((1, 4)), -ends, ends, np.ones((4, 4)))
    assert found.sum() == 2.0


@given(st.integers(0, 2**32 - 1))
def test_near_the_optimum_of_a_small_row(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wanted = rng.normal(size=(1, 5))
    full = moments(rng, (), 5)
    ends = np.full((1, 5), 99.0)
    found = adapt(wanted, np.rint(wanted), np.ones((1, 5)), -ends, ends, full)
    every = np.floor(wanted) + np.array(list(product((-1, 0, 1, 2), repeat=5)))
    best = float(cost(every - wanted, full).min())
    nearest = float(cost(np.rint(wanted) - wanted, full)[0])
    reached = float(cost(found - wanted, full)[0])
    assert reached <= nearest
    single = min(float(cost(found + sign * np.eye(5)[j] - wanted, full)[0]) for j in range(5) for sign in (-1, 1))
    assert best <= reached <= single + 1e-12
