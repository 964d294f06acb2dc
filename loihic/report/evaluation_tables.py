"""An evaluation as lines and rows for people."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan

from loihic.evaluate.activity import Activity
from loihic.evaluate.evaluation import Evaluation, Score
from loihic.evaluate.metrics import CONFIDENCE, Classification, Regression
from loihic.report.plan_words import count, percent, plural

ACTIVITY_COLUMNS = ("population", "kind", "neurons", "messages per step", "rate", "dead", "saturated")
CLASS_COLUMNS = ("class", "samples", "recall", "precision")
ELEMENT_COLUMNS = ("element", "RMSE", "MAE", "R2")
MOST_CLASSES = 20  # of a confusion matrix on a terminal
MOST_ELEMENTS = 20


def score_lines(found: Evaluation) -> Iterator[str]:
    """How well the program does, and the float network, in a few lines."""
    rows = list(_scores("program", found.score))
    if found.floats is not None:
        rows += _scores("float", found.floats.score)
    width = max((len(name) for name, _ in rows), default=0)
    yield from (f"{name:<{width}}  {text}" for name, text in rows)
    if found.floats is not None:
        if found.floats.agreement is not None:
            same = round(found.floats.agreement * len(found.answers))
            yield f"decisions of both agree in {same} of {len(found.answers)} ({share(same / len(found.answers))})"
        yield f"their answers differ by {found.floats.rmse:.3g} (root mean square)"
    if found.silent:
        yield f"in {plural(found.silent, 'question')} no element of {found.questions.output} sent anything"
    if found.ties and found.questions.metric != "regression":
        yield f"{plural(found.ties, 'tie')} between elements; the first counts"


def _scores(name: str, score: Score) -> Iterator[tuple[str, str]]:
    if score.classification is not None:
        one = score.classification
        low, high = one.interval
        yield name, (f"accuracy {share(one.accuracy)}: {one.right} of {one.questions} right; "
                     f"{CONFIDENCE:.0%} interval {share(low)} to {share(high)}")
    if score.regression is not None:
        every = score.regression.overall
        yield name, (f"R2 {every['r2']:.4f}, RMSE {every['rmse']:.4g}, MAE {every['mae']:.4g}, MSE {every['mse']:.4g}; "
                     f"{score.regression.questions} values of {plural(len(score.regression.mse), 'element')}")


def share(value: float) -> str:
    """A share with a digit behind the point."""
    return "-" if isnan(value) else f"{100 * value:.1f} %"


def confusion_table(found: Classification) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: labels downwards, answers to the right, the recall and the precision at the margins."""
    classes = len(found.confusion)
    columns = ["label", *map(str, range(classes)), "recall"]
    rows = [[str(label), *(str(n) if n else "." for n in counts), share(found.recall[label])]
            for label, counts in enumerate(found.confusion.tolist())]
    rows.append(["precision", *("-" if isnan(value) else percent(value) for value in found.precision.tolist()), ""])
    return columns, rows


def class_rows(found: Classification, most: int) -> list[tuple[str, ...]]:
    """For `CLASS_COLUMNS`: the classes with the least recall first."""
    order = sorted(range(len(found.support)), key=lambda c: (isnan(found.recall[c]), found.recall[c], c))
    return [(str(c), str(found.support[c]), share(found.recall[c]), share(found.precision[c])) for c in order[:most]]


def element_rows(found: Regression, most: int) -> list[tuple[str, ...]]:
    """For `ELEMENT_COLUMNS`."""
    return [(str(i), f"{found.rmse[i]:.4g}", f"{found.mae[i]:.4g}", f"{found.r2[i]:.4f}")
            for i in range(min(most, len(found.mse)))]


def activity_rows(found: tuple[Activity, ...]) -> list[tuple[str, ...]]:
    """For `ACTIVITY_COLUMNS`."""
    return [(one.node, one.op, str(one.size), count(one.messages), f"{one.rate:.4f}", share(one.dead),
             share(one.saturated)) for one in found]
