"""NIR's node types: which parameters each has, of which kind, and what is taken where one is absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from loihic.frontends.raw import SUBGRAPH, Array, listed


class Kind(Enum):
    """What a parameter is, and so the form in which a `RawNode` holds it."""

    REAL = auto()
    """Finite numbers, any shape: an array of the file's own type."""
    INT = auto()
    """One integer: an int."""
    PAIR = auto()
    """(height, width) or one integer for both: an int64 array of shape (2,)."""
    SHAPE = auto()
    """A list of integers: an int64 array of shape (n,)."""
    PADDING_1D = auto()
    """As `INT`, or the string ``same`` or ``valid``."""
    PADDING_2D = auto()
    """As `PAIR`, or the string ``same`` or ``valid``."""


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a node type.

    Attributes:
        name: as in the file.
        kind: what it must be.
        optional: whether it may be absent; then it is `default`, or `fill` in the shape and type of `like`.
        default: an int or None.
        like: name of the parameter whose shape and type a filled-in array takes.
        fill: the value in a filled-in array.
    """

    name: str
    kind: Kind = Kind.REAL
    optional: bool = False
    default: int | None = None
    like: str = ""
    fill: float = 0.0


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with one parameter: the code, one line, and the parameter's name and value if they help."""

    code: str
    message: str
    param: str = ""
    help: str = ""


