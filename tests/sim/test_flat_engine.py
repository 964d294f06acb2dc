"""The compiled kernels against the numpy engine, which the operators' own steps make up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hardware_nets import Net, hardware_nets, recordable
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from loihic.sim.engine import ARRIVING, Checkpoint, Stretch
from loihic.sim.flat.arena import UnsuitableError
from loihic.sim.flat.engine import FlatEngine
from loihic.sim.simulator import NumpyEngine

SEVERAL = settings(max_examples=60, deadline=None)


def flat(net: Net, **choices: Any) -> FlatEngine:
    return FlatEngine(net.graph, samples(net), record=recordable(net.graph), **choices)


def slow(net: Net, **choices: Any) -> NumpyEngine:
    return NumpyEngine(net.graph, samples(net), record=recordable(net.graph), **choices)


def samples(net: Net) -> int:
    return next((len(values) for values in net.inputs.values()), 1)


def between(net: Net, first: int, last: int) -> dict[str, np.ndarray]:
    return {name: values[:, first:last] for name, values in net.inputs.items()}


def assert_equal(ours: Stretch, wanted: Stretch) -> None:
    for found, expected in ((ours.outputs, wanted.outputs), (ours.recorded, wanted.recorded)):
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            np.testing.assert_array_equal(found[key], values, err_msg=str(key))  # type: ignore[index]


def assert_same_state(ours: Checkpoint, wanted: Checkpoint) -> None:
    assert ours.step == wanted.step
    for name, states in wanted.states.items():
        for state, values in states.items():
            # What arrives counts in 32 bits: every population wraps it to that or less.
            expected = values.astype(np.int32) if state == ARRIVING else values
            np.testing.assert_array_equal(ours.states[name][state], expected, err_msg=f"{name}.{state}")


@SEVERAL
@given(hardware_nets(wide=False), st.integers(1, 3), st.booleans())
def test_every_bit_is_that_of_numpy(net: Net, threads: int, products: bool) -> None:
    ours, theirs = flat(net, threads=threads, count=True), slow(net, count=True)
    if products:  # however sparse it is
        for product in ours.products:
            product.__dict__["breakeven"] = -1.0
    cut = net.steps // 2  # products are chosen by the stretch before
    for first, last in ((0, cut), (cut, net.steps)):
        inputs = between(net, first, last)
        assert_equal(ours.advance(inputs, last - first), theirs.advance(inputs, last - first))
    assert_same_state(ours.checkpoint(), theirs.checkpoint())
    for name, counted in theirs.sent.items():
        np.testing.assert_array_equal(ours.sent[name], counted, err_msg=name)


@SEVERAL
@given(hardware_nets(wide=False), st.data())
def test_either_engine_goes_on_from_the_other(net: Net, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, net.steps))
    ours, theirs = flat(net, threads=1), slow(net)
    for engine in (ours, theirs):
        engine.advance(between(net, 0, cut), cut)
    rest = between(net, cut, net.steps), net.steps - cut
    wanted = slow(net, at=theirs.checkpoint()).advance(*rest)
    assert_equal(theirs.advance(*rest), wanted)
    assert_equal(flat(net, at=slow_checkpoint(net, cut), threads=1).advance(*rest), wanted)
    assert_equal(slow(net, at=ours.checkpoint()).advance(*rest), wanted)


def slow_checkpoint(net: Net, cut: int) -> Checkpoint:
    engine = slow(net)
    engine.advance(between(net, 0, cut), cut)
    return engine.checkpoint()


@settings(max_examples=30, deadline=None)
@given(hardware_nets(wide=True))
def test_numbers_that_do_not_fit_are_refused_or_right(net: Net) -> None:
    try:
        ours = flat(net, threads=1)
    except UnsuitableError:
        return
    assert_equal(ours.advance(net.inputs, net.steps), slow(net).advance(net.inputs, net.steps))
