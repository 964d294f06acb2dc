"""An exported folder runs without loihic, replaces only its like, and reaches a chip through Lava's adapters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from loihic.errors import InputError
from loihic.targets.lava.export import export_network
from loihic.targets.lava.network import LavaConnection, LavaNetwork, LavaProcess, LavaTap
from loihic.targets.lava.runner import lava_version
from loihic.targets.lava.worker import load_arrays

needs_lava = pytest.mark.skipif(lava_version() is None, reason="Lava is not installed")
FILES = {"run.py", "processes.py", "activations.py", "compat.py", "network.json", "tensors.npz", "inputs.npz",
         "README.md"}
INPUTS = {"in": np.ones((1, 3, 2), dtype=np.int8)}


def network(neuron: str = "loihic.Neuron") -> LavaNetwork:
    return LavaNetwork(
        processes=(LavaProcess(name="in", kind="input", args={"shape": (2,)}),
                   LavaProcess(name="w", kind="lava.proc.dense.process.Dense",
                               args={"weights": np.array([[10, 20]]), "sign_mode": "MIXED", "weight_exp": np.int64(1)}),
                   LavaProcess(name="n", kind=neuron, args={"shape": (1,), "vth": 50, "du": 4095})),
        connections=(LavaConnection(src="in", src_port="s_out", dst="w", dst_port="s_in"),
                     LavaConnection(src="w", src_port="a_out", dst="n", dst_port="a_in")),
        taps=(LavaTap(key="y", process="n", port="s_out"), LavaTap(key="x", process="in", port="s_out")))


def run_exported(folder: Path, *options: str, path: str = "") -> dict[str, np.ndarray]:
    """result.npz of the folder, run from another folder in a Python that does not see loihic."""
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, str(folder / "run.py"), str(folder), *options], check=True, cwd=folder.parent,
                   env=environment, timeout=120)
    return load_arrays(folder / "result.npz")


@needs_lava
def test_export_runs_by_itself(tmp_path: Path) -> None:
    export_network(network(), INPUTS, 5, tmp_path / "out", name="demo")
    assert {file.name for file in (tmp_path / "out").iterdir()} == FILES
    assert run_exported(tmp_path / "out")["y"][0, :, 0].tolist() == [0, 1, 1, 1, 0]


STAND_IN = '''
"""Stands in for lava-loihi's adapters: the same constructor and ports, but what comes in goes out in the same step."""
import numpy as np
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

class PyToNxAdapter(AbstractProcess):
    def __init__(self, shape, num_message_bits=0):
        super().__init__(shape=shape, num_message_bits=num_message_bits)
        self.inp, self.out = InPort(shape=shape), OutPort(shape=shape)

class NxToPyAdapter(PyToNxAdapter):
    pass

class Model(PyLoihiProcessModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    def run_spk(self):
        self.out.send(self.inp.recv())

@implements(proc=PyToNxAdapter, protocol=LoihiProtocol)
@requires(CPU)
class PyToNxModel(Model):
    pass

@implements(proc=NxToPyAdapter, protocol=LoihiProtocol)
@requires(CPU)
class NxToPyModel(Model):
    pass
'''


@needs_lava
def test_hardware_path_goes_through_the_adapters(tmp_path: Path) -> None:
    lava = tmp_path / "path" / "lava"
    for file, text in (
        (lava / "proc" / "embedded_io" / "spike.py", STAND_IN),
        (lava / "magma" / "compiler" / "subcompilers" / "nc" / "part.py", ""),
        # Loihi2HwCfg asks after these base classes, of which nothing in this network is a subclass.
        (lava / "magma" / "core" / "model" / "c" / "model.py", "class CLoihiProcessModel: pass"),
        (lava / "magma" / "core" / "model" / "nc" / "model.py", "class AbstractNcProcessModel: pass"),
    ):
        file.parent.mkdir(parents=True)
        file.write_text(text)
    export_network(network("lava.proc.lif.process.LIF"), INPUTS, 5, tmp_path / "out", name="demo")
    result = run_exported(tmp_path / "out", "--hardware", path=str(tmp_path / "path"))
    assert result["y"][0, :, 0].tolist() == [0, 1, 1, 1, 0]
    assert result["x"][0, :, 0].tolist() == [1, 1, 1, 0, 0]


def test_export_replaces_an_export_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    export_network(network(), INPUTS, 5, folder, name="first")
    (folder / "result.npz").write_bytes(b"old")
    export_network(network(), INPUTS, 5, folder, name="second")
    assert {file.name for file in folder.iterdir()} == FILES
    assert (folder / "README.md").read_text().startswith("# second")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("precious")
    for target in (other, other / "thesis.txt"):
        with pytest.raises(InputError) as caught:
            export_network(network(), INPUTS, 5, target, name="third")
        assert caught.value.diagnostics[0].code == "LHC112"
    assert (other / "thesis.txt").read_text() == "precious"


def test_failed_export_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        export_network(network(), {}, 5, tmp_path / "out", name="demo")
    assert list(tmp_path.iterdir()) == []
