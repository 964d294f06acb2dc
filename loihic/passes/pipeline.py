"""The default pipeline."""

from __future__ import annotations

from loihic.options import Options
from loihic.passes.bits import AllocateBits
from loihic.passes.calibrate import Calibrate
from loihic.passes.discretise import Discretise
from loihic.passes.fan_in import SplitFanIn
from loihic.passes.fuse import Fuse
from loihic.passes.loops import BreakLoops
from loihic.passes.manager import Pass
from loihic.passes.prove import Prove
from loihic.passes.quantise import Quantise
from loihic.passes.retime import Retime
from loihic.passes.shapes import InferShapes
from loihic.passes.stock import StockOnly


def float_pipeline(options: Options, dt: float) -> list[Pass]:
    """From NIR's nodes to alternating points and maps; exact."""
    return [
        InferShapes(),
        Discretise(dt=dt, scheme=options.scheme, reset=options.reset, spikes=options.spikes),
        BreakLoops(),
        Fuse(),
    ]


def integer_pipeline(options: Options) -> list[Pass]:
    """From the fused graph to a timed integer program."""
    stock: list[Pass] = [StockOnly()] if options.stock_only else []
    return [
        *stock,
        Calibrate(moments=bool(options.calibration) and options.rounding == "adaptive"),
        AllocateBits(),
        Quantise(adaptive=options.rounding == "adaptive"),
        SplitFanIn(stock_only=options.stock_only),
        Retime(allow_loop_delay=options.allow_loop_delay, stock_only=options.stock_only),
        Prove(),
    ]
