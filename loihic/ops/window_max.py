"""WindowMax: the greatest element of each window, as MaxPool has it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loihic.ir.node import Array, Shape, ShapeError, SourceNode
from loihic.ir.registry import register_op


@register_op("WindowMax", "the greatest element of each window (MaxPool)")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WindowMax(SourceNode):
    """y[i] = max of x over the window of i.

    Attributes:
        in_shape, shape: of the input and the output.
        windows: (*shape, k) flat indices into the input; a window with fewer than k elements repeats one of them.
    """

    in_shape: Shape
    shape: Shape
    windows: Array

    def output_shape(self, inputs: Shape) -> Shape:
        if inputs != self.in_shape:
            raise ShapeError(f"it takes {self.in_shape}, but the input is {inputs}")
        return self.shape

    def apply(self, x: Array) -> Array:
        """The maxima of a batch (N, *in_shape)."""
        return np.asarray(x.reshape(x.shape[0], -1)[:, self.windows].max(axis=-1))


def pool_windows(inputs: Shape, kernel: tuple[int, ...], stride: tuple[int, ...], pads: tuple[tuple[int, int], ...],
                 dilation: tuple[int, ...], *, ceil: bool = False) -> Array:
    """The windows of a max-pooling over the trailing dimensions of (C, *spatial).

    Padding is never the greatest: a window that reaches over the edge repeats its nearest element inside.

    Args:
        inputs: (C, *spatial), with as many spatial dimensions as `kernel` has numbers.
        kernel: sizes of a window.
        stride: per spatial dimension.
        dilation: per spatial dimension.
        pads: before and after, per spatial dimension.
        ceil: whether a last window that begins inside counts although it ends outside.

    Returns:
        (C, *out, prod(kernel)) flat indices.

    Raises:
        ShapeError: a window lies in the padding altogether, or is larger than the padded input.
    """
    rows = []
    for size, width, step, (before, after), spread in zip(inputs[1:], kernel, stride, pads, dilation, strict=True):
        reach = spread * (width - 1) + 1
        free = size + before + after - reach
        count = (-(-free // step) if ceil else free // step) + 1
        if ceil and (count - 1) * step >= size + before:
            count -= 1
        place = np.arange(count)[:, None] * step - before + np.arange(width)[None, :] * spread
        inside = (place >= 0) & (place < size)
        if count < 1 or not inside.any(axis=1).all():
            raise ShapeError(f"a window of {kernel} does not fit the input {inputs}")
        # Dilated windows must not invent elements: what lies outside repeats the first one inside.
        first = place[np.arange(count), inside.argmax(axis=1)]
        rows.append(np.where(inside, place, first[:, None]))
    strides = np.cumprod([1, *inputs[:0:-1]])[::-1]
    index = np.arange(inputs[0]) * strides[0]
    spatial = len(rows)
    total = index.reshape(-1, *[1] * (2 * spatial))
    for axis, (row, step) in enumerate(zip(rows, strides[1:], strict=True)):
        shape = [1] * (1 + 2 * spatial)
        shape[1 + axis], shape[1 + spatial + axis] = row.shape
        total = total + (row * step).reshape(shape)
    return np.asarray(total.reshape(*total.shape[: 1 + spatial], -1))
