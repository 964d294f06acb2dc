"""Assertions about compiled programs for test suites: they pass, or tell the first place where two runs differ.

They work under pytest and unittest. Nothing heavy is imported before one of them is called, so that the plug-in of
pytest (`loihic.pytest_plugin`), which is loaded in every run, costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loihic.ir.node import Array
    from loihic.program import Program
    from loihic.verify import Verdict

    Inputs = Array | Mapping[str, Array] | None

MISSING = "Lava is not installed; `loihic doctor --install-lava` installs it"


@dataclass
class Settings:
    """What holds for all assertions of a test session; the plug-in of pytest sets it.

    Attributes:
        require_lava: whether a missing Lava is a failure rather than a reason to skip.
        timeout: seconds for a run of Lava; None takes a generous limit that follows from the size of the work.
    """

    require_lava: bool = False
    timeout: float | None = None


settings = Settings()


def assert_matches_lava(program: Program, x: Inputs = None, *, timeout: float | None = None) -> None:
    """On Lava's fixed-point simulator every state and output is, bit for bit, that of loihic's.

    Args:
        program: the program.
        x: inputs as for `Program.run`; the golden input by default.
        timeout: seconds for Lava.

    Raises:
        AssertionError: something differs; the message names the first place.
        SkipTest: Lava is not installed (AssertionError where it is required).
        BackendError: Lava failed or ran out of time.
        InputError: the input does not fit.
    """
    __tracebackhide__ = True
    from loihic.targets.lava.runner import lava_version

    if lava_version() is None:
        if settings.require_lava:
            raise AssertionError(f"Lava is required here, but {MISSING}")
        _skip(MISSING)
    limit = settings.timeout if timeout is None else timeout
    _assert_agrees(program, program.verify(x, against="lava", timeout=limit), "loihic verify PROGRAM --against lava")


def assert_matches_golden(program: Program) -> None:
    """The simulator still answers the program's golden input as it did when the program was compiled.

    Raises:
        AssertionError: something differs, or the program carries no golden input.
    """
    __tracebackhide__ = True
    if not program.golden_output:
        raise AssertionError(f"{_named(program)} carries no golden output to compare with")
    _assert_agrees(program, program.verify(against="golden"), "loihic verify PROGRAM --against golden")


def assert_matches_float(program: Program, x: Inputs = None, *, share: float | None = None,
                         per_spike: float | None = None, decisions: float | None = None) -> None:
    """The integers come as close to the trained network, in floats, as is asked for; without limits, nothing differs.

    Args:
        program: the program.
        x: inputs as for `Program.run`; the golden input by default.
        share: the greatest share of output entries that may differ, 0 to 1.
        per_spike: the most entries that may differ for each output spike of the float network.
        decisions: the least share of samples (or steps, where each is a question of its own) of which the strongest
            output must be the same, 0 to 1.

    Raises:
        AssertionError: they differ by more; the message tells by how much, and the first place.
        ValueError: the program has no such figure.
    """
    __tracebackhide__ = True
    verdict = program.verify(x, against="float")
    if share is None and per_spike is None and decisions is None:
        share = 0.0
    figures = {"share of entries that differ": float(verdict.figures["mismatched entries"]) / max(verdict.compared, 1),
               **verdict.figures}
    limits = [("share of entries that differ", share, False), ("mismatched per float spike", per_spike, False),
              ("agreement of decisions", decisions, True)]
    broken = []
    for name, limit, least in limits:
        if limit is None:
            continue
        if name not in figures:
            raise ValueError(f"{_named(program)} has no figure {name!r}; it has {', '.join(figures)}")
        if figures[name] < limit if least else figures[name] > limit:
            broken.append(f"{name} is {figures[name]:.4g}, and must be at {'least' if least else 'most'} {limit:g}")
    if broken:
        raise AssertionError(_message(program, [*broken, *verdict.lines], "loihic compare PROGRAM"))


def assert_accuracy(program: Program, x: Inputs, labels: Any, *, at_least: float, skip_steps: int = 0) -> None:
    """The strongest output is the label often enough: of each sample over its steps, or of each step.

    Args:
        program: the program, with one output of one dimension.
        x: inputs as for `Program.run`.
        labels: whole numbers, (samples,), or (samples, steps) where each step is a question of its own.
        at_least: the least share of right answers, 0 to 1.
        skip_steps: steps at the beginning that do not count.

    Raises:
        AssertionError: too few are right.
        ValueError: the program has several outputs, or as many labels as there are answers were not given.
    """
    __tracebackhide__ = True
    import numpy as np

    from loihic.verify import chosen

    (name, *others) = program.outputs
    if others or len(program.outputs[name].shape) != 1:
        raise ValueError(f"{_named(program)} must have one output of one dimension")
    answers = chosen(program.dequantise(program.run(x).outputs)[name][:, skip_steps:],
                     each_step=program.answers_each_step)
    wanted = np.asarray(labels)
    if wanted.shape != answers.shape:
        raise ValueError(f"labels have shape {wanted.shape}, the answers {answers.shape}")
    right = answers == wanted
    if right.mean() < at_least:
        wrong = ", ".join(map(str, np.argwhere(~right)[:5].tolist()))
        raise AssertionError(_message(program, [
            f"{right.mean():.4g} of {right.size} answers are right, and must be at least {at_least:g}",
            f"the first wrong ones: {wrong}"], "loihic evaluate PROGRAM"))


def assert_no_losses(program: Program, *, allowed: tuple[str, ...] = ()) -> None:
    """Compiling changed nothing of the network but what is `allowed`, by the kinds of the loss ledger.

    Raises:
        AssertionError: with every loss.
    """
    __tracebackhide__ = True
    found = [loss for loss in program.ledger if (loss.is_loss or loss.is_unproven) and loss.kind not in allowed]
    if found:
        raise AssertionError(_message(program, [
            f"{loss.node or 'network'}, {loss.kind}: {loss.param}: wanted {loss.wanted}, is {loss.actual}; {loss.why}"
            for loss in found], "loihic show PROGRAM"))


def _assert_agrees(program: Program, verdict: Verdict, command: str) -> None:
    __tracebackhide__ = True
    if not verdict.agrees:
        raise AssertionError(_message(program, verdict.lines, command))


def _message(program: Program, lines: list[str], command: str) -> str:
    return "\n  ".join([_named(program), *lines, f"see also: {command}"])


def _named(program: Program) -> str:
    return f"program of {program.provenance.get('model') or 'a network'}"


def _skip(reason: str) -> None:
    """Skip the test that runs; pytest takes unittest's own exception for it."""
    from unittest import SkipTest

    raise SkipTest(reason)
