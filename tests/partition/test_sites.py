"""The placement that goes beside an exported script: every neuron of every Process once, compartment by compartment."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import RandomNet, networks
from test_core_machine import convolutional

import loihic
from loihic.partition.plan import plan
from loihic.targets.lava.emit import lava_order, lava_shape, process_names
from loihic.targets.lava.sites import placement_text
from loihic.targets.limits import chip_limits
from loihic.targets.systems import counted

SMALL = replace(chip_limits("loihi2"), neuron_words=7)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.one_of(networks(), convolutional()))
def test_boxes_hold_the_compartments(net: RandomNet) -> None:
    graph = loihic.compile(net.graph, dt=net.dt, golden_steps=1).graph
    made = plan(graph, counted(SMALL), {name: np.zeros(int(np.prod(shape))) for name, shape in graph.shapes.items()},
                objective="cores", fixed_chips=False, method="linear")
    processes = process_names(graph)
    found = json.loads(placement_text(made, processes))
    assert len(found["cores"]) == made.cores
    names = {process: node for node, process in processes.items()}
    for core, described in enumerate(found["cores"]):
        assert (described["chip"], described["core"]) == (made.placement.chip(core), made.placement.core(core))
        compartment = 0
        for part in described["slices"]:
            node = names[part["process"]]
            shape = graph.shapes[node]
            # Lava's flat numbers of the elements of a box, and from those loihic's.
            flat = np.arange(int(np.prod(shape))).reshape(lava_shape(shape) if len(shape) < 4 else (-1,))
            cells = [flat[tuple(slice(low, high) for low, high in box)].reshape(-1) for box in part["boxes"]]
            elements = lava_order(shape)[np.concatenate(cells)]
            there = [made.partition.neuron(core, compartment + place) for place in range(part["neurons"])]
            assert sorted(there) == sorted((node, int(element)) for element in elements)
            compartment += part["neurons"]
