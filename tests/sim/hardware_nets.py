"""Random hardware graphs for engines to run: `random_net` draws all from a seed, `hardware_nets` by hypothesis."""

from __future__ import annotations

from typing import Any

from hardware_nodes import POPULATIONS, Mood
from hardware_wiring import Net, net_of, random_net, recordable
from hypothesis import strategies as st

__all__ = ["Net", "hardware_nets", "random_net", "recordable"]


@st.composite
def hardware_nets(draw: st.DrawFn, **choices: Any) -> Net:
    """As `random_net`; hypothesis shrinks the number of nodes, samples and steps."""
    drawn = {
        "seed": draw(st.integers(0, 2**32 - 1), label="seed"),
        "mood": draw(st.sampled_from([m.value for m in Mood]), label="mood"),
        "sources": draw(st.integers(1, 2), label="sources"),
        "populations": draw(st.integers(0, 4), label="populations"),
        "samples": draw(st.integers(1, 4), label="samples"),
        "steps": draw(st.sampled_from([1, 2, 5, 12]), label="steps"),
        "wide": True, "kinds": POPULATIONS}
    return net_of(**drawn | choices)
