"""Resuming: finished shards are used, stale and damaged ones are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from loihic.errors import InputError
from loihic.evaluate import evaluate
from loihic.evaluate.shelf import Shelf


class KilledError(Exception):
    pass


def interrupted(program, data, shelf, after):
    """A run that ends when so many shards are done."""
    def progress(done, of):
        if done >= after:
            raise KilledError

    with pytest.raises(KilledError):
        evaluate(program, *data, shard=4, workers=1, shelf=shelf, progress=progress)


def test_a_killed_run_goes_on(spiking, spikes, tmp_path):
    interrupted(spiking, spikes, Shelf(tmp_path / "p"), 4)
    assert len(Shelf(tmp_path / "p")) == 3  # the fourth was done, but not yet put there
    shelf = Shelf(tmp_path / "p", resume=True)
    found = evaluate(spiking, *spikes, shard=4, shelf=shelf)
    assert (found.resumed, found.shards) == (3, 6)
    assert found.to_json() == evaluate(spiking, *spikes).to_json()
    again = evaluate(spiking, *spikes, shard=4, shelf=shelf)
    assert again.resumed == 6
    np.testing.assert_array_equal(again.answers, found.answers)
    shelf.clear()
    assert not (tmp_path / "p").exists()


def test_nothing_is_taken_unless_asked(spiking, spikes, tmp_path):
    interrupted(spiking, spikes, Shelf(tmp_path / "p"), 4)
    assert evaluate(spiking, *spikes, shard=4, shelf=Shelf(tmp_path / "p")).resumed == 0


@pytest.mark.parametrize("change", ["data", "program", "readout", "float", "shard"])
def test_stale_shards_are_not_used(spiking, spikes, tmp_path, change):
    x, labels = spikes
    evaluate(spiking, x, labels, shard=4, shelf=Shelf(tmp_path / "p"))
    program, choices, resumed = spiking, {"shard": 4}, 0
    if change == "data":
        x, resumed = x.copy(), 5
        x[0, 0, 0] ^= 1
    elif change == "program":
        node = spiking.graph.nodes["last"]
        nodes = {**spiking.graph.nodes, "last": replace(node, vth=node.vth * 2)}
        program = replace(spiking, graph=replace(spiking.graph, nodes=nodes), plan=None)
    elif change == "readout":
        choices["readout"] = "last"
    elif change == "float":
        choices["with_float"] = True
    else:
        choices["shard"], resumed = 5, 1  # the last three samples are a shard either way
    found = evaluate(program, x, labels, **choices, shelf=Shelf(tmp_path / "p", resume=True))
    assert found.resumed == resumed
    assert found.to_json() == evaluate(program, x, labels, **choices).to_json()


@pytest.mark.parametrize("damage", [b"", b"\x80\x04K\x01.", None])
def test_damaged_shards_are_done_again(spiking, spikes, tmp_path, damage):
    evaluate(spiking, *spikes, shard=12, shelf=Shelf(tmp_path / "p"))
    file = sorted((tmp_path / "p").iterdir())[0]
    file.write_bytes(file.read_bytes()[:-9] if damage is None else damage)
    shelf = Shelf(tmp_path / "p", resume=True)
    found = evaluate(spiking, *spikes, shard=12, shelf=shelf)
    assert found.resumed == 1
    assert found.to_json() == evaluate(spiking, *spikes).to_json()


def test_other_files_are_left_alone(tmp_path):
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    (folder / f".{'0' * 64}.shard.abc").write_bytes(b"half")
    shelf = Shelf(folder)
    shelf.put_record("a" * 64, {"x": 1})
    assert (len(shelf), shelf.record("a" * 64)) == (1, None)
    assert Shelf(folder, resume=True).record("a" * 64) == {"x": 1}
    shelf.clear()
    assert [file.name for file in folder.iterdir()] == ["mine.txt"]


def test_a_file_in_its_place(tmp_path):
    (tmp_path / "p").write_text("")
    with pytest.raises(InputError, match="LHC112"):
        Shelf(tmp_path / "p")
