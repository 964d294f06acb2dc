"""What a chip holds and what its events take: numbers with a source, read from `targets/chips/*.toml`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from loihic.errors import InputError, fail
from loihic.targets.numbers import CONFIDENCES, Number, Sheet, read_sheet, refuse, shown

__all__ = ["CONFIDENCES", "FIELDS", "FOLDER", "Limits", "Number", "Rates", "chip_limits", "known_chips", "read_limits"]

FOLDER = Path(__file__).parent / "chips"
LARGEST_WHOLE = (1 << 31) - 1  # what numpy's arrays of sites and words can take many of
MOST_PLACES = 1 << 24  # for cores, on all chips together; routes are found with arrays of that size


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """The time that each kind of event takes, in seconds, with the interval in which the truth may lie.

    Attributes:
        neuron_update: of one neuron, in one step.
        synop: one synaptic operation: one weight added to one neuron's input.
        memory_read: one 64-bit word of synaptic memory read.
        barrier: the end of a step, agreed on by all cores of a chip; no step is shorter.
    """

    neuron_update: Number
    synop: Number
    memory_read: Number
    barrier: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one chip holds and what an event costs. `source` says where each of these numbers comes from.

    Attributes:
        target: the name of the chip, or of the file that was read.
        chip: the chip that the numbers build on; `target` itself where they build on none.
        synapse_words, axon_in, axon_map, axon_mem: 64-bit words of a core, each for its own purpose.
        neuron_words: words of neuron state of a core.
        neuron_groups: groups of neurons with parameters of their own, of a core.
        pool_words: 64-bit words of a core for all of these together.
        state_words: words of neuron state that one neuron of the models here takes.
        delay_bits: bits beside the weight of each synapse behind a delay.
        longest_delay: in steps.
        payload_bits: of a graded spike; 0 for a chip without.
        cores: cores of a chip that a program may use.
        mesh_columns, mesh_rows: of routers on a chip.
        cores_per_router: cores at one router.
        chip_crossing: hops that the way from one chip to the next counts as, beside the hop itself.
        message_bits: bits of one spike message on a link.
        link_bandwidth: bits/s of the link from one router to the next, in one direction.
        chip_bandwidth: bits/s that a chip exchanges with its neighbours.
        rates: time per event.
        synop_energy: J per synaptic operation, everything else that a step costs included.
        neuron_update_energy: J per neuron and step.
        hop_energy: J per message and hop.
        static_power: W per chip.
        numbers: every number of the file by its dotted name, with its source.
    """

    target: str
    chip: str
    synapse_words: int
    axon_in: int
    axon_map: int
    axon_mem: int
    neuron_words: int
    neuron_groups: int
    pool_words: int
    state_words: int
    delay_bits: int
    longest_delay: int
    payload_bits: int
    cores: int
    mesh_columns: int
    mesh_rows: int
    cores_per_router: int
    chip_crossing: float
    message_bits: int
    link_bandwidth: float
    chip_bandwidth: float
    rates: Rates
    synop_energy: float
    neuron_update_energy: float
    hop_energy: float
    static_power: float
    numbers: Mapping[str, Number] = field(compare=False, repr=False)

    @property
    def graded(self) -> bool:
        """Whether spikes carry a payload."""
        return self.payload_bits > 0

    @property
    def places(self) -> int:
        """Places for cores on the mesh of one chip, whether or not a program may use them."""
        return self.mesh_columns * self.mesh_rows * self.cores_per_router

    def source(self, attribute: str) -> Number:
        """The number behind an attribute, with its interval and source.

        Raises:
            KeyError: no attribute of that name is a number.
        """
        return self.numbers[FIELDS[attribute]]


FIELDS = {
    "synapse_words": "core.synapse_words", "axon_in": "core.axon_in", "axon_map": "core.axon_map",
    "axon_mem": "core.axon_mem", "neuron_words": "core.neuron_words", "neuron_groups": "core.neuron_groups",
    "pool_words": "core.pool_words", "state_words": "core.state_words", "delay_bits": "core.delay_bits",
    "longest_delay": "core.longest_delay", "payload_bits": "core.graded_payload_bits", "cores": "chip.cores",
    "mesh_columns": "mesh.columns", "mesh_rows": "mesh.rows", "cores_per_router": "mesh.cores_per_router",
    "chip_crossing": "mesh.chip_crossing", "message_bits": "mesh.message_bits",
    "link_bandwidth": "mesh.link_bandwidth", "chip_bandwidth": "mesh.chip_bandwidth",
    "synop_energy": "energy.synop_all_in", "neuron_update_energy": "energy.neuron_update",
    "hop_energy": "energy.hop", "static_power": "energy.static_power",
}
"""The number's dotted name for every attribute of `Limits` that is one; those of `Rates` are `time.*`."""


