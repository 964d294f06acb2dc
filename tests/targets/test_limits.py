"""The limits of a chip: what the files say, how one builds on another, and what a damaged one is refused for."""

from __future__ import annotations

import os
from math import sqrt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loihic.errors import InputError
from loihic.options import Options
from loihic.report.targets import rows
from loihic.targets import limits as limits_module
from loihic.targets.limits import (
    CONFIDENCES,
    FIELDS,
    FOLDER,
    Limits,
    Number,
    chip_limits,
    known_chips,
    limits_of,
    read_limits,
)
from loihic.targets.numbers import FILE_BYTES, PARTS

GOOD = (FOLDER / "loihi2.toml").read_text(encoding="utf-8")
OVERLAY = 'base = "loihi2"\n[core.synapse_words]\nvalue = 9000\nsource = "measured"\nconfidence = "H"\n'


def refused(path: Path, text: str | None = None) -> str:
    """The parameter and help of the only finding about a file."""
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_limits(path)
    finding, = caught.value.diagnostics
    assert finding.code == "LHC101"
    assert path.name in finding.message
    return f"{finding.param} | {finding.help}"


def read_or_refused(path: Path) -> Limits | None:
    """The limits in a file, or None where it was refused as malformed; nothing else may happen."""
    try:
        return read_limits(path)
    except InputError as error:
        codes = {item.code for item in error.diagnostics}
    assert codes == {"LHC101"}
    return None


# ------------------------------------------------------------------------------------------------------ shipped chips

def test_loihi2() -> None:
    limits = chip_limits()
    assert limits is chip_limits("loihi2") or limits == chip_limits("loihi2")
    assert (limits.target, limits.synapse_words, limits.axon_in, limits.axon_map, limits.axon_mem) == (
        "loihi2", 16000, 16000, 16000, 16000)
    assert (limits.neuron_words, limits.neuron_groups, limits.pool_words, limits.cores) == (4095, 8, 20000, 120)
    assert (limits.state_words, limits.delay_bits, limits.longest_delay) == (1, 6, 63)
    assert limits.synop_energy == pytest.approx(60e-12)
    assert limits.numbers["energy.synop_all_in"].unit == "J per synaptic operation"
    assert limits.graded


def test_loihi1() -> None:
    limits = chip_limits("loihi1")
    assert (limits.neuron_words, limits.synapse_words, limits.axon_in, limits.axon_map, limits.cores) == (
        1024, 16384, 4096, 4096, 128)
    assert not limits.graded
    # No pool is known, so that none may bind.
    assert limits.pool_words == (limits.synapse_words + limits.axon_in + limits.axon_map + limits.axon_mem
                                 + limits.neuron_words + limits.neuron_groups)


def test_an_older_compiler_differs_in_one_number() -> None:
    old, new = chip_limits("loihi2-synmem12000"), chip_limits("loihi2")
    assert (old.target, old.chip, old.synapse_words) == ("loihi2-synmem12000", "loihi2", 12000)
    assert [name for name in new.numbers if old.numbers[name] != new.numbers[name]] == ["core.synapse_words"]
    assert list(old.numbers) == list(new.numbers)


@pytest.mark.parametrize("name", known_chips())
def test_every_number_has_a_source(name: str) -> None:
    limits = chip_limits(name)
    found = rows(limits)
    assert {row.name for row in found} == set(limits.numbers)
    assert set(FIELDS.values()) <= set(limits.numbers)
    for row in found:
        number = row.number
        assert number.source.strip(), row.name
        assert number.unit.strip(), row.name
        assert number.confidence in CONFIDENCES, row.name
        assert number.interval[0] <= number.value <= number.interval[1], row.name


@pytest.mark.parametrize("name", known_chips())
def test_rates_are_intervals(name: str) -> None:
    rates = chip_limits(name).rates
    for number in (rates.neuron_update, rates.synop, rates.memory_read, rates.barrier):
        assert number.low is not None
        assert number.high is not None
        assert 0 < number.low <= number.value <= number.high < 1e-6


