"""sweep: every point of a grid, those that fail among them, and how it is taken up again."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest

import loihic
from loihic.errors import InputError
from loihic.evaluate import evaluate
from loihic.evaluate.pareto import pareto
from loihic.evaluate.shelf import Shelf
from loihic.evaluate.sweep import sweep, variants
from loihic.ops.traits import Reset
from loihic.options import Options
from loihic.partition.resources import SYNAPSES

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def model(tmp_path, network):
    nir.write(tmp_path / "net.nir", network)
    return tmp_path / "net.nir"


@pytest.fixture
def ways():
    return variants(Options(), weight_bits=[8, 3], reset=[Reset.ZERO, Reset.SUBTRACT])


def test_points_are_evaluations(model, ways, spikes):
    found = sweep(model, ways, {"input": spikes[0], "labels": spikes[1]}, costs=["words", "messages"], workers=2)
    assert [point.choices for point in found.points] == [
        {"weight_bits": bits, "reset": reset} for bits in ("8", "3") for reset in ("zero", "subtract")]
    for way, point in zip(ways, found.points, strict=True):
        program = loihic.compile(model, options=way.make())
        alone = evaluate(program, *spikes)
        assert point.figure("accuracy") == alone.accuracy
        assert point.figure("messages") == pytest.approx(sum(one.messages for one in alone.activity))
        assert point.figure("words") == program.plan.figures.memory[:, SYNAPSES].sum()
        assert point.figure("cores") == program.plan.cores
        assert point.figure("latency") == program.latency
    table = np.array([[-p.figure("accuracy"), p.figure("words"), p.figure("messages")] for p in found.points])
    assert [p.is_pareto for p in found.points] == pareto(table).tolist()
    alone = sweep(model, ways[2:3], spikes[0], spikes[1], workers=1).points[0]
    assert (alone.choices, alone.figures) == (found.points[2].choices, found.points[2].figures)


def test_what_fails_is_a_point(model, spikes):
    ways = variants(Options(), cores=[None, 0], delta_threshold=[0, 4], stock_only=[False, True],
                    reset=[Reset.SUBTRACT])
    found = sweep(model, ways, *spikes)
    codes = [point.code for point in found.points]
    assert codes == ["", "LHC402", "LHC702", "LHC702", "LHC702", "LHC702", "LHC702", "LHC702"]
    assert [p.is_pareto for p in found.points] == [True] + [False] * 7


def test_going_on(model, ways, spikes, tmp_path):
    ways = ways[::3]

    class KilledError(Exception):
        pass

    def progress(done, of):
        if done >= 2:
            raise KilledError

    with pytest.raises(KilledError):
        sweep(model, ways, *spikes, workers=1, shelf=Shelf(tmp_path / "p"), progress=progress)
    whole = sweep(model, ways, *spikes)
    shelf = Shelf(tmp_path / "p", resume=True)
    found = sweep(model, ways, *spikes, shelf=shelf)
    assert found.resumed == 1
    assert found.to_json() == whole.to_json()
    assert sweep(model, ways, *spikes, shelf=shelf).resumed == 2
    other = spikes[1].copy()
    other[0] ^= 1
    assert sweep(model, ways[:1], spikes[0], other, shelf=shelf).resumed == 0
    for file in shelf.folder.iterdir():
        file.write_text('{"figures": 3, "error": null}')
    assert sweep(model, ways, *spikes, shelf=shelf).to_json() == whole.to_json()


def test_labels_without_a_dimension_are_points(model, ways, spikes):
    found = sweep(model, ways[:2], {"input": spikes[0], "labels": np.array(1)}, samples=5)
    assert [point.code for point in found.points] == ["LHC115"] * 2


def test_only_points_of_an_earlier_run_are_resumed(model, spikes, tmp_path):
    ways = variants(Options(), cores=[None, 0])
    assert sweep(model, ways, *spikes, shelf=Shelf(tmp_path / "p", resume=True)).resumed == 0
    assert sweep(model, ways, *spikes, shelf=Shelf(tmp_path / "p", resume=True)).resumed == 1


def test_data_beside_the_model_is_part_of_it(tmp_path):
    onnx = pytest.importorskip("onnx")
    path, x = tmp_path / "model.onnx", np.linspace(0, 1, 80).reshape(8, 10)
    onnx.save(onnx.load(EXAMPLES / "quantised" / "friedman_mlp.onnx"), path, save_as_external_data=True,
              location="weights.bin", size_threshold=0)
    weights = tmp_path / "weights.bin"

    def resumed():
        return sweep(path, variants(Options()), x, workers=1, shelf=Shelf(tmp_path / "p", resume=True)).resumed

    content = weights.read_bytes()
    assert [resumed(), resumed()] == [0, 1]
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert resumed() == 0
    weights.unlink()
    assert resumed() == 0
    weights.write_bytes(content)
    assert resumed() == 1


def test_usage(model, ways, spikes, tmp_path):
    with pytest.raises(InputError, match="LHC702"):
        sweep(model, ways, *spikes, costs=["beauty"])
    with pytest.raises(InputError, match="LHC101"):
        sweep(tmp_path / "none.nir", ways, *spikes)
