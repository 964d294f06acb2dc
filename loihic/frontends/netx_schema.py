"""The layers and neurons of a lava-dl network file: which datasets each has, and what they may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from math import prod

import numpy as np

from loihic.frontends.nir_schema import MalformedError, Problem
from loihic.frontends.raw import Array, listed

MOST_NEURONS = 1 << 24  # of one layer: sixteen chips full of them
MOST_WEIGHTS = 1 << 26  # of one layer: four chips full of 8-bit weights
_LONG = 1 << 20  # a stride or padding beyond this has no use
_BIASES = (-(1 << 17), (1 << 17) - 1)  # beyond the threshold of 17 bits, a bias decides alone
WEIGHTS = (-256, 255)


class Kind(Enum):
    """What a dataset holds, and the form in which it is handed on."""

    WHOLE = auto()
    """Whole numbers in any shape and any type: an array of float64."""
    ONE = auto()
    """One whole number, in an array of one element perhaps: an int."""
    PAIR = auto()
    """(vertical, horizontal), or one whole number for both: two ints."""
    SHAPE = auto()
    """One to three sizes, channels first: a tuple of ints."""
    FLAG = auto()
    """One truth value: a bool."""
    TEXT = auto()
    """Text: a str."""


@dataclass(frozen=True, slots=True)
class Field:
    """One dataset.

    Attributes:
        name: as in the file.
        kind: what it holds.
        low, high: bounds of its numbers, both allowed.
        optional: whether it may be absent; then it is `default`.
        default: its value if it is absent.
    """

    name: str
    kind: Kind
    low: int = 0
    high: int = 1
    optional: bool = False
    default: int | bool | str | None = None


def _maybe(name: str, kind: Kind, low: int = 0, high: int = 1, default: int | bool | str | None = None) -> Field:
    return Field(name, kind, low, high, True, default)


_SHAPE = Field("shape", Kind.SHAPE, 1, MOST_NEURONS)
SHAPE_ONLY = (_SHAPE,)
_WEIGHT = Field("weight", Kind.WHOLE, *WEIGHTS)
_BIAS = _maybe("bias", Kind.WHOLE, *_BIASES)
_DELAY = _maybe("delay", Kind.WHOLE, 0, MOST_NEURONS)
_WINDOW = (Field("stride", Kind.PAIR, 1, _LONG), Field("padding", Kind.PAIR, 0, _LONG),
           Field("dilation", Kind.PAIR, 1, _LONG))
_CONV = (_SHAPE, _WEIGHT, *_WINDOW, _maybe("groups", Kind.ONE, 1, _LONG, 1), _BIAS, _DELAY)
_POOL = (_SHAPE, _WEIGHT, *_WINDOW, _BIAS, _DELAY)

# The names are those that the blocks of lava-dl 0.6.0 write (lava/lib/dl/slayer/block/base.py).
LAYERS: Mapping[str, tuple[Field, ...]] = {
    "input": (_SHAPE, _maybe("weight", Kind.ONE, *WEIGHTS), _maybe("bias", Kind.ONE, *WEIGHTS)),
    "flatten": (),
    "average": (_SHAPE,),
    "dense": (_SHAPE, _WEIGHT, _BIAS, _DELAY),
    "dense_rec": (_SHAPE, _WEIGHT, Field("weight_rec", Kind.WHOLE, *WEIGHTS), _BIAS, _DELAY),
    "conv": _CONV,
    "convT": _CONV,
    "pool": _POOL,
    "unpool": _POOL,
}
_CUBA = (
    Field("iDecay", Kind.WHOLE, 0, 4096), Field("vDecay", Kind.WHOLE, 0, 4096),
    Field("vThMant", Kind.WHOLE, 0, (1 << 18) - 1), _maybe("refDelay", Kind.ONE, 0, _LONG, 1),
    _maybe("gradedSpike", Kind.FLAG, default=False), _maybe("wgtExp", Kind.ONE, -16, 16, 0),
    _maybe("weight_exp", Kind.ONE, -64, 64, 0),
)
_SDNN = (
    Field("vThMant", Kind.ONE, 0, (1 << 17) - 1), _maybe("activation", Kind.TEXT, default="relu"),
    _maybe("sigma_output", Kind.FLAG, default=False), _maybe("messageBits", Kind.ONE, 0, 24, 16),
    _maybe("weight_exp", Kind.ONE, -64, 64, 0),
)
NEURONS: Mapping[str, tuple[Field, ...]] = {"CUBA": _CUBA, "LOIHI": _CUBA, "SDNN": _SDNN}

# What follows from the rest, or only says how the network was trained.
REDUNDANT = frozenset({"type", "neuron", "inFeatures", "outFeatures", "inChannels", "outChannels", "kernelSize"})
TRAINING = frozenset({"type", "theta", "tauRho", "scaleRho"})

# Why a layer or neuron that lava-dl knows has no place on the chip, and what to do.
REFUSED_LAYERS: Mapping[str, str] = {
    "concat": "lava-dl defines no layout for it: the file does not say which layers meet; export the branches as one "
              "layer with zeros in its weights",
    "dense_comp": "complex weights need resonators; train with CUBA neurons instead",
}
REFUSED_NEURONS: Mapping[str, str] = {
    name: f"{what} has no integer form here; train with slayer.block.cuba instead" for name, what in {
        "RF_PHASE": "a resonator", "RF_IZHIKEVICH": "a resonator", "ADRF_PHASE": "an adaptive resonator",
        "ADRF_IZHIKEVICH": "an adaptive resonator", "ALIF": "an adaptive threshold"}.items()
}

Values = Mapping[str, object]


def check(fields: tuple[Field, ...], data: Values) -> tuple[dict[str, object], list[Problem]]:
    """Bring datasets into the form that their kinds promise.

    Args:
        fields: of a layer or neuron.
        data: arrays or text by name, as read; where that failed, the error.

    Returns:
        The values by name, and every problem found (then the values are incomplete): LHC103, LHC104 or LHC105.
    """
    values: dict[str, object] = {}
    problems: list[Problem] = []
    for field in fields:
        given = data.get(field.name)
        if given is None and field.optional:
            values[field.name] = field.default
        elif given is None:
            problems.append(Problem("LHC103", f"{field.name!r} is missing", f"there are: {listed(sorted(data))}"))
        elif isinstance(given, MalformedError):
            why = given.problem
            problems.append(Problem(why.code, f"{field.name}: {why.message}", why.param, why.help))
        else:
            try:
                values[field.name] = _value(field, given)
            except MalformedError as error:
                problems.append(error.problem)
    return values, problems


def text(value: object) -> str | None:
    """Text as lava-dl stores it: a string, or an array with one; None if it is neither."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "O" and value.size == 1:
        value = value.reshape(-1)[0]
    return value if isinstance(value, str) else None