def known_chips() -> tuple[str, ...]:
    """The chips, and variants of them, that loihic ships, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def chip_limits(target: str = "loihi2") -> Limits:
    """The limits of a chip that loihic knows, or of the TOML file at a path.

    Raises:
        InputError: LHC701 for an unknown chip, LHC101 for a malformed file.
    """
    return _known_limits(target) if target in known_chips() else read_limits(as_path(target, "target", known_chips()))


def read_limits(path: Path) -> Limits:
    """The limits in a TOML file, which either has all numbers or begins with `base` and overrides some.

    Numbers that `Limits` has no field for are kept in `numbers`.

    Raises:
        InputError: LHC101 for a file that cannot be read, is not TOML, lacks a number or a part of one, or builds on
            itself.
    """
    return sheet_limits(read_sheet(path))


def sheet_limits(sheet: Sheet, seen: tuple[str, ...] = ()) -> Limits:
    """The limits in a file that was read; `seen` are the names of the files that build on it.

    Raises:
        InputError: as `read_limits`.
    """
    if "system" in sheet.tables:
        refuse(sheet.path, "system", "is a table that only the file of a system has", help="give this file as --system")
    base = sheet.base(known_chips(), "chip", seen)
    if base is None:
        return limits_of(sheet.numbers(), target=sheet.name, chip=sheet.name, path=sheet.path)
    below = sheet_limits(read_sheet(FOLDER / f"{base}.toml"), (*seen, sheet.name))
    numbers = {**below.numbers, **sheet.numbers(below.numbers)}
    return limits_of(numbers, target=sheet.name, chip=below.chip, path=sheet.path)


def limits_of(numbers: Mapping[str, Number], *, target: str, chip: str, path: Path) -> Limits:
    """Limits from their numbers.

    Args:
        numbers: by dotted name.
        target: what to call them.
        chip: that they build on.
        path: of the file to name in messages.

    Raises:
        InputError: LHC101 if a number is missing, or is none that the chip can have.
    """

    def number(name: str) -> Number:
        if name not in numbers:
            refuse(path, name, "is missing")
        return numbers[name]

    def real(attribute: str, *, zero: bool = True) -> float:
        value = float(number(FIELDS[attribute]).value)
        if not (zero or value):
            refuse(path, FIELDS[attribute], "must be above 0")
        return value

    def rate(name: str) -> Number:
        # Steps are compared by their ratios, for which events must take time.
        if not number(name).value:
            refuse(path, name, "must be above 0", help="give a very small time for what does not count")
        return number(name)

    def whole(attribute: str, least: int = 1) -> int:
        return whole_value(number(FIELDS[attribute]), FIELDS[attribute], path, least)

    limits = Limits(
        target=target, chip=chip, synapse_words=whole("synapse_words"), axon_in=whole("axon_in"),
        axon_map=whole("axon_map"), axon_mem=whole("axon_mem"), neuron_words=whole("neuron_words"),
        neuron_groups=whole("neuron_groups"), pool_words=whole("pool_words"), state_words=whole("state_words"),
        delay_bits=whole("delay_bits", 0), longest_delay=whole("longest_delay", 0),
        payload_bits=whole("payload_bits", 0), cores=whole("cores"), mesh_columns=whole("mesh_columns"),
        mesh_rows=whole("mesh_rows"), cores_per_router=whole("cores_per_router"), chip_crossing=real("chip_crossing"),
        message_bits=whole("message_bits"), link_bandwidth=real("link_bandwidth", zero=False),
        chip_bandwidth=real("chip_bandwidth", zero=False), synop_energy=real("synop_energy"),
        neuron_update_energy=real("neuron_update_energy"), hop_energy=real("hop_energy"),
        static_power=real("static_power"), numbers=numbers,
        rates=Rates(neuron_update=rate("time.neuron_update"), synop=rate("time.synop"),
                    memory_read=rate("time.memory_read"), barrier=number("time.barrier")))
    if limits.places > MOST_PLACES:
        refuse(path, "mesh", f"has places for {limits.places} cores, {MOST_PLACES} at most")
    if limits.cores > limits.places:
        refuse(path, "chip.cores", f"= {limits.cores} are more than the mesh has places for, {limits.places}",
               help="raise mesh.columns, mesh.rows or mesh.cores_per_router too")
    return limits


def whole_value(number: Number, name: str, path: Path, least: int = 1, most: int = LARGEST_WHOLE) -> int:
    """The value of a number that counts something.

    Raises:
        InputError: LHC101 unless it is a whole number from `least` to `most`.
    """
    value = number.value
    if value != int(value) or not least <= value <= most:
        refuse(path, name, f"must be a whole number from {least} to {most}, not {value:g}")
    return int(value)


def as_path(text: str, what: str, known: tuple[str, ...]) -> Path:
    """The path that a user gave in place of a known name: it ends in .toml, or has a folder in it.

    Raises:
        InputError: LHC701 for a text that is no path either.
    """
    if not (text.endswith(".toml") or os.sep in text):
        fail("LHC701", f"no {what} is called {shown(text)}",
             help=f"known: {', '.join(known)}; or give a TOML file's name", error=InputError)
    return Path(text)


@cache
def _known_limits(target: str) -> Limits:
    return read_limits(FOLDER / f"{target}.toml")
