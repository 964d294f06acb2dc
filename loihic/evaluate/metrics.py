"""Metrics: how good answers are, as a classification or as a regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loihic.ir.node import Array

CONFIDENCE = 0.95  # of the interval around an accuracy


@dataclass(frozen=True, kw_only=True)
class Classification:
    """How many questions were answered rightly.

    Attributes:
        confusion: questions by label (rows) and answer (columns), (classes, classes), int64.
        interval: Wilson's interval of the accuracy, at 95 %.
    """

    confusion: Array
    interval: tuple[float, float]

    @property
    def questions(self) -> int:
        """Number of questions."""
        return int(self.confusion.sum())

    @property
    def right(self) -> int:
        """Number of right answers."""
        return int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.right / max(self.questions, 1)

    @property
    def support(self) -> Array:
        """Questions of each class, (classes,)."""
        return np.asarray(self.confusion.sum(axis=1))

    @property
    def recall(self) -> Array:
        """Share of each class's questions that were answered rightly, (classes,); NaN for a class without any."""
        return _shares(np.diag(self.confusion), self.support)

    @property
    def precision(self) -> Array:
        """Share of the answers of each class that were right, (classes,); NaN for a class never answered."""
        return _shares(np.diag(self.confusion), self.confusion.sum(axis=0))

    def to_json(self) -> dict[str, Any]:
        """Plain data; None for what has no value."""
        return {"accuracy": self.accuracy, "interval": list(self.interval), "confidence": CONFIDENCE,
                "right": self.right, "questions": self.questions, "confusion": self.confusion.tolist(),
                "support": self.support.tolist(), "recall": _plain(self.recall),
                "precision": _plain(self.precision)}


@dataclass(frozen=True, kw_only=True)
class Regression:
    """How far values are from the targets.

    Attributes:
        mse, mae: mean squared and mean absolute error, per element of the output, (elements,).
        r2: coefficient of determination per element; 1 where all is as wanted, 0 where it is no better than the mean.
        questions: number of values of each element.
    """

    mse: Array
    mae: Array
    r2: Array
    questions: int

    @property
    def rmse(self) -> Array:
        """Root of the mean squared error, per element."""
        return np.asarray(np.sqrt(self.mse))

    @property
    def overall(self) -> dict[str, float]:
        """Over all elements: the mean of their MSE, MAE and R2, and the root of the mean MSE."""
        return {"mse": float(self.mse.mean()), "rmse": float(np.sqrt(self.mse.mean())), "mae": float(self.mae.mean()),
                "r2": float(self.r2.mean())}

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"questions": self.questions, **self.overall,
                "elements": {"mse": self.mse.tolist(), "rmse": self.rmse.tolist(), "mae": self.mae.tolist(),
                             "r2": self.r2.tolist()}}


def _shares(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def _plain(values: Array) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def wilson(right: int, questions: int) -> tuple[float, float]:
    """Wilson's interval of a share at 95 %; (0, 1) without questions."""
    from scipy.stats import binomtest

    if not questions:
        return 0.0, 1.0
    found = binomtest(right, questions).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def classification(answers: Array, labels: Array, classes: int) -> Classification:
    """Compare answers with labels, both (questions,) integers in 0..classes - 1."""
    pairs = labels.astype(np.int64) * classes + answers.astype(np.int64)
    confusion = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    return Classification(confusion=confusion, interval=wilson(int(np.trace(confusion)), len(answers)))


def regression(values: Array, targets: Array) -> Regression:
    """Compare values with targets, both (questions, elements).

    A target that does not vary has no R2; as in scikit-learn it is then 1 for perfect values, else 0.
    """
    targets = targets.astype(np.float64, copy=False)
    errors = values - targets
    mse = np.mean(errors ** 2, axis=0)
    spread = np.var(targets, axis=0)
    r2 = np.where(mse == 0, 1.0, 0.0)
    np.divide(mse, spread, out=r2, where=(spread > 0) & (mse != 0))
    r2 = np.where((spread > 0) & (mse != 0), 1 - r2, r2)
    return Regression(mse=mse, mae=np.mean(np.abs(errors), axis=0), r2=r2, questions=len(values))
