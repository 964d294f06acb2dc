"""Evaluation at the scale of data sets: shards, metrics, grids of options."""

from loihic.evaluate.evaluation import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