def _value(field: Field, given: object) -> object:
    name = field.name
    if field.kind is Kind.TEXT:
        found = text(given)
        if found is None:
            raise MalformedError(f"{name} must be text")
        return found
    if not isinstance(given, np.ndarray) or given.dtype.kind not in "iufb":
        raise MalformedError(f"{name} must be a number, not text")
    array = _whole(field, given)
    if field.kind is Kind.WHOLE:
        return array
    numbers = [int(number) for number in array.reshape(-1)[:4]]
    if field.kind is Kind.SHAPE:
        if array.ndim > 1 or not 1 <= array.size <= 3:
            raise MalformedError(f"{name} must be one to three sizes", param=f"{name} has the shape {array.shape}")
        if prod(numbers) > MOST_NEURONS:
            raise MalformedError(f"{name} asks for more neurons than a layer may have", code="LHC105",
                                 param=f"{name} is {tuple(numbers)}; at most {MOST_NEURONS} are allowed")
        return tuple(numbers)
    if field.kind is Kind.PAIR and array.size == 2 and array.ndim == 1:
        return numbers[0], numbers[1]
    if array.size != 1:
        many = "one or two whole numbers" if field.kind is Kind.PAIR else "one whole number"
        raise MalformedError(f"{name} must be {many}", param=f"{name} has the shape {array.shape}")
    if field.kind is Kind.PAIR:
        return numbers[0], numbers[0]
    return bool(numbers[0]) if field.kind is Kind.FLAG else numbers[0]


def _whole(field: Field, given: Array) -> Array:
    """A copy in float64, which is exact for everything within the bounds."""
    name = field.name
    if given.dtype.kind == "f" and not np.isfinite(given).all():
        bad = np.argwhere(~np.isfinite(given))
        raise MalformedError(
            f"{name} has values that are not finite", code="LHC104", param=f"{len(bad)} of {given.size} values",
            help="look at this parameter before the export; usually training diverged")
    array = np.asarray(given, dtype=np.float64, order="C")
    off = array != np.rint(array)
    if off.any():
        first = float(array[off].reshape(-1)[0])
        raise MalformedError(
            f"{name} must hold whole numbers", param=f"{int(np.count_nonzero(off))} of {array.size} are not, such as "
            f"{first:g}", help="export with the blocks' own quantisation (neuron.quantize_8bit), which writes integers")
    least, most = float(array.min(initial=field.low)), float(array.max(initial=field.low))
    if least < field.low or most > field.high:
        raise MalformedError(
            f"{name} is out of its range", code="LHC105",
            param=f"{name} is {least:g}..{most:g}; allowed are {field.low}..{field.high}")
    array.setflags(write=False)
    return array
