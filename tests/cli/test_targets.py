"""targets: what is known, and every number with its source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loihic.report.targets import NumberRow
from loihic.targets.limits import Number, chip_limits, known_chips
from loihic.targets.systems import known_systems


def test_overview(call):
    text = call("targets").stdout
    found = json.loads(call("targets", "--json").stdout)
    assert {item["name"] for item in found["chips"]} == set(known_chips())
    assert {item["name"] for item in found["systems"]} == set(known_systems())
    assert all(item["name"] in text for item in (*found["chips"], *found["systems"]))
    assert "138240" in text


@pytest.mark.parametrize("name", [*known_chips(), *known_systems()])
def test_every_number_is_printed(call, name):
    text = call("targets", name).stdout
    found = json.loads(call("targets", name, "--json").stdout)
    assert (found["ok"], found["name"]) == (True, name)
    for number in found["numbers"]:
        assert number["name"] in text
        assert number["source"].split()[0] in text
    assert set(chip_limits("loihi2").numbers) <= {number["name"] for number in found["numbers"]}


def test_a_file_of_ones_own(call, folder):
    Path("mine.toml").write_text('base = "loihi2"\n[core.axon_in]\nvalue = 123\nsource = "here"\nconfidence = "H"\n')
    assert "123" in call("targets", "mine.toml").stdout
    numbers = json.loads(call("targets", "mine.toml", "--json").stdout)["numbers"]
    assert next(item for item in numbers if item["name"] == "core.axon_in") == {
        "name": "core.axon_in", "value": 123, "low": None, "high": None, "unit": "64-bit words", "confidence": "H",
        "source": "here"}


def test_unknown_names(call):
    result = call("targets", "loihi9")
    assert result.exit_code == 2
    assert "hala-point" in result.stderr
    assert call("targets", "none.toml").exit_code == 1


@pytest.mark.parametrize(("low", "high", "interval"), [
    (None, None, ""), (1, None, "from 1"), (None, 3, "to 3"), (1, 3, "1 to 3"), (0, 2, "0 to 2")])
def test_intervals(low, high, interval):
    number = Number(value=2, low=low, high=high, unit="s", source="here", confidence="H")
    assert NumberRow(name="time.step", number=number).cells() == ("time.step", "2", interval, "s", "H", "here")


def test_options_of_compile(call, model):
    assert call("compile", model, "--target", "loihi9").exit_code == 2
    assert call("compile", model, "--system", "alia-point", "--chips", "40").exit_code == 2
    assert call("check", model, "--system", "kapoho-point", "--chips", "2", "--objective", "energy", "--placement",
                "linear").exit_code == 0
