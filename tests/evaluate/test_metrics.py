"""Metrics against scikit-learn, and Pareto points against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import norm
from sklearn import metrics as sklearn

from loihic.evaluate.metrics import classification, regression, wilson
from loihic.evaluate.pareto import pareto


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_classification(pairs):
    labels, answers = np.array(pairs).T
    found = classification(answers, labels, 5)
    np.testing.assert_array_equal(found.confusion, sklearn.confusion_matrix(labels, answers, labels=range(5)))
    assert found.accuracy == pytest.approx(sklearn.accuracy_score(labels, answers))
    wanted = sklearn.precision_recall_fscore_support(labels, answers, labels=range(5), zero_division=np.nan)
    np.testing.assert_allclose(found.precision, wanted[0])
    np.testing.assert_allclose(found.recall, wanted[1])
    np.testing.assert_array_equal(found.support, wanted[3])
    low, high = found.interval
    assert 0 <= low <= found.accuracy + 1e-12
    assert found.accuracy - 1e-12 <= high <= 1


def test_wilson():
    n, p, z = 360, 350 / 360, norm.ppf(0.975)
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    assert wilson(350, 360) == pytest.approx(((middle - half) / scale, (middle + half) / scale))
    assert wilson(0, 0) == (0, 1)


values = arrays.arrays(np.float64, (12, 2), elements=st.integers(-50, 50).map(float))


@settings(max_examples=30)
@given(values, values)
def test_regression(found, wanted):
    ours = regression(found, wanted)
    np.testing.assert_allclose(ours.mse, sklearn.mean_squared_error(wanted, found, multioutput="raw_values"))
    np.testing.assert_allclose(ours.mae, sklearn.mean_absolute_error(wanted, found, multioutput="raw_values"))
    np.testing.assert_allclose(ours.r2, sklearn.r2_score(wanted, found, multioutput="raw_values"))
    assert ours.overall["r2"] == pytest.approx(sklearn.r2_score(wanted, found))
    assert ours.overall["mse"] == pytest.approx(sklearn.mean_squared_error(wanted, found))


@settings(max_examples=50)
@given(arrays.arrays(np.float64, st.tuples(st.integers(0, 12), st.integers(1, 3)),
                     elements=st.one_of(st.integers(0, 4).map(float), st.just(np.nan))))
def test_pareto(costs):
    whole = [row for row in costs if not np.isnan(row).any()]
    for row, best in zip(costs, pareto(costs), strict=True):
        beaten = any(np.all(other <= row) and np.any(other < row) for other in whole)
        assert best == (not np.isnan(row).any() and not beaten)
