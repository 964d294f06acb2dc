"""Formats: whatever numbers a lattice rounds to, its synapses hold exactly, within what Lava keeps of a weight."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loihic.errors import InputError
from loihic.ops.synapse import SignMode
from loihic.quant.formats import SHIFTS, Format, Lattice, Part, exponents

RANGES = {SignMode.MIXED: (-256, 255), SignMode.EXCITATORY: (0, 255), SignMode.INHIBITORY: (-255, 0)}
SIGNS = {SignMode.MIXED: (-1, 1), SignMode.EXCITATORY: (0, 1), SignMode.INHIBITORY: (-1, 0)}


@st.composite
def lattices(draw: st.DrawFn) -> Lattice:
    split = draw(st.booleans())
    form = Format(bits=draw(st.integers(1, 8 if split else 16)), split=split)
    shift = draw(st.sampled_from(SHIFTS)) if split else 0
    mode = draw(st.sampled_from(list(SignMode))) if form.bits < 16 else SignMode.MIXED
    possible = [e for e in exponents(form) if Lattice(format=form, mode=mode, exponent=e, shift=shift).is_possible]
    return Lattice(format=form, mode=mode, exponent=draw(st.sampled_from(possible)), shift=shift)


def kept_by_lava(part: Part, mode: SignMode) -> np.ndarray:
    """Clipped, then (w >> k) << k, of the magnitude where only one sign occurs: lava.utils.weightutils."""
    sign = -1 if mode is SignMode.INHIBITORY else 1
    drop = 8 - part.bits + (mode is SignMode.MIXED)
    return sign * (((sign * np.clip(part.mantissas, *RANGES[mode])) >> drop) << drop)


@given(lattices(), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.01, 0.5, 1.0, 3.0]))
def test_parts_add_up_to_the_rounded_numbers(lattice: Lattice, seed: int, size: float) -> None:
    values = np.random.default_rng(seed).uniform(*SIGNS[lattice.mode], 64) * lattice.top * size
    steps = lattice.steps(values)
    numbers = lattice.round(values, steps)
    parts = lattice.parts(numbers, steps)
    np.testing.assert_array_equal(sum(part.mantissas * 2.0**part.exponent for part in parts), numbers)
    for part in parts:
        assert -8 <= part.exponent <= 7
        assert 1 <= part.bits <= 8
        np.testing.assert_array_equal(kept_by_lava(part, lattice.mode), part.mantissas)
        if part.used is not None:
            assert not np.any(part.mantissas[~part.used])
    inside = np.abs(values) <= lattice.top
    if lattice.format.bits > 1 or lattice.mode is not SignMode.MIXED:  # one mixed bit holds -256 and 0 only
        assert np.all(np.abs(numbers - values)[inside] <= np.broadcast_to(steps, values.shape)[inside] / 2 + 1e-9)


@given(lattices(), st.integers(0, 2**32 - 1))
def test_numbers_of_a_lattice_stay(lattice: Lattice, seed: int) -> None:
    values = np.random.default_rng(seed).uniform(*SIGNS[lattice.mode], 32) * lattice.top
    steps = lattice.steps(values)
    numbers = lattice.round(values, steps)
    np.testing.assert_array_equal(lattice.round(numbers, steps), numbers)
    low, high = lattice.limits(steps)
    assert np.all(numbers >= low)
    assert np.all(numbers <= high)


def test_sixteen_bits_are_every_whole_number() -> None:
    lattice = Lattice(format=Format(bits=16), mode=SignMode.MIXED, exponent=-1)
    values = np.arange(-32768, 32512)
    np.testing.assert_array_equal(lattice.round(values, lattice.steps(values)), values)
    high, low = lattice.parts(values.astype(float), 1.0)
    np.testing.assert_array_equal((high.mantissas << 7) + (low.mantissas >> 1), values)


@pytest.mark.parametrize("text", ["0", "17", "8g", "9f", "-1", "", "f", "1.5", "٣"])
def test_widths_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="LHC702"):
        Format.parse(text)


@given(st.integers(1, 16), st.booleans())
def test_spelling(bits: int, split: bool) -> None:
    form = Format(bits=bits, split=split and bits <= 8)
    assert Format.parse(str(form)) == form
