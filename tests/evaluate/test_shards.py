"""Shards: how large they are, what they share, and where a fault is said to lie."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import numpy as np
import pytest

import loihic.artifact
from loihic.errors import BackendError, InputError
from loihic.evaluate import activity, evaluate, shards
from loihic.evaluate.shards import Setting, Shard, cut, run_shard, shard_key
from loihic.sim.run import begin
from loihic.targets.lava import backend


def test_shards_are_of_like_size(spiking, monkeypatch):
    monkeypatch.setattr(shards, "shard_size", lambda *given: 22)
    pieces = cut(spiking, 23, 20)
    assert [piece.last - piece.first for piece in pieces] == [12, 11]
    assert all(one.last == other.first for one, other in pairwise(pieces))
    monkeypatch.setattr(shards, "shard_size", lambda *given: 30)
    assert len(cut(spiking, 23, 20)) == 1


def test_the_steps_of_a_run_are_cut_alike(stepwise, monkeypatch):
    monkeypatch.setattr(shards, "shard_size", lambda *given: 50)
    assert [piece.stop - piece.start for piece in cut(stepwise, 1, 101)] == [34, 34, 33]


def test_a_wanted_size_is_kept_to(spiking):
    assert [piece.last - piece.first for piece in cut(spiking, 23, 20, size=22)] == [22, 1]


def test_shards_are_worth_their_start(spiking, monkeypatch):
    monkeypatch.setattr(shards, "EVENTS", 1 << 12)
    monkeypatch.setattr(shards, "START_EVENTS", 0)
    small = shards.shard_size(spiking, 20, "sim")
    monkeypatch.setattr(shards, "START_EVENTS", 1 << 12)
    large = shards.shard_size(spiking, 20, "sim")
    assert 1 <= small < large / 10
    monkeypatch.setattr(shards, "MEMORY", 0)
    assert shards.shard_size(spiking, 20, "sim") == 1


def test_the_engine_is_chosen_for_all_shards_together(spiking, spikes, monkeypatch):
    told = []

    def noted(graph, batch, **given):
        told.append((batch, given["steps"]))
        return begin(graph, batch, **given)

    monkeypatch.setattr(activity, "begin", noted)
    evaluate(spiking, *spikes, shard=4, workers=1)
    assert told[0] == (4, 6 * (20 + spiking.latency))


def test_a_program_is_decoded_once_in_a_process(spiking, spikes, monkeypatch):
    content, loads, decoded = loihic.artifact.dumps(spiking), loihic.artifact.loads, []

    def slow(*given):
        decoded.append(loads(*given))
        time.sleep(0.1)
        return decoded[-1]

    monkeypatch.setattr(loihic.artifact, "loads", slow)
    shards._decoded.cache_clear()
    piece = Shard(first=0, last=2, start=0, stop=20)
    job = (Setting(output="output", readout="sum"), piece, piece.of({"input": spikes[0]}))
    threads = [threading.Thread(target=run_shard, args=(content, job, lambda share: None)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decoded) == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_a_fault_is_where_it_is_in_the_data(spiking, spikes, workers):
    x = spikes[0].copy()
    x[11, 3] = 9
    with pytest.raises(InputError, match="LHC111") as caught:
        evaluate(spiking, x, spikes[1], shard=4, workers=workers)
    assert "in step 3 of sample 11" in str(caught.value)


def test_a_fault_in_a_step_of_a_long_run(spiking, spikes):
    piece = Shard(first=0, last=1, start=12, stop=17)
    arrays = piece.of({"input": spikes[0].copy()})
    arrays["input"][0, 1] = 9
    with pytest.raises(InputError, match="LHC111") as caught:
        run_shard(spiking, (Setting(output="output", readout="each"), piece, arrays), lambda share: None)
    assert "in step 13 of sample 0" in str(caught.value)


def test_shards_of_another_version_are_not_taken(spikes, monkeypatch):
    setting, arrays = Setting(output="output", readout="sum"), {"input": spikes[0]}
    key = shard_key("0", setting, arrays)
    assert key == shard_key("0", setting, arrays)
    monkeypatch.setattr(loihic, "__version__", "0.0.0")
    assert key != shard_key("0", setting, arrays)


def test_shards_under_way_on_lava_are_ended(spiking, spikes, monkeypatch):
    """Two at once: the first fails while the other, which would take a minute, waits for its processes."""
    begun, ended, lock = [], threading.Event(), threading.Lock()

    def slow_network(network, inputs, steps, *, beat, **given):
        with lock:
            begun.append(steps)
            first = len(begun) == 1
        until = time.monotonic() + 60
        while time.monotonic() < until and not (first and len(begun) == 2):
            try:
                beat()
            except BaseException:
                ended.set()
                raise
            time.sleep(0.01)
        raise BackendError([])

    monkeypatch.setattr(backend, "run_network", slow_network)
    before = time.monotonic()
    with pytest.raises(BackendError):
        evaluate(spiking, *spikes, backend="lava", shard=12, workers=2)
    assert ended.is_set()
    assert time.monotonic() - before < 20


def test_progress_on_lava(spiking, spikes, monkeypatch):
    told = []

    def network(network, inputs, steps, *, beat, on_progress, **given):
        for sample in range(4):
            on_progress(f"sample {sample + 1}/4: 0.1 s")
            beat()
        return {"sink/output": np.zeros((4, steps, 3), dtype=np.int32)} | {
            f"{name}.out": np.zeros((4, steps, *spiking.graph.shapes[name]), dtype=np.int32)
            for name in ("hidden", "last")}

    monkeypatch.setattr(backend, "run_network", network)
    evaluate(spiking, spikes[0][:4], backend="lava", workers=1, progress=lambda done, of: told.append(done))
    assert told == [0.25, 0.5, 0.75, 1.0, 1.0]
