"""Pictures of chips: what lies where, what colours tell, and files that hold whatever names say."""

from __future__ import annotations

import importlib.util
import itertools
from dataclasses import replace
from xml.etree import ElementTree

import nir
import numpy as np
import pytest
import small_chip

import loihic
from loihic.partition.model import Mesh
from loihic.partition.routing import Loads
from loihic.report.chip_colours import FAMILIES, RAMP, family_colour, ink_on, ramp_colour
from loihic.report.chip_legend import LONGEST, MOST, placed_swatches, shortened
from loihic.report.chip_picture import CORE, Grid, Picture, picture
from loihic.report.chip_png import write_png
from loihic.report.chip_svg import svg, visible, write_svg
from loihic.report.plan_summary import Summary, summarise
from loihic.report.plan_tables import CoreRow, core_rows

HOSTILE = '</title><script>alert("&amp;")</script>]]>$\\frac{&\x1b[31m\ud800\uffff'
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, list[CoreRow]]:
    """Two populations on chips of six cores, the first of a name that means harm."""
    rng = np.random.default_rng(0)

    def neurons(size: int) -> nir.IF:
        return nir.IF(r=np.ones(size), v_threshold=np.ones(size))

    name = "<script>&\"'$x$"
    nodes = {"input": nir.Input(np.array([8])), "fc": nir.Linear(rng.normal(0.2, 0.4, (50, 8))), name: neurons(50),
             "fc2": nir.Linear(rng.normal(0.2, 0.4, (20, 50))), "two": neurons(20),
             "output": nir.Output(np.array([20]))}
    target = small_chip.write(tmp_path_factory.mktemp("chip"))
    plan = loihic.compile(nir.NIRGraph(nodes, list(itertools.pairwise(nodes))), target=str(target)).plan
    assert plan is not None
    return summarise(plan), core_rows(plan)


def drawn(found: tuple[Summary, list[CoreRow]], colour: str = "node", model: str = "net") -> Picture:
    return picture(*found, colour, model)


def test_squares_lie_in_their_chips_and_apart(found):
    image = drawn(found)
    corners = [*((one.x, one.y) for one in image.squares), *image.spare]
    assert len(set(corners)) == len(corners) == len(image.chips) * small_chip.CORES
    for (x1, y1), (x2, y2) in itertools.combinations(corners, 2):
        assert abs(x1 - x2) >= CORE or abs(y1 - y2) >= CORE
    for x, y in corners:
        assert any(chip.x < x and x + CORE < chip.x + chip.width and chip.y < y and y + CORE < chip.y + chip.height
                   for chip in image.chips)
    for chip in image.chips:
        assert 0 < chip.x < chip.x + chip.width < image.width
        assert 0 < chip.y < chip.y + chip.height < image.height


@pytest.mark.parametrize("per_router", [1, 2, 3, 4, 5, 9])
def test_cores_lie_around_their_router(per_router):
    mesh = Mesh(cores=6 * per_router, chips=6, columns=3, rows=2, per_router=per_router, chip_columns=3)
    row = dict.fromkeys(CoreRow.__dataclass_fields__, 0)
    grid = Grid(mesh, [CoreRow(**{**row, "chip": 5})])
    corners = []
    for site in range(mesh.sites):
        chip, core = divmod(site, mesh.cores)
        column, line = mesh.routers(np.asarray([site]))
        x, y = grid.core(chip, core)
        middle = grid.router(int(column[0]), int(line[0]))
        assert max(abs(x + CORE / 2 - middle[0]), abs(y + CORE / 2 - middle[1])) <= (grid.block - CORE) / 2 + 1e-9
        corners.append((x, y))
    for (x1, y1), (x2, y2) in itertools.combinations(corners, 2):
        assert abs(x1 - x2) >= CORE - 1e-9 or abs(y1 - y2) >= CORE - 1e-9
    assert grid.shown == list(range(6))


def test_only_chips_up_to_the_last_in_use_are_shown():
    mesh = Mesh(cores=120, chips=1152, chip_columns=36)
    row = dict.fromkeys(CoreRow.__dataclass_fields__, 0)
    assert Grid(mesh, [CoreRow(**{**row, "chip": chip}) for chip in (1, 36)]).shown == [0, 1, 36, 37]
    assert Grid(mesh, []).shown == [0]


def test_colours_tell_what_they_say(found):
    summary, rows = found
    plan = summary.plan
    names = list(plan.partition.layouts)
    for square, row in zip(drawn(found).squares, rows, strict=True):
        assert square.colour == family_colour(names.index(row.main))
        assert square.label == str(names.index(row.main) + 1)
        assert square.ink == ink_on(square.colour)
    for square, row in zip(drawn(found, "fill").squares, rows, strict=True):
        assert square.colour == ramp_colour(row.fill)
    busiest = max(rows, key=lambda row: row.seconds)
    loads = drawn(found, "load").squares
    assert loads[rows.index(busiest)].colour == RAMP[-1]
    assert all(not one.label for one in loads)


