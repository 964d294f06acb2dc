"""Labels and targets: which shapes are taken as what, what is refused, and how the first of them are taken."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from loihic.errors import InputError
from loihic.evaluate import evaluate
from loihic.evaluate.questions import ask, first_truth


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def refusal(program, truth, **choices):
    with pytest.raises(InputError) as caught:
        ask(program, "output", 23, 20, truth, **choices)
    return str(caught.value)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, bool, np.uint8])
def test_whole_numbers_are_labels_whatever_their_type(spiking, spikes, dtype):
    labels = (spikes[1] % 2).astype(dtype)
    found = ask(spiking, "output", 23, 20, labels)
    assert (found.metric, found.truth.dtype) == ("accuracy", np.int64)
    np.testing.assert_array_equal(found.truth, labels)


def test_whole_floats_of_the_shape_of_targets_are_targets(spiking):
    assert ask(spiking, "output", 23, 20, np.zeros((23, 3))).metric == "regression"
    assert ask(spiking, "output", 3, 3, np.zeros((3, 3))).metric == "regression"  # also fits labels of steps
    assert ask(spiking, "output", 3, 3, np.zeros((3, 3), dtype=int)).metric == "accuracy"


def test_a_list_of_labels(spiking, spikes):
    assert evaluate(spiking, spikes[0], spikes[1].tolist()).accuracy == evaluate(spiking, *spikes).accuracy


def test_the_other_metric_is_named_where_its_shape_fits(spiking):
    assert "--metric accuracy" in refusal(spiking, np.zeros(23), metric="regression")
    assert "--metric regression" in refusal(spiking, np.eye(3, dtype=int)[np.zeros(23, dtype=int)])
    assert "--metric" not in refusal(spiking, np.full(23, 0.5)).partition("help")[2]


@pytest.mark.parametrize("metric", ["auto", "accuracy"])
@pytest.mark.parametrize(("dtype", "value", "shown"), [
    (np.float64, 1e30, "1e+30"), (np.float64, -1e30, "-1e+30"), (np.float32, 3e9, "3000000000"),
    (np.uint64, 1 << 63, str(1 << 63)), (np.int8, -1, "-1")])
def test_labels_beyond_the_elements(spiking, metric, dtype, value, shown):
    labels = np.zeros(23, dtype=dtype)
    labels[4] = value
    said = refusal(spiking, labels, metric=metric)
    assert "LHC115" in said
    assert shown in said
    assert "labels are 0 to 2" in said


def test_targets_that_cannot_be_squared(spiking):
    assert "LHC115" in refusal(spiking, np.full((23, 3), 1e200))
    assert "LHC115" in refusal(spiking, np.full((23, 3), np.finfo(np.longdouble).max))


@pytest.mark.parametrize("choices", [{}, {"samples": 5}])
def test_labels_without_a_dimension(spiking, spikes, choices):
    with pytest.raises(InputError, match=r"LHC115.*\n?.*\(\)"):
        evaluate(spiking, spikes[0], np.array(1), **choices)


@pytest.mark.parametrize(("shape", "kept"), [
    ((1, 20), (1, 7)), ((20,), (7,)), ((1,), (1,)), ((1, 1), (1, 1)), ((1, 30), (1, 7)), ((30,), (7,)), ((), ())])
def test_the_first_steps_of_a_single_run(spiking, shape, kept):
    labels = np.zeros(shape, dtype=int)
    assert first_truth(spiking.outputs["output"], labels, (1, 20), 7, of_steps=True).shape == kept


@pytest.mark.parametrize(("shape", "kept"), [
    ((1, 3), (1, 3)), ((1, 20, 3), (1, 2, 3)), ((20, 3), (2, 3)), ((4, 4), (4, 4))])
def test_targets_of_a_single_run(spiking, shape, kept):
    assert first_truth(spiking.outputs["output"], np.zeros(shape), (1, 20), 2, of_steps=True).shape == kept


@pytest.mark.parametrize(("shape", "kept"), [
    ((23,), (5,)), ((23, 20), (5, 20)), ((30,), (5,)), ((30, 20), (5, 20)), ((4,), (4,))])
def test_the_first_samples(spiking, shape, kept):
    labels = np.zeros(shape, dtype=int)
    assert first_truth(spiking.outputs["output"], labels, (23, 20), 5).shape == kept


def test_more_than_there_are(spiking):
    sink = spiking.outputs["output"]
    assert first_truth(sink, np.zeros(100, dtype=int), (1, 20), 50, of_steps=True).shape == (100,)
    assert first_truth(sink, np.zeros(100, dtype=int), (1, 20), 50).shape == (100,)
    assert first_truth(sink, np.zeros(23, dtype=int), (23, 20), 50).shape == (23,)


def test_labels_of_the_steps_of_one_run_with_memory_stay(spiking, spikes):
    labels = np.arange(20) % 3
    whole = evaluate(spiking, spikes[0][0], labels)
    assert evaluate(spiking, spikes[0][0], labels, samples=1).to_json() == whole.to_json()


def test_the_target_of_a_single_run_is_not_cut(stepwise, images):
    target = np.arange(10.0)[None]
    found = evaluate(stepwise, images[0][:12], target, samples=7)
    assert found.to_json() == evaluate(stepwise, images[0][:7], target).to_json()
