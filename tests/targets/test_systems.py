"""Systems: the shipped ones, counted chips, files of one's own, and the options that choose them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loihic.commands import choices
from loihic.errors import InputError
from loihic.options import OBJECTIVES, PLACEMENTS, Options
from loihic.report.targets import NumberRow, rows, system_rows
from loihic.targets import systems as systems_module
from loihic.targets.limits import CONFIDENCES, chip_limits, known_chips
from loihic.targets.systems import FOLDER, NAMES, System, counted, known_systems, most_chips, nearest, system

NUMBER = '[{}]\nvalue = {}\nsource = "measured"\nconfidence = "H"\n'
OWN = ('[system]\nchip = "loihi1"\n' + NUMBER.format("system.chips", 6) + NUMBER.format("system.chip_columns", 3))


def refused(call: Callable[[], object], code: str) -> str:
    """What the only finding says."""
    with pytest.raises(InputError) as caught:
        call()
    finding, = caught.value.diagnostics
    assert finding.code == code
    return f"{finding.message} | {finding.param} | {finding.help}"


# ---------------------------------------------------------------------------------------------------- shipped systems

@pytest.mark.parametrize(("name", "chips", "columns"), [
    ("oheo-gulch", 1, 1), ("kapoho-point", 8, 4), ("alia-point", 32, 8), ("hala-point", 1152, 36)])
def test_shipped(name: str, chips: int, columns: int) -> None:
    found = system(name)
    assert (found.name, found.chips, found.chip_columns, found.limits) == (name, chips, columns, chip_limits("loihi2"))
    assert found.cores == chips * 120
    assert chips % columns == 0


@pytest.mark.parametrize("name", known_systems())
def test_every_number_has_a_source(name: str) -> None:
    found = system(name)
    assert set(found.numbers) == set(NAMES)
    assert [row.name for row in rows(found)] == [*found.numbers, *found.limits.numbers]
    for number in found.numbers.values():
        assert number.source.strip()
        assert number.unit == "chips"
        assert number.confidence in CONFIDENCES
        assert number.interval[0] <= number.value <= number.interval[1]


def test_hala_point_says_how_many_cores_it_is_sold_with() -> None:
    assert "122 per chip" in system("hala-point").numbers["system.chips"].source


@pytest.mark.parametrize("name", [*known_systems(), *known_chips()])
def test_mesh_has_a_router_for_every_core(name: str) -> None:
    found = system(name)
    mesh = found.mesh()
    assert mesh.sites == found.cores
    column, row = mesh.routers(np.arange(mesh.sites))
    _, cores = np.unique(column * 10_000 + row, return_counts=True)
    assert cores.max() == found.limits.cores_per_router
    assert column.max() < found.chip_columns * mesh.columns
    assert mesh.crossing == found.limits.chip_crossing


# ------------------------------------------------------------------------------------------------------ counted chips

@given(chips=st.integers(1, 5000), chip=st.sampled_from(known_chips()))
def test_any_number_of_chips(chips: int, chip: str) -> None:
    found = system(chip, chips)
    assert (found.name, found.chips) == (chip, chips)
    assert (found.chip_columns - 1) ** 2 < chips <= found.chip_columns ** 2


def test_a_chip_alone_is_one() -> None:
    assert system("loihi2") == counted(chip_limits("loihi2")) == system("loihi2", 1)


@given(chips=st.integers(1, 1152))
def test_part_of_a_system(chips: int) -> None:
    found = system("hala-point", chips)
    assert (found.chips, found.chip_columns) == (chips, min(36, chips))


@pytest.mark.parametrize(("name", "chips"), [
    ("loihi2", 0), ("loihi2", -1), ("loihi2", 131_073), ("alia-point", 0), ("alia-point", 33)])
def test_numbers_of_chips_that_are_not_there(name: str, chips: int) -> None:
    assert f"--chips = {chips}" in refused(lambda: system(name, chips), "LHC702")


@pytest.mark.parametrize("name", known_chips())
def test_the_most_chips_are_far_more_than_there_are(name: str) -> None:
    most = most_chips(chip_limits(name))
    assert most > 100 * system("hala-point").chips
    assert system(name, most).chips == most
    assert f"1 to {most}" in refused(lambda: system(name, most + 1), "LHC702")


def test_nearest_is_in_order() -> None:
    assert [item.name for item in nearest()] == ["oheo-gulch", "kapoho-point", "alia-point", "hala-point"]
    assert [item.name for item in nearest(chips=9)] == ["alia-point", "hala-point"]
    assert nearest(chips=1153) == nearest("loihi1") == ()


# ------------------------------------------------------------------------------------------------- files of one's own

def read(path: Path, text: str) -> System:
    path.write_text(text)
    return system(str(path))


def test_a_system_of_ones_own(tmp_path: Path) -> None:
    found = read(tmp_path / "rack.toml", OWN)
    assert (found.name, found.chips, found.chip_columns, found.limits) == ("rack", 6, 3, chip_limits("loihi1"))


def test_a_system_with_a_changed_chip(tmp_path: Path) -> None:
    found = read(tmp_path / "rack.toml", OWN + NUMBER.format("chip.cores", 100))
    assert (found.limits.cores, found.cores, found.limits.chip) == (100, 600, "loihi1")


def test_an_overlay_of_a_system(tmp_path: Path) -> None:
    found = read(tmp_path / "mine.toml", 'base = "alia-point"\n' + NUMBER.format("system.chips", 24)
                 + NUMBER.format("core.axon_in", 5))
    assert (found.chips, found.chip_columns, found.limits.axon_in, found.limits.axon_map) == (24, 8, 5, 16000)
    assert found.numbers["system.chip_columns"] == system("alia-point").numbers["system.chip_columns"]
    assert chip_limits("loihi2").axon_in == 16000


def test_a_chip_s_file_serves_as_a_system(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "loihi2"\n' + NUMBER.format("core.axon_in", 5))
    found = system(str(path), 7)
    assert (found.name, found.chips, found.limits.axon_in) == ("mine", 7, 5)


def test_other_limits_in_a_system(tmp_path: Path) -> None:
    assert system("alia-point", target="loihi2-synmem12000").limits.synapse_words == 12000
    assert "do not go together" in refused(lambda: system("alia-point", target="loihi1"), "LHC702")
    assert "is a chip itself" in refused(lambda: system("loihi2", target="loihi1"), "LHC702")
    # What the system says itself still holds.
    path = tmp_path / "mine.toml"
    path.write_text('base = "alia-point"\n' + NUMBER.format("core.synapse_words", 7))
    assert system(str(path), target="loihi2-synmem12000").limits.synapse_words == 7


@pytest.mark.parametrize(("text", "part"), [
    (OWN.replace('chip = "loihi1"', ""), "system.chip is missing"),
    (OWN.replace('"loihi1"', '"loihi9"'), "system.chip = loihi9 is no chip that loihic knows"),
    (OWN.replace('"loihi1"', '"../chips/loihi1"'), "system.chip = ../chips/loihi1 is no chip"),
    (OWN.replace('"loihi1"', "1"), "system.chip must be a name in quotes"),
    (OWN.replace("system.chips", "system.chip_rows"), "system.chip_rows is no number"),
    ('[system]\nchip = "loihi2"\n' + NUMBER.format("system.chips", 6), "system.chip_columns is missing"),
    (OWN.replace("value = 3", "value = 7"), "system.chip_columns = 7 are more than the 6 chips"),
    (OWN.replace("value = 6", "value = 0"), "system.chips must be a whole number from 1"),
    (OWN.replace("value = 6", "value = 2.5"), "system.chips must be a whole number from 1"),
    (OWN.replace("value = 6", "value = 6\nunit = 'boards'"), "system.chips.unit must be 'chips'"),
    (OWN.replace("value = 6", "value = 200_000"), "system.chips must be a whole number from 1 to 131072"),
    ("system = 3", "system.chip is missing"),
    ('base = "alia-point"\n' + OWN, "system.chip is what the base says already"),
    ('base = "alia"\n', "base = alia is no chip or system that loihic knows"),
    ('base = "mine"\n', "base builds on itself: mine -> mine"),
    ('base = "loihi2"\n' + NUMBER.format("system.chips", 6), "base = loihi2 is no system that loihic knows"),
    ('base = "alia-point"\n' + NUMBER.format("core.axonin", 6), "core.axonin is no number of what this file builds on"),
    ('base = "alia-point"\n' + NUMBER.format("chip.cores", 129), "chip.cores = 129 are more than the mesh"),
])
def test_a_malformed_system_says_what_is_wrong(tmp_path: Path, text: str, part: str) -> None:
    said = refused(lambda: read(tmp_path / "mine.toml", text), "LHC101")
    assert "mine.toml" in said
    assert part in said


def test_a_system_does_not_build_on_itself_through_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems_module, "FOLDER", tmp_path)
    for name, base in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.toml").write_text(f'base = "{base}"\n')
    assert "base builds on itself: a -> b -> a" in refused(lambda: system("a"), "LHC101")


def test_a_name_in_a_message_stays_on_its_line(tmp_path: Path) -> None:
    said = refused(lambda: read(tmp_path / "mine.toml", r'base = "x\nerror[LHC900]: y"'), "LHC101")
    assert "\n" not in said
    assert r"base = 'x\nerror[LHC900]: y' is no chip or system" in said


@pytest.mark.parametrize("name", ["", "alia", "hala_point"])
def test_unknown_systems(name: str) -> None:
    said = refused(lambda: system(name), "LHC701")
    assert "alia-point" in said
    assert "loihi2" in said


PARTS = st.sampled_from([*OWN.splitlines(), *(FOLDER / "alia-point.toml").read_text().splitlines(),
                         'base = "alia-point"', 'base = "loihi2"', "[chip.cores]", "value = 7"])


@given(text=st.lists(st.one_of(PARTS, st.text(max_size=12))).map("\n".join))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "fuzz.toml"
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    try:
        found = system(str(path))
    except InputError as error:
        codes = {item.code for item in error.diagnostics}
    else:
        assert 1 <= found.chip_columns <= found.chips
        return
    assert codes == {"LHC101"}


# ------------------------------------------------------------------------------------------------------------ options

def test_options_choose_a_machine() -> None:
    assert Options().machine == system("loihi2")
    assert Options(target="loihi1", chips=3).machine == system("loihi1", 3)
    assert Options(system="alia-point", chips=24).machine == system("alia-point", 24)
    options = Options(system="alia-point", target="loihi2-synmem12000")
    assert (options.machine.chips, options.machine.limits.synapse_words) == (32, 12000)
    assert replace(options, chips=2).machine.chips == 2


def test_options_are_json() -> None:
    told = Options(system="alia-point", chips=24, objective="latency", placement="cut").described()
    assert json.loads(json.dumps(told)) | told == told
    assert (told["system"], told["chips"], told["objective"], told["placement"]) == ("alia-point", 24, "latency", "cut")


@pytest.mark.parametrize(("given_options", "code"), [
    ({"target": "loihi3"}, "LHC701"), ({"target": "none.toml"}, "LHC101"), ({"target": "alia-point"}, "LHC701"),
    ({"system": "alia"}, "LHC701"), ({"system": "alia-point", "chips": 33}, "LHC702"), ({"chips": 0}, "LHC702"),
    ({"system": "alia-point", "target": "loihi1"}, "LHC702"), ({"objective": "speed"}, "LHC702"),
    ({"placement": "random"}, "LHC702")])
def test_options_that_do_not_go_together(given_options: dict[str, object], code: str) -> None:
    refused(lambda: Options(**given_options), code)


def test_every_mistake_is_listed() -> None:
    with pytest.raises(InputError) as caught:
        Options(target="loihi3", objective="speed", placement="random")
    assert [item.code for item in caught.value.diagnostics] == ["LHC702", "LHC702", "LHC701"]


@pytest.mark.parametrize(("option", "values"), [("objective", OBJECTIVES), ("placement", PLACEMENTS)])
def test_the_command_line_offers_what_options_take(option: str, values: tuple[str, ...]) -> None:
    @choices.compile_options
    def command() -> None:
        """Receives the options."""

    found = {item.name: item for item in command.__click_params__}
    assert tuple(found[option].type.choices) == values
    assert found[option].default == getattr(Options(), option)
    assert {"target", "system", "chips"} <= set(found)


def test_the_command_line_says_how_many_chips_are_taken() -> None:
    @choices.compile_options
    def command() -> None:
        """Receives the options."""

    chips = next(item for item in command.__click_params__ if item.name == "chips")
    assert "[default: all of the system; without one, as few as hold the network]" in chips.help


# ------------------------------------------------------------------------------------------------------ documentation

DOCS = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")


def test_the_overlay_in_the_docs_works(tmp_path: Path) -> None:
    overlay, _ = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)
    path = tmp_path / "my.toml"
    path.write_text(overlay, encoding="utf-8")
    limits, base = Options(target=str(path)).machine.limits, chip_limits("loihi2")
    assert (limits.target, limits.chip, limits.synapse_words) == ("my", "loihi2", 12000)
    assert limits.rates.synop.interval == (1.0e-9, 1.2e-9)
    assert {name for name in base.numbers if limits.numbers[name] != base.numbers[name]} == {
        "core.synapse_words", "time.synop"}


def test_the_system_in_the_docs_works(tmp_path: Path) -> None:
    _, own = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)
    path = tmp_path / "my.toml"
    path.write_text(own, encoding="utf-8")
    found = Options(system=str(path)).machine
    assert (found.chips, found.chip_columns, found.limits.static_power) == (16, 4, 0.9)


def test_the_tables_in_the_docs_are_what_the_files_say() -> None:
    two, one = chip_limits("loihi2"), chip_limits("loihi1")
    for name, number in two.numbers.items():
        cells = *NumberRow(name=name, number=number).cells()[1:5], f"{one.numbers[name].value:g}"
        assert f"| `{name}` | {' | '.join(cells)} | {one.numbers[name].confidence} |" in DOCS
    for name, chip, chips, grid, _ in system_rows():
        assert f"| `{name}` | `{chip}` | {chips} | {grid} |" in DOCS
    assert f"at most {most_chips(two)} chips" in DOCS
