"""Biases make up for the mean error of every synapse group into a population, not of the last one only."""

from __future__ import annotations

import nir
import numpy as np

from loihic.api import lower_float, read_model
from loihic.options import Options
from loihic.passes.manager import CompileContext
from loihic.quant.fit import fit
from loihic.quant.populations import Populations
from loihic.quant.statistics import collect


def test_corrections_of_a_kernel_and_a_matrix_add_up() -> None:
    """Both into one biased population; what each is to have alone is what both have together, in sum."""
    rng, field = np.random.default_rng(0), (3, 4, 4)
    full = np.ones(field)
    nodes = {
        "in": nir.Input({"input": np.array([2, 6, 6])}), "other": nir.Input({"input": np.array([2, 6, 6])}),
        "conv": nir.Conv2d((6, 6), rng.normal(size=(3, 2, 3, 3)), 1, 0, 1, 1, 0.2 * np.ones(3)),
        "flat": nir.Conv2d((6, 6), rng.normal(size=(3, 2, 3, 3)), 1, 0, 1, 1, np.zeros(3)),
        "scale": nir.Scale(rng.uniform(0.5, 2.0, field)),
        "lif": nir.LIF(tau=5 * full, r=full, v_leak=0 * full, v_threshold=full, v_reset=0 * full),
        "out": nir.Output({"output": np.array(field)})}
    edges = [("in", "conv"), ("other", "flat"), ("flat", "scale"), ("conv", "lif"), ("scale", "lif"), ("lif", "out")]
    graph, provenance, _ = read_model(nir.NIRGraph(nodes=nodes, edges=edges, type_check=False))
    x = {name: (rng.random((10, 40, 2, 6, 6)) < 0.3).astype(float) for name in ("in", "other")}
    context = CompileContext(options=Options(dt=1.0, weight_bits=4, calibration=x))
    fused = lower_float(graph, context, provenance)
    settled = Populations(fused, context.options, collect(fused, x), context.report)
    node = fused.nodes["lif"]
    groups = {key: settled.group(key) for key in settled.maps("lif")}
    assert sorted(settled.is_kernel(key) for key in groups) == [False, True]
    fixed = np.full(3, float(settled.scales["lif"].min()))
    fitted = {key: fit([group], settled.demand("lif", node, groups, fixed)) for key, group in groups.items()}
    alone = [settled.round("lif", {key: groups[key]}, found)[1] for key, found in fitted.items() if found is not None]
    both = fit(list(groups.values()), settled.demand("lif", node, groups, fixed))
    assert both is not None
    assert len(alone) == 2
    assert all(np.any(correction) for correction in alone)
    np.testing.assert_allclose(settled.round("lif", groups, both)[1], alone[0] + alone[1], rtol=1e-9)
