"""A sweep as a table for people."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan

from loihic.evaluate.sweep import Point, Sweep
from loihic.report.evaluation_tables import share
from loihic.report.plan_words import count, duration

Words = Callable[[float], str]
FIGURES: tuple[tuple[str, str, Words], ...] = (
    ("accuracy", "accuracy", share), ("rmse", "RMSE", lambda value: f"{value:.4g}"),
    ("r2", "R2", lambda value: f"{value:.4f}"), ("agreement", "as float", share),
    ("words", "words", lambda value: f"{value:.0f}"), ("memory", "memory", lambda value: f"{value:.0f}"),
    ("cores", "cores", lambda value: f"{value:.0f}"), ("messages", "messages", count),
    ("latency", "latency", lambda value: f"{value:.0f}"), ("step_time", "step time", duration))


def sweep_table(found: Sweep) -> tuple[list[str], list[list[str]], set[str]]:
    """Columns, rows, and the columns that are aligned to the right; figures that no point has are left out."""
    names = list(found.points[0].choices) if found.points else []
    shown = [one for one in FIGURES if any(one[0] in point.figures for point in found.points)]
    columns = ["", *names, *(title for _, title, _ in shown)]
    failed = any(point.code for point in found.points)
    rows = [["*" if point.is_pareto else "", *(point.choices[name] for name in names),
             *(_cell(point, name, words) for name, _, words in shown),
             *([f"{point.code}: {point.message}" if point.code else ""] if failed else [])] for point in found.points]
    return columns + (["error"] if failed else []), rows, {title for _, title, _ in shown}


def _cell(point: Point, name: str, words: Words) -> str:
    value = point.figure(name)
    return "" if isnan(value) else words(value)
