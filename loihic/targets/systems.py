"""Systems of several chips: how many there are and how they lie, read from `targets/systems/*.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isqrt
from pathlib import Path

from loihic.errors import InputError, fail
from loihic.partition.model import Mesh
from loihic.targets.limits import (
    MOST_PLACES,
    Limits,
    as_path,
    chip_limits,
    known_chips,
    limits_of,
    sheet_limits,
    whole_value,
)
from loihic.targets.numbers import Number, Sheet, nearest_names, read_sheet, refuse, shown

FOLDER = Path(__file__).parent / "systems"
MOST_CHIPS = 1_000_000  # of however small a mesh: nearly a thousand times the largest system there is
CHIPS, CHIP_COLUMNS = "system.chips", "system.chip_columns"
NAMES = {name: Number(value=1, unit="chips", source="one chip", confidence="X") for name in (CHIPS, CHIP_COLUMNS)}
"""The numbers that only systems have; a file that describes one must give them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class System:
    """Chips of one kind in a grid.

    Attributes:
        name: of the system, of the chip if there is no more to it, or of the file that was read.
        chips: that a program may use.
        chip_columns: chips in a row of the grid.
        limits: of each chip.
        numbers: of the system as it is sold, by dotted name; none where chips were merely counted.
    """

    name: str
    chips: int
    chip_columns: int
    limits: Limits
    numbers: Mapping[str, Number] = field(default_factory=dict, compare=False, repr=False)

    @property
    def cores(self) -> int:
        """Cores in all that a program may use."""
        return self.chips * self.limits.cores

    def mesh(self) -> Mesh:
        """The places for a program's cores, and the way between them."""
        limits = self.limits
        return Mesh(cores=limits.cores, chips=self.chips, columns=limits.mesh_columns, rows=limits.mesh_rows,
                    per_router=limits.cores_per_router, chip_columns=self.chip_columns, crossing=limits.chip_crossing)


def known_systems() -> tuple[str, ...]:
    """The systems that loihic ships, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def system(name_or_path: str, chips: int | None = None, *, target: str | None = None) -> System:
    """A system that loihic knows, the one that a TOML file describes, or any number of chips of one kind.

    Args:
        name_or_path: of a system, or of a chip.
        chips: that a program may use: at most those of a system, all of them by default; of a chip any number, one by
            default; see `counted`.
        target: name or path of other limits for the chips of a system; what the system says itself still holds.

    Raises:
        InputError: LHC701 for an unknown name, LHC101 for a malformed file, LHC702 for a number of chips that the
            system does not have and for limits of another chip.
    """
    if name_or_path in known_chips():
        _refuse_both(name_or_path, target)
        return counted(chip_limits(name_or_path), chips)
    path = (FOLDER / f"{name_or_path}.toml" if name_or_path in known_systems() else
            as_path(name_or_path, "chip or system", (*known_systems(), *known_chips())))
    sheet = read_sheet(path)
    if not _is_system(sheet):
        _refuse_both(name_or_path, target)
        return counted(sheet_limits(sheet), chips)
    chip, numbers = _resolve(sheet)
    limits = chip_limits(chip)
    if target is not None:
        other = chip_limits(target)
        if other.chip != limits.chip:
            fail("LHC702", f"--target {target} and --system {name_or_path} do not go together",
                 param=f"the chips of the system are {limits.chip}, the target is {other.chip}", error=InputError)
        limits = other
    own = {name: number for name, number in numbers.items() if name in NAMES}
    given = {name: number for name, number in numbers.items() if name not in NAMES}
    if given:
        limits = limits_of({**limits.numbers, **given}, target=limits.target, chip=limits.chip, path=path)
    for name in NAMES:
        if name not in own:
            refuse(path, name, "is missing")
    there, columns = (whole_value(own[name], name, path, most=most_chips(limits)) for name in NAMES)
    if columns > there:
        refuse(path, CHIP_COLUMNS, f"= {columns} are more than the {there} chips of the system")
    if chips is not None and not 1 <= chips <= there:
        fail("LHC702", f"--chips = {chips} has no meaning", help=f"{path.stem} has 1 to {there} chips",
             error=InputError)
    used = there if chips is None else chips
    return System(name=path.stem, chips=used, chip_columns=min(columns, used), limits=limits, numbers=own)


def counted(limits: Limits, chips: int | None = None) -> System:
    """So many chips of a kind, one by default, in a grid as square as possible: how they would be wired is not known.

    Raises:
        InputError: LHC702 for a number of chips below 1 or above `most_chips`.
    """
    count, most = 1 if chips is None else chips, most_chips(limits)
    if not 1 <= count <= most:
        fail("LHC702", f"--chips = {count} has no meaning", help=f"a number from 1 to {most}", error=InputError)
    return System(name=limits.target, chips=count, chip_columns=isqrt(count - 1) + 1, limits=limits)


def most_chips(limits: Limits) -> int:
    """Chips of a kind that loihic can route between: for Loihi 2 more than a hundred times the largest system."""
    return min(MOST_CHIPS, MOST_PLACES // limits.places)


def nearest(chip: str = "loihi2", chips: int = 1) -> tuple[System, ...]:
    """The known systems with at least a number of chips of a kind, the smallest first.

    Args:
        chip: as in `Limits.chip`: variants of a chip sit in the same systems as the chip.
        chips: that are needed.
    """
    found = [system(name) for name in known_systems()]
    return tuple(sorted((item for item in found if item.limits.chip == chip and item.chips >= chips),
                        key=lambda item: (item.chips, item.name)))


def _refuse_both(name: str, target: str | None) -> None:
    """Raise LHC702 for a chip given as the system together with another target."""
    if target is not None:
        fail("LHC702", f"--target {target} and --system {name} do not go together", param=f"{name} is a chip itself",
             help="give one of the two, and --chips N", error=InputError)


def _is_system(sheet: Sheet) -> bool:
    """Whether a file describes a system rather than a chip.

    Raises:
        InputError: LHC101 for a base that is neither.
    """
    known = (*known_systems(), *known_chips())
    return "system" in sheet.tables or sheet.base(known, "chip or system") in known_systems()


def _resolve(sheet: Sheet, seen: tuple[str, ...] = ()) -> tuple[str, dict[str, Number]]:
    """The chip of a system's file, and the numbers of it and of what it builds on; `seen` build on it."""
    numbers: dict[str, Number] = {}
    base = sheet.base(known_systems(), "system", seen)
    if base is None:
        if sheet.chip is None:
            refuse(sheet.path, "system.chip", "is missing",
                   help=f"name a chip there, or a system after base: {', '.join(known_systems())}")
        chip = sheet.chip
    elif sheet.chip is not None:
        refuse(sheet.path, "system.chip", "is what the base says already", help="leave out one of the two")
    else:
        chip, numbers = _resolve(read_sheet(FOLDER / f"{base}.toml"), (*seen, sheet.name))
    # Looked up among the names, so that a file cannot name a path.
    if chip not in known_chips():
        refuse(sheet.path, "system.chip", f"= {shown(chip)} is no chip that loihic knows",
               help=nearest_names(chip, known_chips()))
    return chip, {**numbers, **sheet.numbers({**chip_limits(chip).numbers, **NAMES})}
