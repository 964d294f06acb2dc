"""Which of sixteen neighbours lie above a threshold, as bits: a comparison of vectors, for which numba has no word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 16
_INDEX, _WORD, _BIT = ir.IntType(64), ir.IntType(32), ir.IntType(1)
_VECTOR = ir.VectorType(_WORD, LANES)


def _loaded(context: Any, builder: Any, array_type: Any, array: Any, start: Any) -> Any:
    """Sixteen elements of an int32 array, at whatever address."""
    data = context.make_array(array_type)(context, builder, array).data
    loaded = builder.load(builder.bitcast(builder.gep(data, [start]), _VECTOR.as_pointer()))
    loaded.align = 4
    return loaded


def _bits(builder: Any, values: Any, thetas: Any) -> Any:
    return builder.zext(builder.bitcast(builder.icmp_signed(">", values, thetas), ir.IntType(LANES)), _INDEX)

Word = Any
word: Callable[..., Callable[..., Word]] = intrinsic  # numba's own types do not say how what it returns is called


@word
def above(typing_context: Any, values: Any, start: Any, theta: Any) -> Any:
    """Bit i says whether values[start + i] > theta, i < 16; `values` int32, contiguous."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        loaded = _loaded(context, builder, signature.args[0], *arguments[:2])
        one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), arguments[2], ir.Constant(_WORD, 0))
        spread = builder.shuffle_vector(one, one, ir.Constant(_VECTOR, [0] * LANES))
        return _bits(builder, loaded, spread)

    return types.uint64(values, types.int64, types.int32), generate


@word
def above_each(typing_context: Any, values: Any, start: Any, thetas: Any) -> Any:
    """Bit i says whether values[start + i] > thetas[start + i], i < 16; both int32, contiguous."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pairs = zip(signature.args[::2], arguments[::2], strict=True)
        values, thetas = (_loaded(context, builder, kind, array, arguments[1]) for kind, array in pairs)
        return _bits(builder, values, thetas)

    return types.uint64(values, types.int64, thetas), generate


@word
def lowest(typing_context: Any, bits: Any) -> Any:
    """The number of the lowest bit that is set; some must be."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(_BIT, 1))

    return types.int64(types.uint64), generate
