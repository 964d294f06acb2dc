"""A comparison as rows for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loihic.report.compare import Comparison
from loihic.report.effects import KindEffect
from loihic.report.faults import EXPLAINED, Finding
from loihic.report.population import PopulationReport

POPULATION_COLUMNS = ("population", "neurons", "u dB", "v dB", "out dB", "spikes", "rate", "count", "differ",
                      "distance", "error by step")
EFFECT_COLUMNS = ("loss", "places", "without it", "change", "alone", "share")
FAULT_COLUMNS = ("population", "fault", "neurons", "first", "compile with")
CURVE = 24  # characters of an error by step
BLOCKS, ASCII_BLOCKS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
BAR, ASCII_BAR = "█", "#"
BAR_WIDTH = 20


def population_rows(comparison: Comparison, *, ascii_only: bool = False) -> list[tuple[str, ...]]:
    """For `POPULATION_COLUMNS`."""
    return [_population_row(one, ascii_only) for one in comparison.populations]


def population_legend(comparison: Comparison) -> list[str]:
    """What the columns mean; those that matter here."""
    lines = ["dB          signal over error; v as the chip stores it, after saturation and reset"]
    if any(not one.is_graded for one in comparison.populations):
        lines += [
            "rate        spikes per neuron and step in floats; count: how many more or fewer the integers send",
            "differ      entries of the spike trains that differ, per float spike",
            f"distance    van Rossum's, tau = {comparison.tau:g} steps; 0: the same spikes, 1: as far off as silence"]
    measure = "share of neurons whose spikes differ, or relative error of graded outputs"
    return [*lines, f"by step     {measure}; first step to last, then the greatest"]


def effect_rows(comparison: Comparison, *, ascii_only: bool = False) -> list[tuple[str, ...]]:
    """For `EFFECT_COLUMNS`, the loss that costs most first."""
    ordered = sorted(comparison.effects, key=lambda effect: (effect.change, -effect.alone))
    return [_effect_row(effect, comparison.output_error, ascii_only) for effect in ordered]


def fault_rows(findings: Sequence[Finding]) -> list[tuple[str, ...]]:
    """For `FAULT_COLUMNS`."""
    return [(one.node, f"{one.fault.value}: {EXPLAINED[one.fault]}", f"{one.count} of {one.of}", _indices(one),
             one.remedy) for one in findings]


def curve(values: Sequence[float], blocks: str = BLOCKS, width: int = CURVE) -> str:
    """A line of blocks, each the mean of its part of `values`, relative to the greatest of those means."""
    parts = min(width, len(values))
    means = []
    for part in range(parts):
        chunk = values[len(values) * part // parts : len(values) * (part + 1) // parts]
        means.append(sum(chunk) / len(chunk))
    top = max(means, default=0.0)
    last = len(blocks) - 1
    return "".join(blocks[math.ceil(last * value / top)] if top else blocks[0] for value in means)


def _population_row(one: PopulationReport, ascii_only: bool) -> tuple[str, ...]:
    blocks = ASCII_BLOCKS if ascii_only else BLOCKS
    worst = max(one.profile, default=0.0)
    by_step = f"{curve(one.profile, blocks)} {worst:.2g}" if worst else "none"
    states = (one.node, str(math.prod(one.shape)), _decibels(one.sqnr_u), _decibels(one.sqnr_v))
    if one.is_graded:
        return *states, _decibels(one.sqnr_out), "", "", "", "", "", by_step
    return (*states, "", str(one.float_spikes), f"{one.float_rate:.3g}", _percent(one.rate_error),
            "" if one.mismatched_per_spike is None else f"{one.mismatched_per_spike:.3g}",
            f"{one.van_rossum or 0:.3g}", by_step)


def _effect_row(effect: KindEffect, error: float, ascii_only: bool) -> tuple[str, ...]:
    share = max(-effect.change / error, 0.0) if error else 0.0
    bar = (ASCII_BAR if ascii_only else BAR) * round(BAR_WIDTH * min(share, 1.0))
    change = f"{effect.change:+.3g}" if effect.change else "none"
    return effect.kind.value, str(effect.places), f"{effect.undone:.3g}", change, f"{effect.alone:.3g}", bar


def _decibels(value: float | None) -> str:
    if value is None:
        return "no signal"
    return "exact" if math.isinf(value) else f"{value:.1f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.2g} %" if value else "equal"


def _indices(one: Finding) -> str:
    shown = " ".join(",".join(map(str, index)) for index in one.first)
    return f"{shown} ..." if one.count > len(one.first) else shown