def test_links_are_as_wide_as_they_are_busy(found):
    summary, _ = found
    lines = [line for line in drawn(found, "traffic").links if line.width]
    loads = summary.loads
    assert len(lines) == np.count_nonzero(loads.horizontal) + np.count_nonzero(loads.vertical)
    assert any("messages per step" in line.tip for line in lines)
    assert not any(line.width for line in drawn(found, "load").links)


def test_each_direction_of_a_link_tells_its_own_messages(found):
    summary, rows = found
    loads = Loads(horizontal=np.zeros_like(summary.loads.horizontal), vertical=np.zeros_like(summary.loads.vertical),
                  routers=summary.loads.routers)
    loads.horizontal[0, 0, 0] = 5.0  # from router (0, 0) to the right
    loads.horizontal[1, 0, 0] = 3.0
    lines = {line.tip.split("\n")[0]: line for line in
             drawn((replace(summary, loads=loads), rows), "traffic").links if line.width}
    there, back = lines["router (0, 0) to (1, 0)"], lines["router (1, 0) to (0, 0)"]
    assert there.tip.endswith("5 messages per step")
    assert back.tip.endswith("3 messages per step")
    assert there.width > back.width
    assert there.y1 != back.y1


def test_the_main_population_has_most_neurons(found):
    for row in found[1]:
        sizes: dict[str, int] = {}
        for one in row.slices:
            sizes[one.population] = sizes.get(one.population, 0) + one.size
        assert sizes[row.main] == max(sizes.values())


@pytest.mark.parametrize("colour", ["node", "load", "traffic", "fill"])
def test_svg_is_xml_with_a_square_and_its_facts_for_each_core(found, colour):
    _, rows = found
    root = ElementTree.fromstring(svg(drawn(found, colour)).encode())
    groups = [group for group in root.findall(f"{SVG}g") if group.find(f"{SVG}rect[@class='core']") is not None]
    assert len(groups) == len(rows) == len(root.findall(f".//{SVG}rect[@class='core']"))
    for group, row in zip(groups, rows, strict=True):
        told = group.findtext(f"{SVG}title") or ""
        for text in (f"chip{row.chip}.core{row.core}", *(f"{one.population} {one.words}" for one in row.slices),
                     row.fullest, "synaptic operations per step"):
            assert text in told
    assert "prefers-color-scheme:dark" in (root.findtext(f"{SVG}style") or "")


def test_names_that_mean_harm_stay_names(found, tmp_path):
    summary, rows = found
    text = svg(picture(summary, rows, "node", HOSTILE))
    assert "<script" not in text
    root = ElementTree.fromstring(text.encode())
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg", "title", "style", "rect", "text", "path", "g"}
    assert any("<script>&\"'$x$" in (element.text or "") for element in root.iter(f"{SVG}title"))
    renamed = [replace(row, slices=tuple(replace(one, words=HOSTILE) for one in row.slices)) for row in rows]
    image = picture(summary, renamed, "node", HOSTILE)
    ElementTree.fromstring(svg(image).encode())
    path = write_svg(image, tmp_path / "a.svg")
    assert path.read_text(encoding="utf-8") == svg(image)


def test_what_xml_lacks_is_spelt_out():
    assert visible("a<b>&\x00\x1b\ud800\ufffe\n") == "a&lt;b&gt;&amp;\\x00\\x1b\\ud800\\ufffe\n"
    assert visible("größe 神经") == "größe 神经"


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
@pytest.mark.filterwarnings("error")
def test_png_of_any_names(found, tmp_path):
    for colour, model in (("node", HOSTILE), ("traffic", "$\\frac{$ 神经")):
        path = write_png(picture(*found, colour, model), tmp_path / "a.png")
        assert path.read_bytes().startswith(b"\x89PNG")


def test_legend():
    names = [f"population {number}" for number in range(MOST + 5)]
    swatches = placed_swatches(names, 10.0, 20.0, 800.0, 13.0)
    assert [one.text for one in swatches[:MOST]] == names[:MOST]
    assert swatches[-1].text.startswith("and 5 more")
    assert len({(one.x, one.y) for one in swatches}) == len(swatches)
    assert all(one.x < 810.0 for one in swatches)
    assert len(shortened("x" * 1000)) <= LONGEST
    assert shortened("x" * LONGEST) == "x" * LONGEST
    assert placed_swatches(["y" * 1000], 0.0, 0.0, 100.0, 13.0)[0].tip == "y" * 1000


def test_palette():
    colours = [family_colour(number) for number in range(3 * len(FAMILIES))]
    assert colours[: len(FAMILIES)] == list(FAMILIES)
    assert len(set(colours)) == len(colours)
    assert (ramp_colour(-1.0), ramp_colour(0.0), ramp_colour(1.0), ramp_colour(2.0)) == (
        RAMP[0], RAMP[0], RAMP[-1], RAMP[-1])
    assert (ink_on("#FFFFFF"), ink_on("#000000")) == ("#000000", "#FFFFFF")
