"""evaluate: what it finds, and that it does not depend on how the work is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loihic.errors import InputError
from loihic.evaluate import evaluate
from loihic.evaluate.shards import forgetful
from loihic.ops.population import Population
from loihic.sim.simulator import simulate


def same(one, other):
    assert one.to_json() == other.to_json()
    for name, values in one.arrays().items():
        np.testing.assert_array_equal(values, other.arrays()[name], err_msg=name)


def test_accuracy_is_that_of_the_counts(spiking, spikes):
    x, labels = spikes
    found = evaluate(spiking, x, labels)
    counts = spiking.run(x).outputs["output"].sum(axis=1)
    np.testing.assert_array_equal(found.answers, counts)
    assert found.accuracy == np.mean(counts.argmax(axis=1) == labels)
    assert found.silent == np.sum(counts.sum(axis=1) == 0)
    assert found.questions.readout == "sum"
    assert (found.samples, found.steps, found.shards) == (23, 20, 1)


def test_messages_are_those_that_answer_the_input(spiking, spikes):
    x, labels = spikes
    encoded = spiking.encode(x)
    wanted = [(name, "out") for name, node in spiking.graph.nodes.items() if isinstance(node, Population)]
    _, recorded = simulate(spiking.graph, encoded, 20 + spiking.latency, record=wanted)
    found = {one.node: one for one in evaluate(spiking, x, labels).activity}
    assert set(found) == {"input", *(name for name, _ in wanted)}
    assert found["input"].messages == pytest.approx(np.count_nonzero(x) / (23 * 20))
    for name, _ in wanted:
        start = spiking.graph.nodes[name].start
        sent = np.count_nonzero(recorded[name, "out"][:, start : start + 20].reshape(23 * 20, -1), axis=0)
        np.testing.assert_array_equal(found[name].rates, sent / (23 * 20))
        assert found[name].dead == np.mean(sent == 0)
        assert found[name].saturated == np.mean(sent == 23 * 20)


@settings(max_examples=8)
@given(shard=st.integers(1, 30), workers=st.integers(1, 4), readout=st.sampled_from(["sum", "mean", "last", "max"]))
def test_shards_do_not_matter(spiking, spikes, shard, workers, readout):
    x, labels = spikes
    whole = evaluate(spiking, x, labels, readout=readout, shard=1000, workers=1)
    found = evaluate(spiking, x, labels, readout=readout, shard=shard, workers=workers)
    same(found, whole)
    assert found.shards == -(-23 // shard)


@settings(max_examples=3)
@given(shard=st.integers(3, 24), workers=st.integers(1, 3))
def test_a_run_without_memory_is_cut_between_steps(stepwise, images, shard, workers):
    x, labels = images[0][:24], images[1][:24]
    assert forgetful(stepwise)
    whole = evaluate(stepwise, x, labels, shard=1000)
    assert whole.shards == 1
    assert whole.questions.readout == "each"
    same(evaluate(stepwise, x, labels, shard=shard, workers=workers), whole)
    same(evaluate(stepwise, x[None], labels[None], shard=shard), whole)
    assert whole.accuracy == np.mean(stepwise.run(x).outputs["output"][0].argmax(axis=1) == labels)


def test_a_network_with_memory_is_not(spiking, spikes):
    assert not forgetful(spiking)
    found = evaluate(spiking, spikes[0][0], spikes[1][:1], shard=3)
    assert (found.samples, found.shards) == (1, 1)


def test_changes_are_not_cut_between_steps(regressing_by_changes):
    assert not forgetful(regressing_by_changes)


def test_one_answer_of_a_long_run_takes_all_steps(stepwise, images):
    found = evaluate(stepwise, images[0][:12], images[1][:1], shard=5, readout="sum")
    assert (found.shards, len(found.answers)) == (1, 1)


@pytest.mark.parametrize("readout", ["auto", "last"])
def test_regression(regressing, readout):
    rng = np.random.default_rng(0)
    x = rng.random((6, 5, 10)).astype(np.float32)
    values = regressing.dequantise(regressing.run(x).outputs)["output"]
    read = values.mean(axis=1) if readout == "auto" else values[:, -1]
    found = evaluate(regressing, x, read[:, 0] + 0.5, readout=readout, with_float=True)
    assert found.questions.metric == "regression"
    assert found.score.regression.overall["mae"] == pytest.approx(0.5)
    assert found.score.regression.overall["rmse"] == pytest.approx(0.5)
    np.testing.assert_allclose(found.answers, read, rtol=1e-12)
    assert found.floats.agreement is None
    assert found.floats.rmse < 1
    each = evaluate(regressing, x, values, with_float=True)
    assert each.questions.readout == "each"
    assert each.score.regression.overall["r2"] == pytest.approx(1)


def test_without_labels(spiking, spikes):
    found = evaluate(spiking, spikes[0], with_float=True)
    assert found.accuracy is None
    assert found.to_json()["classification"] is None
    floats = spiking.run_float(spikes[0])["output"].sum(axis=1)
    np.testing.assert_allclose(found.floats.answers, floats)
    assert found.floats.agreement == np.mean(found.chosen == floats.argmax(axis=1))


def test_samples(spiking, stepwise, spikes, images):
    same(evaluate(spiking, *spikes, samples=5), evaluate(spiking, spikes[0][:5], spikes[1][:5]))
    first = evaluate(stepwise, images[0][:7], images[1][:7])
    same(evaluate(stepwise, *images, samples=7), first)
    same(evaluate(stepwise, images[0][None], images[1][None], samples=7), first)


def test_mapped_arrays(spiking, spikes, tmp_path):
    np.save(tmp_path / "x.npy", spikes[0])
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    same(evaluate(spiking, mapped, spikes[1], shard=4), evaluate(spiking, *spikes))


@pytest.mark.parametrize(("choices", "code", "words"), [
    ({"labels": np.arange(23)}, "LHC115", "labels are 0 to 22"),
    ({"labels": np.zeros(22, dtype=int)}, "LHC115", "(22,)"),
    ({"labels": np.full(23, np.nan)}, "LHC115", "finite"),
    ({"labels": np.full(23, 0.5), "metric": "accuracy"}, "LHC115", "whole"),
    ({"metric": "accuracy"}, "LHC115", "needs labels"),
    ({"labels": np.zeros((23, 20), dtype=int), "readout": "sum"}, "LHC702", "each"),
    ({"backend": "abacus"}, "LHC702", "abacus"),
    ({"readout": "median"}, "LHC702", "median"),
    ({"output": "nobody"}, "LHC701", "nobody"),
])
def test_what_does_not_go_together(spiking, spikes, choices, code, words):
    with pytest.raises(InputError, match=code) as caught:
        evaluate(spiking, spikes[0], **choices)
    assert words in str(caught.value)


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_in_a_shard_ends_the_run(spiking, spikes, workers):
    x = spikes[0].copy()
    x[11] = 9
    with pytest.raises(InputError, match="LHC111"):
        evaluate(spiking, x, spikes[1], shard=2, workers=workers)


def test_progress_ends_with_everything(spiking, spikes):
    told = []
    evaluate(spiking, *spikes, shard=4, workers=2, progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (6, 6)
    assert all(0 <= done <= of for done, of in told)


def test_torch_finds_the_same(spiking, spikes):
    pytest.importorskip("torch")
    pytest.importorskip("loihic.sim.torch_engine")
    found = evaluate(spiking, *spikes, backend="torch").to_json()
    assert {**found, "backend": "sim"} == evaluate(spiking, *spikes).to_json()


def test_lava_finds_the_same(spiking, spikes):
    pytest.importorskip("lava")
    x, labels = spikes[0][:4], spikes[1][:4]
    found = evaluate(spiking, x, labels, backend="lava", shard=2, workers=2, timeout=120).to_json()
    assert {**found, "backend": "sim"} == evaluate(spiking, x, labels).to_json()
