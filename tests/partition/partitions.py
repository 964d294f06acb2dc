"""Random partitions: any layout, cut anywhere, fragments dealt to cores in any order."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from loihic.ir.graph import HardwareGraph
from loihic.ops.compartment import Compartment
from loihic.partition.layout import Layout, as_map
from loihic.partition.model import Fragment, Partition

CORES = (1, 2, 3, 4, 6)  # at most
MOST_CUTS = 5


@st.composite
def layouts(draw: st.DrawFn, shape: tuple[int, ...]) -> Layout:
    """A layout of a population: groups of channels and tiles of any size, even larger than the map."""
    channels, rows, columns = (draw(st.integers(1, size + 1)) for size in as_map(shape))
    return Layout(shape=shape, channels=channels, tile=(rows, columns))


@st.composite
def partitions(draw: st.DrawFn, graph: HardwareGraph) -> Partition:
    """Every population cut at random positions, every fragment on a random core; no core is empty."""
    count = draw(st.sampled_from(CORES), label="cores")
    found: dict[str, Layout] = {}
    cores: list[list[Fragment]] = [[] for _ in range(count)]
    for name, node in graph.nodes.items():
        if not isinstance(node, Compartment):
            continue
        found[name] = draw(layouts(node.shape), label=f"layout of {name}")
        size = found[name].size
        many = draw(st.integers(0, min(size - 1, MOST_CUTS)))
        cuts = draw(st.sets(st.integers(1, max(size - 1, 1)), min_size=many, max_size=many), label=f"cuts of {name}")
        ends = [*sorted(cuts), size]
        for start, stop in pairwise([0, *ends]):
            cores[draw(st.integers(0, count - 1))].append(Fragment(population=name, start=start, stop=stop))
    filled = [tuple(draw(st.permutations(fragments))) for fragments in cores if fragments]
    return Partition(layouts=found, cores=tuple(filled))
