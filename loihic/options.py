"""The options of a compilation, with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from loihic.errors import Diagnostic, InputError
from loihic.ir.node import Array
from loihic.ops.activation import Coding
from loihic.ops.traits import Emit, Reset, Scheme
from loihic.partition.partitioner import OBJECTIVES
from loihic.partition.placement import METHODS
from loihic.quant.budget import Budget
from loihic.quant.widths import Widths
from loihic.targets.limits import chip_limits
from loihic.targets.systems import System, counted, system

TARGET = "loihi2"
PLACEMENTS = ("auto", *METHODS)
LARGEST_DELTA = 1 << 15
LARGEST_INPUT = float(1 << 23)  # messages have 24 bits


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user may choose.

    Attributes:
        dt: time step in the file's unit of time; None takes it from the graph or assumes one, with a note.
        reset: what a spike does to the voltage. NIR files do not say.
        scheme: how decays are discretised. NIR files do not say.
        spikes: at most one spike a step, or as many as the threshold fits (sinabs' habit), as a graded spike.
        weight_bits: formats of the synapse groups: a number of bits, "8f", "auto", or rules such as
            "conv2=4,lif*=8,auto"; see `loihic.quant.widths`.
        neuron_scales: a scale per neuron (needs thresholds per neuron, and so loihic's own Process) always, never, or
            (None) only where Lava's LIF cannot serve anyway.
        input_range: least and greatest value of an input element; None takes (0, 1), spikes.
        input_bits: 0 if inputs are integers already, else the bits to which real inputs are rounded.
        calibration: sample inputs by input node, (N, T, *shape), or those of the only one; ranges are then observed
            rather than proven.
        clip: where calibrated ranges of real inputs and of graded voltages end: "max", "mse" (least squared error) or a
            percentile of the magnitudes, such as "99.9"; what lies beyond is clipped.
        rounding: of weights, "adaptive" (errors of a row cancel on the calibration data) or "nearest".
        budget: what the program may cost, where weight_bits says auto.
        target: the chip: a name that loihic knows, or the path of a TOML file with its numbers.
        system: the chips together: a name or a path likewise. Its chips are of the kind that it says, with the limits
            of `target` if that is another than the default; None takes chips of the target.
        chips: how many chips a program may use; None takes all of the system, or as many as the network needs.
        cores: how many cores a program may use; None takes all of the chips.
        objective: what partition and placement seek: few cores, short steps, little energy, or all three in balance.
        placement: how cores find their places: in order, along a Hilbert curve, by cutting the traffic's hypergraph, by
            simulated annealing, or (auto) the best of these.
        encoder: whether neurons in the input layer of a .net file are part of the program; else the input is their
            spikes.
        activation: how networks without spikes send their levels: each step, or their changes only.
        delta_threshold: least change of a level that is sent, with sigma-delta coding; 0 sends all and loses nothing.
        strict: losses are errors.
        stock_only: only Processes that Lava ships.
        allow_loop_delay: a loop through several connections may answer later than trained.
        golden_steps: length of the golden input.
        seed: of the golden input.
    """

    dt: float | None = None
    reset: Reset = Reset.ZERO
    scheme: Scheme = Scheme.EULER
    spikes: Emit = Emit.SPIKE
    weight_bits: int | str | Widths = 8
    neuron_scales: bool | None = None
    input_range: tuple[float, float] | None = None
    input_bits: int = 0
    calibration: Mapping[str, Array] = field(default_factory=dict)
    clip: str = "max"
    rounding: str = "adaptive"
    budget: Budget = field(default_factory=Budget)
    target: str = TARGET
    system: str | None = None
    chips: int | None = None
    cores: int | None = None
    objective: str = "balanced"
    placement: str = "auto"
    strict: bool = False
    encoder: bool = True
    activation: Coding = Coding.GRADED
    delta_threshold: int = 0
    stock_only: bool = False
    allow_loop_delay: bool = False
    golden_steps: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        problems: list[Diagnostic] = []
        if not isinstance(self.calibration, Mapping):  # of the only input
            object.__setattr__(self, "calibration", {"input": np.asarray(self.calibration)})

        def refuse(option: str, value: object, allowed: str) -> None:
            problems.append(Diagnostic(code="LHC702", message=f"{option} = {value} has no meaning", help=allowed))

        if self.dt is not None and not 0 < self.dt < float("inf"):
            refuse("--dt", self.dt, "dt is a positive number, in the unit of the file's time constants")
        if not isinstance(self.weight_bits, Widths):
            object.__setattr__(self, "weight_bits", Widths.parse(self.weight_bits))
        if not (self.input_bits == 0 or 2 <= self.input_bits <= 16):
            refuse("--input-bits", self.input_bits, "0 for integer inputs, or 2 to 16")
        low, high = self.input_range or (0.0, 1.0)
        if not -LARGEST_INPUT <= low < high <= LARGEST_INPUT:
            refuse("--input-range", self.input_range,
                   f"give the least value, then the greatest, within {LARGEST_INPUT:g}; scale larger inputs down")
        if not (self.clip in ("max", "mse") or _is_percentile(self.clip)):
            refuse("--clip", self.clip, "max, mse, or a percentile above 0 and up to 100")
        if self.rounding not in ("adaptive", "nearest"):
            refuse("--rounding", self.rounding, "adaptive or nearest")
        if self.golden_steps < 1:
            refuse("golden_steps", self.golden_steps, "at least one step")
        if not 0 <= self.delta_threshold <= LARGEST_DELTA:
            refuse("--delta-threshold", self.delta_threshold, f"a number of levels, 0 to {LARGEST_DELTA}")
        if self.delta_threshold and self.activation is not Coding.SIGMA_DELTA:
            refuse("--delta-threshold", self.delta_threshold, "it belongs to --activation sigma-delta")
        if self.cores is not None and self.cores < 1:
            refuse("--cores", self.cores, "at least one")
        if self.objective not in OBJECTIVES:
            refuse("--objective", self.objective, f"one of {', '.join(OBJECTIVES)}")
        if self.placement not in PLACEMENTS:
            refuse("--placement", self.placement, f"one of {', '.join(PLACEMENTS)}")
        try:
            _ = self.machine
        except InputError as error:
            problems += error.diagnostics
        if problems:
            raise InputError(problems)

    @property
    def widths(self) -> Widths:
        """The rules of `weight_bits`."""
        return self.weight_bits if isinstance(self.weight_bits, Widths) else Widths.parse(self.weight_bits)

    @cached_property
    def machine(self) -> System:
        """The chips that the program is for, with their limits; read once, whatever happens to the files later.

        One chip where neither `system` nor `chips` is given: the partition finds out how many the network needs.

        Raises:
            InputError: LHC701, LHC101 or LHC702 for a target, system and number of chips that do not go together.
        """
        if self.system is None:
            return counted(chip_limits(self.target), self.chips)
        return system(self.system, self.chips, target=None if self.target == TARGET else self.target)

    def described(self) -> dict[str, Any]:
        """The options as JSON, calibration data left out but for its names."""
        plain = asdict(self)
        plain["calibration"] = sorted(self.calibration)
        plain["weight_bits"] = str(self.widths)
        plain["budget"] = str(self.budget)
        return {key: value.value if hasattr(value, "value") else value for key, value in plain.items()}


def _is_percentile(text: str) -> bool:
    try:
        return 0.0 < float(text) <= 100.0
    except ValueError:
        return False