def test_derived_values_are_what_their_sources_say() -> None:
    one, two = chip_limits("loihi1"), chip_limits("loihi2")
    close = {"rel": 0.02}
    assert two.rates.synop.value == pytest.approx(sqrt(152.8e-6 / 75e3 * (152.8e-6 / 150e3)), rel=0.04)
    assert two.rates.neuron_update.value == pytest.approx(sqrt(2.7e-9 * 4.2e-9), **close)
    assert two.rates.memory_read.value == pytest.approx(64 / 20 * two.rates.synop.value, **close)
    assert one.rates.memory_read.value == pytest.approx(64 / 20 * one.rates.synop.value, **close)
    assert one.link_bandwidth == pytest.approx(one.message_bits / sqrt(4.1e-9 * 6.5e-9), **close)
    assert two.link_bandwidth == pytest.approx(2 * one.link_bandwidth)
    assert two.chip_bandwidth == pytest.approx(8 * 4.3e9)
    assert one.chip_bandwidth == pytest.approx(two.chip_bandwidth / 4)
    assert one.synop_energy == pytest.approx(3.4406e-3 / 51549374, **close)
    for limits in (one, two):
        side = limits.chip_bandwidth / 4
        narrow, wide = (count * limits.link_bandwidth / side - 1 for count in (limits.mesh_rows, limits.mesh_columns))
        assert limits.source("chip_crossing").interval == pytest.approx((narrow, wide), abs=0.6)
        assert limits.chip_crossing == pytest.approx(sqrt((narrow + 1) * (wide + 1)) - 1, abs=0.5)
        assert limits.neuron_update_energy == pytest.approx(sqrt(52e-12 * 81e-12), **close)


@pytest.mark.parametrize("name", known_chips())
def test_source_is_the_number_of_the_attribute(name: str) -> None:
    limits = chip_limits(name)
    assert set(FIELDS) == set(Limits.__dataclass_fields__) - {"target", "chip", "rates", "numbers"}
    for attribute in FIELDS:
        assert limits.source(attribute).value == getattr(limits, attribute)
    with pytest.raises(KeyError):
        limits.source("target")


# ------------------------------------------------------------------------------------------------- files of one's own

