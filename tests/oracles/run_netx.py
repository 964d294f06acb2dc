"""Runs lava-dl's netx as it is released on what a folder asks for: ``python run_netx.py FOLDER``.

A script of its own, because Lava can wait for ever: it is to be started in a process group that somebody ends. The
folder holds

- jobs.json: a list of jobs, each with ``net`` (the file), ``arguments`` (of netx.hdf5.Network), ``steps``, and
  ``drive``: ``inp`` if the input goes to the network's own port, ``neuron`` if it goes to the neurons of its first
  layer, ``bias`` if it becomes their biases (then it has one step);
- inputs.npz: of job i, by the name ``i``, whole numbers (T, *shape), channels first; zeros follow.

The result is result.npz: of job i, by the name ``i.layers``, how many layers netx built; by ``i.out`` what the last one
sent, (steps, *shape); by ``i.v`` the voltages of its neurons, if they have any. If netx could not build the network,
there is only ``i.error``.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from loihic.targets.lava import compat
from loihic.targets.lava.worker import ActorWatch, Array, end_badly, end_with_parent, load_arrays, save_arrays

UNUSED = "lava.lib.dl.slayer.object_detection"
"""What lava-dl's package loads with everything else and netx has no use for; it alone needs torchvision and opencv."""


def run(job: dict[str, Any], x: Array) -> dict[str, Array]:
    """Build the network of a job and run it."""
    from lava.lib.dl.netx import hdf5
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io import sink, source
    from lava.proc.monitor.process import Monitor

    try:
        net = hdf5.Network(job["net"], **job["arguments"])
    except Exception as error:  # whatever netx lets out is the answer
        return {"error": np.array(f"{type(error).__name__}: {error}")}
    steps: int = job["steps"]
    if job["drive"] == "bias":
        net.in_layer.neuron.bias_mant.init = x[0].T
    else:
        data = np.zeros((*x.shape[:0:-1], steps), dtype=np.int32)  # width first and time last, as netx has it
        data[..., : len(x)] = x.T
        port = net.inp if job["drive"] == "inp" else net.in_layer.neuron.a_in
        source.RingBuffer(data=data).s_out.connect(port)
    out = sink.RingBuffer(shape=net.out_layer.out.shape, buffer=steps)
    net.out_layer.out.connect(out.a_in)
    neuron, monitor = net.out_layer.neuron, Monitor()
    spiking = hasattr(neuron, "v")
    if spiking:
        monitor.probe(neuron.v, steps)
    net.create_runtime(run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    with ActorWatch(net.runtime._messaging_infrastructure.actors):
        net.run(condition=RunSteps(num_steps=steps))
    found = {"layers": np.array(len(net)), "out": out.data.get().T}
    if spiking:
        v = next(iter(monitor.get_data().values()))["v"]
        found["v"] = v.transpose(0, *range(v.ndim - 1, 0, -1))
    net.stop()
    return found


def main(folder: Path) -> None:
    """Run the jobs one after the other."""
    end_with_parent()
    try:
        compat.install()
        sys.modules[UNUSED] = ModuleType(UNUSED)
        inputs, results = load_arrays(folder / "inputs.npz"), {}
        for index, job in enumerate(json.loads((folder / "jobs.json").read_text(encoding="utf-8"))):
            results |= {f"{index}.{key}": value for key, value in run(job, inputs[f"{index}"]).items()}
        save_arrays(folder / "result.npz", results)
    # Whatever it is, Lava's processes must not outlive it, and a normal exit would wait for them.
    except BaseException:
        end_badly(traceback.format_exc())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