class MalformedError(ValueError):
    """A value cannot be what it should be; caught by the readers, which know the node."""

    def __init__(self, message: str, code: str = "LHC103", param: str = "", help: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(code, message, param, help)


def _real(*names: str) -> tuple[Param, ...]:
    return tuple(Param(name) for name in names)


def _conv(one: Kind, padding: Kind) -> tuple[Param, ...]:
    return (
        Param("input_shape", one, optional=True), Param("weight"), Param("stride", one), Param("padding", padding),
        Param("dilation", one), Param("groups", Kind.INT), Param("bias"),
    )


_SHAPE = (Param("shape", Kind.SHAPE),)
_POOL = tuple(Param(name, Kind.PAIR) for name in ("kernel_size", "stride", "padding"))
_V_RESET = Param("v_reset", optional=True, like="v_threshold")

# The fields, their order and their defaults are those of the dataclasses in nir 1.0.8 (nir/ir/*.py), which also cover
# the files of 0.1 and 0.2: there v_reset and w_in are absent and mean zero and one.
SCHEMAS: Mapping[str, tuple[Param, ...]] = {
    "Input": _SHAPE,
    "Output": _SHAPE,
    "Affine": _real("weight", "bias"),
    "Linear": _real("weight"),
    "Scale": _real("scale"),
    "Conv1d": _conv(Kind.INT, Kind.PADDING_1D),
    "Conv2d": _conv(Kind.PAIR, Kind.PADDING_2D),
    "SumPool2d": _POOL,
    "AvgPool2d": _POOL,
    "Flatten": (
        Param("input_type", Kind.SHAPE, optional=True),
        Param("start_dim", Kind.INT, optional=True, default=1),
        Param("end_dim", Kind.INT, optional=True, default=-1),
    ),
    "Threshold": _real("threshold"),
    "Delay": _real("delay"),
    "I": _real("r"),
    "IF": (*_real("r", "v_threshold"), _V_RESET),
    "LI": _real("tau", "r", "v_leak"),
    "LIF": (*_real("tau", "r", "v_leak", "v_threshold"), _V_RESET),
    "CubaLI": (
        *_real("tau_syn", "tau_mem", "r", "v_leak"), Param("w_in", optional=True, like="v_leak", fill=1.0),
    ),
    "CubaLIF": (
        *_real("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"), _V_RESET,
        Param("w_in", optional=True, like="v_threshold", fill=1.0),
    ),
}


def unknown_type(type_name: str, extra_types: frozenset[str]) -> Problem | None:
    """LHC102 if neither NIR nor `extra_types` has the type, else None."""
    if type_name in SCHEMAS or type_name == SUBGRAPH or type_name in extra_types:
        return None
    known = listed(sorted({*SCHEMAS, SUBGRAPH, *extra_types}), limit=60)
    return Problem("LHC102", f"unknown node type {type_name[:80]!r}", help=f"known are {known}")


def check_params(
    type_name: str, values: Mapping[str, object], unreadable: frozenset[str] = frozenset()
) -> tuple[dict[str, object], list[Problem]]:
    """Bring the values of one node into the form that `RawNode` promises.

    Args:
        type_name: a key of `SCHEMAS`.
        values: arrays, strings or None by parameter name, as read.
        unreadable: names already reported, so not to be called missing.

    Returns:
        The parameters in the schema's order, and every problem found (then the parameters are incomplete).
    """
    params: dict[str, object] = {}
    problems: list[Problem] = []
    for spec in SCHEMAS[type_name]:
        value = values.get(spec.name)
        if spec.name in unreadable:
            continue
        if value is None and not spec.optional:
            here = listed(name for name in values if values[name] is not None)
            problems.append(Problem("LHC103", f"{type_name} lacks its parameter {spec.name!r}", f"there are: {here}"))
            continue
        try:
            params[spec.name] = _filled(spec, value, params)
        except MalformedError as error:
            problems.append(error.problem)
    return params, problems


def _filled(spec: Param, value: object, params: Mapping[str, object]) -> object:
    """The checked value; an absent array, or a scalar where NIR spreads one (w_in), in the shape of another."""
    checked = spec.default if value is None else as_kind(spec.name, spec.kind, value)
    model = params.get(spec.like)
    if not isinstance(model, np.ndarray) or (isinstance(checked, np.ndarray) and checked.ndim):
        return checked
    if checked is None:
        return frozen(np.full_like(model, spec.fill))
    return frozen(np.ones_like(model) * checked) if spec.fill else checked


def as_array(value: object) -> Array:
    """A copy of a number, sequence, array or tensor as an array of numbers.

    Raises:
        MalformedError: it is none of these, or a tensor that is on a device or wants gradients.
    """
    try:
        array: Array = np.array(value, copy=True)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise MalformedError(f"not an array: {(str(error).splitlines() or [''])[0][:120]}") from error
    if array.dtype.kind not in "iufb":
        raise MalformedError(f"not numbers but {type(value).__name__}", param=f"its type is {array.dtype}")
    return array


def frozen(array: Array) -> Array:
    """The array in native byte order and C order, no longer writable; of doubles at most."""
    dtype = np.dtype(np.float64) if array.dtype.kind == "f" and array.dtype.itemsize > 8 else array.dtype
    # ascontiguousarray would make a 0-d array 1-d
    result: Array = np.asarray(array, dtype=dtype.newbyteorder("="), order="C")
    result.setflags(write=False)
    return result


def as_kind(name: str, kind: Kind, value: object) -> object:
    """One value in the form of its kind.

    Raises:
        MalformedError: with LHC103 if it is no such thing, LHC104 if a number in it is not finite.
    """
    if isinstance(value, str):
        if kind in (Kind.PADDING_1D, Kind.PADDING_2D):
            if value in ("same", "valid"):
                return value
            raise MalformedError(f"{name} must be 'same', 'valid' or integers", param=f"{name} = {value[:40]!r}")
        raise MalformedError(f"{name} must be a number, not text", param=f"{name} = {value[:40]!r}")
    if not isinstance(value, np.ndarray):
        raise MalformedError(f"{name} must be numeric, not {type(value).__name__}")
    return _real_array(name, value) if kind is Kind.REAL else _integers(name, kind, value)


def _real_array(name: str, value: Array) -> Array:
    if value.dtype.kind not in "iuf":
        raise MalformedError(f"{name} must be real numbers", param=f"{name} has the type {value.dtype}")
    array = frozen(value)
    if array.dtype.kind == "f":
        bad = ~np.isfinite(array)
        count = int(np.count_nonzero(bad))
        if count:
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            place = f"{name}[{', '.join(map(str, first))}]" if first else name
            raise MalformedError(
                f"{name} has {count} value{'s' * (count > 1)} that {'are' if count > 1 else 'is'} not finite",
                code="LHC104", param=f"{place} = {array[first]}, {count} of {array.size} values",
                help="look at this parameter in the framework before the export",
            )
    return array


def _integers(name: str, kind: Kind, value: Array) -> object:
    if value.dtype.kind not in "iu":
        raise MalformedError(f"{name} must be integer", param=f"{name} has the type {value.dtype}")
    if value.size and int(value.max()) > np.iinfo(np.int64).max:
        raise MalformedError(f"{name} does not fit 64 bits", param=f"{name} = {value.max()}")
    array = value.astype(np.int64)
    if kind is Kind.SHAPE:
        if array.ndim <= 1:
            return frozen(np.atleast_1d(array))
        raise MalformedError(f"{name} must be a list of integers", param=f"{name} has the shape {array.shape}")
    if kind in (Kind.INT, Kind.PADDING_1D):
        if array.size == 1:
            return int(array.reshape(()))
        raise MalformedError(f"{name} must be one integer", param=f"{name} has the shape {array.shape}")
    if array.size == 1 or array.shape == (2,):
        return frozen(np.broadcast_to(array.reshape(-1), (2,)).copy())
    raise MalformedError(f"{name} must be one or two integers", param=f"{name} has the shape {array.shape}")
