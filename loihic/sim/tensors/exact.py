"""Which floating-point type carries which whole numbers, and arithmetic in which sums of them come out exact.

CUDA multiplies no matrices of integers. A sum of products of whole numbers is exact in floating point, in whatever
order it is added up and with or without fused multiply-add, as long as the sum of the absolute products stays within
2**24 (float32) or 2**53 (float64), since every partial sum is then a whole number of that type. It is not where the
library rounds the operands (TF32, bfloat16, autocast), so that is switched off around our products.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

SINGLE_LIMIT = 1 << 24  # float32 has all whole numbers up to here
DOUBLE_LIMIT = 1 << 53
WORD = 1 << 31  # sums have 32 bits


def carrier(bound: int) -> torch.dtype:
    """The smallest type that has every whole number up to `bound`: float32, float64, or else int64."""
    if bound <= SINGLE_LIMIT:
        return torch.float32
    return torch.float64 if bound <= DOUBLE_LIMIT else torch.int64


@contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[None]:
    """No gradients, no autocast, and float32 products in float32; what the user had set comes back afterwards."""
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        stack.enter_context(_full_precision())
        yield


@contextmanager
def _full_precision() -> Iterator[None]:
    """Float32 matrix products without TF32 or bfloat16.

    Up to torch 2.8 one setting says so. Later there is one for each backend too, and torch refuses to tell the old one
    where the new ones were set otherwise; whoever did that never touched the old one, which is "highest" then.
    """
    homes = [home for home in (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)
             if hasattr(home, "fp32_precision")] if hasattr(torch.backends.mkldnn, "matmul") else []
    each = [home.fp32_precision for home in homes]
    try:
        overall = torch.get_float32_matmul_precision()
    except RuntimeError:
        overall = "highest"
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(overall)
        for home, precision in zip(homes, each, strict=True):
            home.fp32_precision = precision


def wrapped_32(x: Tensor) -> Tensor:
    """Two's complement of 32 bits, int64."""
    return x.to(torch.int32).to(torch.int64)


def wrapped_24(x: Tensor) -> Tensor:
    """Two's complement of 24 bits, int64."""
    half = 1 << 23
    return ((x + half) & ((1 << 24) - 1)) - half
