"""The default pipeline."""

from __future__ import annotations

from loihic.options import Options
from loihic.passes.bits import AllocateBits
from loihic.passes.calibrate import Calibrate
from loihic.passes.discretise import Discretise
from loihic.passes.fan_in import SplitFanIn
from loihic.passes.fuse import Fuse
from loihic.passes.hoist import HoistSteps
from loihic.passes.loops import BreakLoops
from loihic.passes.lower_whole import LowerWhole
from loihic.passes.manager import Pass
from loihic.passes.place_quantisers import PlaceQuantisers
from loihic.passes.prove import Prove
from loihic.passes.quantise import Quantise
from loihic.passes.repeats import DropRepeats, MergeTwins
from loihic.passes.retime import Retime
from loihic.passes.shapes import InferShapes
from loihic.passes.stock import StockOnly


def float_pipeline(options: Options, dt: float) -> list[Pass]:
    """From NIR's nodes to alternating points and maps; exact."""
    return [
        InferShapes(),
        MergeTwins(),
        HoistSteps(),
        DropRepeats(),
        PlaceQuantisers(),
        Discretise(dt=dt, scheme=options.scheme, reset=options.reset, spikes=options.spikes),
        BreakLoops(),
        Fuse(),
    ]


def _chosen(options: Options) -> list[Pass]:
    """To integers that the compiler chooses."""
    stock: list[Pass] = [StockOnly()] if options.stock_only else []
    return [
        *stock,
        Calibrate(moments=bool(options.calibration) and options.rounding == "adaptive"),
        AllocateBits(),
        Quantise(adaptive=options.rounding == "adaptive"),
    ]


def _given(options: Options) -> list[Pass]:
    """To the integers that the file says."""
    return [LowerWhole(coding=options.activation, delta_threshold=options.delta_threshold)]


def integer_pipeline(options: Options, *, whole: bool = False) -> list[Pass]:
    """From the fused graph to a timed integer program; `whole` where the graph has that fact."""
    return [
        *(_given(options) if whole else _chosen(options)),
        SplitFanIn(stock_only=options.stock_only),
        Retime(allow_loop_delay=options.allow_loop_delay, stock_only=options.stock_only),
        Prove(),
    ]