def test_other_numbers_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + '\n[time.step]\nvalue = 2e-7\nunit = "s"\nsource = "measured"\nconfidence = "H"\n')
    limits = read_limits(path)
    assert (limits.target, limits.chip) == ("mine", "mine")
    assert limits.numbers["time.step"].value == 2e-7


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_an_overlay_changes_what_it_names(tmp_path: Path, newline: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(OVERLAY.replace("\n", newline).encode())
    limits = chip_limits(str(path))
    assert (limits.target, limits.chip, limits.synapse_words, limits.axon_in) == ("mine", "loihi2", 9000, 16000)
    number = limits.source("synapse_words")
    assert (number.unit, number.source, number.confidence) == ("64-bit words", "measured", "H")
    # The base is what it was, and the file is read anew each time.
    assert chip_limits("loihi2").synapse_words == 16000
    path.write_text(OVERLAY.replace("9000", "9001"))
    assert chip_limits(str(path)).synapse_words == 9001


def test_an_interval_is_not_inherited(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "loihi2"\n[time.synop]\nvalue = 1e-8\nsource = "measured"\nconfidence = "H"\n')
    assert read_limits(path).rates.synop.interval == (1e-8, 1e-8)


def test_a_barrier_may_take_no_time(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "loihi2"\n[time.barrier]\nvalue = 0\nsource = "ideal"\nconfidence = "X"\n')
    assert read_limits(path).rates.barrier.value == 0


def test_an_overlay_of_an_overlay(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "loihi2-synmem12000"\n[core.axon_in]\nvalue = 1\nsource = "s"\nconfidence = "X"\n')
    limits = read_limits(path)
    assert (limits.chip, limits.synapse_words, limits.axon_in) == ("loihi2", 12000, 1)


@pytest.mark.parametrize(("old", "new", "part"), [
    ("core.synapse_words", "core.synaps_words", "core.synaps_words is no number of what this file builds on | did you "
                                                "mean core.synapse_words"),
    ("core.synapse_words", "zzz", "known: chip.cores"),
    ('source = "measured"', "", "core.synapse_words.source"),
    ('confidence = "H"', "", "core.synapse_words.confidence"),
    ('confidence = "H"', 'confidence = ["H"]', "core.synapse_words.confidence"),
    ("value = 9000", "", "core.synapse_words.value is missing"),
    ("value = 9000", "value = 9000\nhigh = 8000", "core.synapse_words.high must be at least the value"),
    ("value = 9000", "value = 9000\nlow = 9001", "core.synapse_words.low must be at most the value"),
    ("value = 9000", "value = 9000\nlow = -1", "core.synapse_words.low must be a number from 0"),
    ("value = 9000", "value = 9000\nhihg = 9001", "core.synapse_words.hihg is no part of a number | did you mean high"),
    ("value = 9000", 'value = 9000\nunit = "bytes"', "core.synapse_words.unit must be '64-bit words' or left out"),
    ("value = 9000", "value = 3000000000", "must be a whole number from 1 to"),
    ('"loihi2"', '"loihi3"', "base = loihi3 is no chip that loihic knows | did you mean loihi2"),
    ('"loihi2"', '"../chips/loihi2"', "base = ../chips/loihi2 is no chip"),
    ('"loihi2"', '""', "base =  is no chip that loihic knows"),
    ('"loihi2"', "2", "base must be a name in quotes"),
    ('"loihi2"', '["loihi2"]', "base must be a name in quotes"),
    ('"loihi2"', '"mine"', "base builds on itself: mine -> mine"),
    ("[core.synapse_words]", '["core.synapse_words"]', "is no name"),
    ("[core.synapse_words]", "[chip.cores]", "chip.cores = 9000 are more than the mesh has places for, 128"),
    ("[core.synapse_words]", "[system.chips]", "system is a table that only the file of a system has | give this file "
                                               "as --system"),
])
def test_a_malformed_overlay_says_what_is_wrong(tmp_path: Path, old: str, new: str, part: str) -> None:
    assert old in OVERLAY
    assert part in refused(tmp_path / "mine.toml", OVERLAY.replace(old, new))


def test_a_file_does_not_build_on_its_own_name(tmp_path: Path) -> None:
    assert "builds on itself: loihi2 -> loihi2" in refused(tmp_path / "loihi2.toml", OVERLAY)


def test_a_file_does_not_build_on_itself_through_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "FOLDER", tmp_path)
    for name, base in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.toml").write_text(f'base = "{base}"\n')
    with pytest.raises(InputError, match="base builds on itself: a -> b -> c -> a"):
        read_limits(tmp_path / "a.toml")


@pytest.mark.parametrize(("old", "new", "part"), [
    ("[core.pool_words]", "[core.pond_words]", "core.pool_words is missing"),
    ("value = 4095", "value = 4095.5", "core.neuron_words must be a whole number"),
    ("value = 4095", "value = 0", "core.neuron_words must be a whole number"),
    ("value = 4095", "value = -3", "core.neuron_words.value"),
    ("value = 4095", "value = true", "core.neuron_words.value"),
    ("value = 4095", 'value = "many"', "core.neuron_words.value"),
    ("value = 4095", "value = nan", "core.neuron_words.value"),
    ("value = 4095", "value = inf", "core.neuron_words.value"),
    ("value = 4095", f"value = 0x{'f' * 1900}", "core.neuron_words.value"),
    ("value = 12.4e9\nlow = 6.2e9", "value = 0.0", "mesh.link_bandwidth must be above 0"),
    ('unit = "cores"', "", "chip.cores.unit"),
    ('unit = "cores"', 'unit = " "', "chip.cores.unit"),
    ('says 152"\nconfidence = "H"', 'says 152"\nconfidence = "sure"', "chip.cores.confidence"),
    ("[chip.cores]\nvalue", "[chip.cores]\nworth", "chip.cores.worth must be a table"),
    ("value = 4095", "value = = 4095", "line"),
    ("value = 1.4e-9\nlow = 0.37e-9", "value = 0", "time.synop must be above 0"),
    ("[mesh.rows]\nvalue = 4", "[mesh.rows]\nvalue = 1_000_000", "mesh has places for 32000000 cores, 16777216"),
])
def test_a_malformed_file_says_what_is_wrong(tmp_path: Path, old: str, new: str, part: str) -> None:
    assert old in GOOD
    assert part in refused(tmp_path / "bad.toml", GOOD.replace(old, new))


# ------------------------------------------------------------------------------------------------------ hostile files

@pytest.mark.parametrize(("text", "part"), [
    ("#" * 1000 + "\n" + "# \n" * (FILE_BYTES // 3), "larger than 1000000 bytes"),
    (".".join("a" * 100_000) + " = 1", "a line of more than 2000 characters"),
    ("a = " + "[\n" * 100_000, "nested too deeply"),
    ("a = " + "{a = " * 300 + "1" + "}" * 300, "nested too deeply"),
    (".".join("a" * 500) + " = {value = 1}", "nested too deeply"),
    ("a = 1979-05-27", "must be a table"),
    ("[[core]]", "core must be a table"),
])
def test_a_hostile_file_is_refused(tmp_path: Path, text: str, part: str) -> None:
    assert part in refused(tmp_path / "bad.toml", text)


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.toml")
    folder, pipe, binary = tmp_path / "folder.toml", tmp_path / "pipe.toml", tmp_path / "binary.toml"
    folder.mkdir()
    os.mkfifo(pipe)
    binary.write_bytes(b"\xff\xfe\x00")
    assert "not a regular file" in refused(folder)
    assert "not a regular file" in refused(pipe)
    assert "utf-8" in refused(binary)


@pytest.mark.parametrize("target", ["loihi9", "", ".", "loihi2 ", "LOIHI2"])
def test_unknown_target(target: str) -> None:
    with pytest.raises(InputError, match="loihi2") as caught:
        chip_limits(target)
    assert caught.value.diagnostics[0].code == "LHC701"


@pytest.mark.parametrize("target", ["/dev/zero", "/", "../../loihi2", "a\0.toml", "x" * 5000 + ".toml", ".toml"])
def test_paths_that_lead_nowhere(target: str) -> None:
    with pytest.raises(InputError) as caught:
        chip_limits(target)
    assert caught.value.diagnostics[0].code == "LHC101"


LINES = st.sampled_from([*OVERLAY.splitlines(), *GOOD.splitlines()[9:40], "[system]", 'chip = "loihi2"'])
SCALARS = st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=20), st.none(),
                    st.lists(st.integers(), max_size=2))


@given(text=st.one_of(st.text(max_size=300), st.lists(st.one_of(LINES, st.text(max_size=20))).map("\n".join)))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "fuzz.toml"
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    limits = read_or_refused(path)
    assert limits is None or limits.chip == "loihi2"


@given(data=st.binary(max_size=300))
def test_any_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "fuzz.toml"
    path.write_bytes(data)
    assert read_or_refused(path) is None


@given(at=st.integers(0, len(GOOD) - 1), cut=st.integers(0, 60), put=st.text(max_size=8))
def test_a_damaged_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, at: int, cut: int,
                                           put: str) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "fuzz.toml"
    path.write_bytes((GOOD[:at] + put + GOOD[at + cut:]).encode("utf-8", errors="surrogatepass"))
    limits = read_or_refused(path)
    assert limits is None or limits.cores <= limits.mesh_columns * limits.mesh_rows * limits.cores_per_router


@given(name=st.sampled_from(sorted(FIELDS.values())), entry=st.dictionaries(st.sampled_from(PARTS), SCALARS))
def test_any_override_is_taken_or_refused(tmp_path_factory: pytest.TempPathFactory, name: str,
                                          entry: dict[str, object]) -> None:
    def written(value: object) -> str:
        if isinstance(value, str):
            return "'" + "".join(c for c in value if c.isprintable() and c != "'") + "'"
        return str(value).lower()

    path = tmp_path_factory.mktemp("fuzz") / "fuzz.toml"
    parts = "\n".join(f"{key} = {written(value)}" for key, value in entry.items())
    path.write_bytes(f'base = "loihi2"\n[{name}]\n{parts}\n'.encode("utf-8", errors="surrogatepass"))
    limits = read_or_refused(path)
    if limits is not None:
        number = limits.numbers[name]
        assert number.source
        assert number.interval[0] <= number.value <= number.interval[1]


@given(value=st.one_of(st.integers(0, 1 << 40), st.floats(0, 1e300)), name=st.sampled_from(sorted(FIELDS)))
def test_limits_are_what_their_numbers_are(value: float, name: str) -> None:
    base = chip_limits("loihi2")
    number = Number(value=value, unit="u", source="s", confidence="X")
    try:
        limits = limits_of({**base.numbers, FIELDS[name]: number}, target="t", chip="loihi2", path=Path("t.toml"))
    except InputError:
        return
    assert getattr(limits, name) == value


def test_options_take_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OVERLAY)
    options = Options(target=str(path))
    assert options.machine.limits.synapse_words == 9000
    path.unlink()
    assert options.machine.limits.synapse_words == 9000
