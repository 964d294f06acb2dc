"""The limits of a chip: what the file says, and what a damaged one is refused for."""

from __future__ import annotations

from pathlib import Path

import pytest

from loihic.errors import InputError
from loihic.targets.limits import CONFIDENCES, FOLDER, chip_limits, read_limits

GOOD = (FOLDER / "loihi2.toml").read_text(encoding="utf-8")


def test_loihi2() -> None:
    limits = chip_limits()
    assert limits is chip_limits("loihi2") or limits == chip_limits("loihi2")
    assert (limits.target, limits.synapse_words, limits.axon_in, limits.axon_map, limits.axon_mem) == (
        "loihi2", 16000, 16000, 16000, 16000)
    assert (limits.neuron_words, limits.neuron_groups, limits.pool_words, limits.cores) == (4095, 8, 20000, 120)
    assert limits.synop_energy == pytest.approx(60e-12)
    assert limits.numbers["energy.synop_all_in"].unit == "J per synaptic operation"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_number_has_a_source(path: Path) -> None:
    numbers = read_limits(path).numbers
    assert len(numbers) >= 9
    for number in numbers.values():
        assert number.source
        assert number.confidence in CONFIDENCES


def test_other_numbers_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + '\n[time.step]\nvalue = 2e-7\nunit = "s"\nsource = "measured"\nconfidence = "H"\n')
    limits = read_limits(path)
    assert limits.target == "mine"
    assert limits.numbers["time.step"].value == 2e-7


@pytest.mark.parametrize(("old", "new", "part"), [
    ("[core.pool_words]", "[core.pond_words]", "core.pool_words is missing"),
    ("value = 4095", "value = 4095.5", "core.neuron_words must be a whole number"),
    ("value = 4095", "value = 0", "core.neuron_words must be a whole number"),
    ("value = 4095", "value = -3", "core.neuron_words.value"),
    ("value = 4095", "value = true", "core.neuron_words.value"),
    ("value = 4095", 'value = "many"', "core.neuron_words.value"),
    ("value = 4095", "value = nan", "core.neuron_words.value"),
    ('unit = "cores"', "", "chip.cores.unit"),
    ('unit = "cores"', 'unit = " "', "chip.cores.unit"),
    ('confidence = "H"', 'confidence = "sure"', "chip.cores.confidence"),
    ("[chip.cores]\nvalue", "[chip.cores]\nworth", "chip.cores.worth must be a table"),
    ("value = 4095", "value = = 4095", "line"),
])
def test_a_malformed_file_says_what_is_wrong(tmp_path: Path, old: str, new: str, part: str) -> None:
    assert old in GOOD
    path = tmp_path / "bad.toml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(InputError) as caught:
        read_limits(path)
    finding, = caught.value.diagnostics
    assert finding.code == "LHC101"
    assert "bad.toml" in finding.message
    assert part in finding.param


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_limits(tmp_path / "none.toml")
    assert caught.value.diagnostics[0].code == "LHC101"


def test_unknown_target() -> None:
    with pytest.raises(InputError, match="loihi2") as caught:
        chip_limits("loihi9")
    assert caught.value.diagnostics[0].code == "LHC701"
