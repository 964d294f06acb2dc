"""Resources: what is counted of a core, in one order everywhere: its memories in words, and its work per step."""

from __future__ import annotations

import numpy as np

from loihic.ir.node import Array
from loihic.targets.limits import Limits

NEURONS, SYNAPSES, AXON_IN, AXON_MAP, AXON_MEM, GROUPS, POOL = range(7)
MEMORIES = ("neurons", "synapses", "axon_in", "axon_map", "axon_mem", "groups", "pool")
LABELS = ("Neurons", "SynMem", "AxonIn", "AxonMap", "AxonMem", "NeuronGr", "Total")  # as Intel's compiler prints them
UPDATES, SYNOPS, READS = range(3)
WORK = ("neuron updates", "synaptic operations", "synaptic memory reads")


def capacities(limits: Limits) -> Array:
    """What a core holds, in the order of `MEMORIES`."""
    return np.array([limits.neuron_words, limits.synapse_words, limits.axon_in, limits.axon_map, limits.axon_mem,
                     limits.neuron_groups, limits.pool_words], dtype=np.float64)


def durations(limits: Limits) -> Array:
    """Seconds that one of each kind of `WORK` takes a core."""
    rates = limits.rates
    return np.array([rates.neuron_update.value, rates.synop.value, rates.memory_read.value])
