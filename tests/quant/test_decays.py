"""Decays are rounded in pairs: the response errs less than with each rounded for itself, and never far."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loihic.ops.neuron import neuron
from loihic.quant.decays import FADED, STEADY, round_decays

decays = st.one_of(st.floats(0.0, 0.99), st.sampled_from([0.0, 0.5, 0.75, 1 - 41 / 4096]))


def response(decay_u: float, decay_v: float, length: int) -> np.ndarray:
    u = v = 0.0
    found = np.empty(length)
    for k in range(length):
        u = decay_u * u + (k == 0)
        v = decay_v * v + u
        found[k] = v
    return found


@given(decays, decays, st.sampled_from([0.0, 0.02, 0.3]))
def test_the_answers_err_no_more_than_with_plain_rounding(decay_u: float, decay_v: float, rate: float) -> None:
    """To an impulse and to a steady input, as far as no spike has cleared the voltage; integrated step by step."""
    length = int(np.ceil(FADED / min(1 - decay_u, 1 - decay_v)))
    found = round_decays(neuron((1,), decay_u=decay_u, decay_v=decay_v), rate)
    left = (1 - rate) ** np.arange(length)

    def answers(a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
        climb, v = np.empty(length), 0.0
        for k in range(length):
            v = b * v + 1 / (1 - a)
            climb[k] = v
        return response(a, b, length), climb

    impulse, climb = answers(decay_u, decay_v)

    def cost(a: float, b: float, gain: float | None = None) -> float:
        made, risen = answers(a, b)
        if gain is None:
            gain = float((left * climb) @ risen / ((left * risen) @ risen))
        return float(left @ (impulse - gain * made) ** 2 / (left @ impulse**2)
                     + STEADY * (left @ (climb - gain * risen) ** 2) / (left @ climb**2))

    u, v = (1 - np.rint((1 - decay) * 4096) / 4096 for decay in (decay_u, decay_v))
    joint = cost(found.factor_u[0], found.factor_v[0], found.gain[0])
    assert joint <= cost(min(u, 1 - 1 / 4096), v) * (1 + 1e-6) + 1e-12


@given(st.integers(1, 4096), st.integers(0, 4096))
def test_decays_that_the_chip_has_stay(parts_u: int, parts_v: int) -> None:
    found = round_decays(neuron((2,), decay_u=1 - parts_u / 4096, decay_v=1 - parts_v / 4096))
    assert set(found.u) == {parts_u}
    assert set(found.v) == {parts_v}
    np.testing.assert_allclose(found.gain, 1.0, atol=1e-12)
    np.testing.assert_allclose(found.leak, 1.0, atol=1e-12)


def test_the_steady_state_of_a_bias_stays() -> None:
    found = round_decays(neuron((1,), decay_u=0.0, decay_v=1 - 1.4 / 4096))
    np.testing.assert_allclose(found.leak / (found.v / 4096), 1 / (1.4 / 4096))
