"""A chip of six cores of few neurons, on which small networks take many cores and several chips."""

from __future__ import annotations

from pathlib import Path

NEURONS, CORES = 7, 6
TOML = f"""base = "loihi2"

[core.neuron_words]
value = {NEURONS}
source = "Small, so that small networks are cut"
confidence = "X"

[chip.cores]
value = {CORES}
source = "Few, so that small networks take several chips"
confidence = "X"

[mesh.columns]
value = 2
source = "A small mesh"
confidence = "X"

[mesh.rows]
value = 1
source = "A small mesh"
confidence = "X"
"""


def write(folder: Path) -> Path:
    """The chip as a file for --target."""
    path = folder / "small.toml"
    path.write_text(TOML, encoding="utf-8")
    return path
