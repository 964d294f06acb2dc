"""TorchEngine computes the integers of NumpyEngine: on random graphs, at extremes, in pieces, from checkpoints."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hardware_nets import Net, hardware_nets, random_net, recordable
from hypothesis import given, settings
from hypothesis import strategies as st

from loihic.errors import BackendError
from loihic.ir.graph import Edge, HardwareGraph
from loihic.ir.node import HardwareNode
from loihic.ir.validate import validate_hardware
from loihic.ops.activation import Activation
from loihic.ops.compartment import Compartment
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.delay_line import DelayLine
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.population import Population
from loihic.ops.sigma_delta import SdnRole, SigmaDeltaNeurons
from loihic.ops.source import Sink, Source
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import Synapse
from loihic.ops.traits import Emit, Reset
from loihic.sim.engine import Checkpoint, Engine, Stretch
from loihic.sim.run import begin
from loihic.sim.simulator import NumpyEngine
from loihic.sim.torch_engine import TorchEngine

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def batch_of(inputs: dict[str, np.ndarray]) -> int:
    return next((len(values) for values in inputs.values()), 2)


def assert_same_checkpoint(one: Checkpoint, other: Checkpoint) -> None:
    assert one.step == other.step
    assert one.states.keys() == other.states.keys()
    for name, states in one.states.items():
        assert states.keys() == other.states[name].keys()
        for key, values in states.items():
            assert values.dtype == other.states[name][key].dtype
            np.testing.assert_array_equal(values, other.states[name][key], err_msg=f"{name}.{key}")


def assert_same_stretch(ours: Stretch, wanted: Stretch) -> None:
    for kind in ("outputs", "recorded"):
        mine, theirs = getattr(ours, kind), getattr(wanted, kind)
        assert mine.keys() == theirs.keys()
        for name, values in theirs.items():
            assert mine[name].dtype == np.int64
            np.testing.assert_array_equal(mine[name], values, err_msg=str(name))


def assert_same(graph: HardwareGraph, inputs: dict[str, np.ndarray], steps: int, *, record: Any = None,
                **choices: Any) -> TorchEngine:
    """Outputs, records, counts and the final state of both engines are equal; returns ours."""
    record, batch = recordable(graph) if record is None else record, batch_of(inputs)
    reference = NumpyEngine(graph, batch, record=record, count=True)
    engine = TorchEngine(graph, batch, record=record, count=True, **choices)
    assert_same_stretch(engine.advance(inputs, steps), reference.advance(inputs, steps))
    assert engine.sent.keys() == reference.sent.keys()
    for name, counts in reference.sent.items():
        np.testing.assert_array_equal(engine.sent[name], counts, err_msg=name)
    assert_same_checkpoint(engine.checkpoint(), reference.checkpoint())
    return engine


@settings(max_examples=60)
@given(hardware_nets(), st.booleans())
def test_random_graphs(net: Net, records: bool) -> None:
    validate_hardware(net.graph)
    assert_same(net.graph, net.inputs, net.steps, record=None if records else ())


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_many_seeds(first: int) -> None:
    for seed in range(first, first + 50):
        assert_same(*random_net(seed), record=())


@settings(max_examples=30)
@given(hardware_nets(steps=12), st.lists(st.integers(0, 12), max_size=3).map(sorted),
       st.lists(st.booleans(), min_size=4, max_size=4))
def test_stretches_by_either_engine(net: Net, ends: list[int], ours: list[bool]) -> None:
    """A run in pieces, each by an engine that goes on from the checkpoint of the one before, is one run."""
    batch, record = batch_of(net.inputs), recordable(net.graph)
    whole = NumpyEngine(net.graph, batch, record=record)
    wanted = whole.advance(net.inputs, net.steps)
    at: Checkpoint | None = None
    pieces = []
    for begun, end, mine in zip([0, *ends], [*ends, net.steps], ours, strict=False):
        kind = TorchEngine if mine else NumpyEngine
        engine: Engine = kind(net.graph, batch, record=record, at=at)
        pieces.append(engine.advance({name: x[:, begun:end] for name, x in net.inputs.items()}, end - begun))
        at = engine.checkpoint()
    assert at is not None
    assert_same_checkpoint(at, whole.checkpoint())
    for kind_of in ("outputs", "recorded"):
        for name, values in getattr(wanted, kind_of).items():
            joined = np.concatenate([getattr(piece, kind_of)[name] for piece in pieces], axis=1)
            np.testing.assert_array_equal(joined, values, err_msg=str(name))


@settings(max_examples=20)
@given(hardware_nets(steps=12), st.integers(1, 9))
def test_one_engine_in_stretches(net: Net, each: int) -> None:
    engine, reference = (kind(net.graph, batch_of(net.inputs), count=True) for kind in (TorchEngine, NumpyEngine))
    for first in range(0, net.steps, each):
        part = {name: x[:, first : first + each] for name, x in net.inputs.items()}
        number = min(each, net.steps - first)
        assert_same_stretch(engine.advance(part, number), reference.advance(part, number))
    assert engine.step == net.steps
    for name, counts in reference.sent.items():
        np.testing.assert_array_equal(engine.sent[name], counts)
    assert_same_checkpoint(engine.checkpoint(), reference.checkpoint())


def joined(source: Source, synapse: Synapse, neuron: Population, *edges: tuple[str, str], **more: HardwareNode
           ) -> HardwareGraph:
    """in -> w -> n -> out, and `more` nodes, connected by `edges`."""
    nodes: dict[str, HardwareNode] = {"in": source, "w": synapse, "n": neuron, "out": Sink(shape=neuron.shape), **more}
    pairs = [("in", "w"), ("w", "n"), ("n", "out"), *edges]
    shapes = {name: node.out_shape if isinstance(node, Synapse) else node.shape for name, node in nodes.items()}
    graph = HardwareGraph(nodes=nodes, edges=tuple(Edge(src=a, dst=b) for a, b in pairs), shapes=shapes)
    validate_hardware(graph)
    return graph


def full(rows: int, columns: int, weight: int = 254, **choices: Any) -> DenseSynapse:
    return DenseSynapse(in_shape=(columns,), out_shape=(rows,), weights=np.full((rows, columns), weight), **choices)


def lif(n: int, **choices: Any) -> Compartment:
    return Compartment(**{"shape": (n,), "du": np.array(4095), "dv": np.array(0), "vth": np.array(10),
                          "stock": False} | choices)


@pytest.mark.parametrize("bound", [1 << 15, 1 << 24, 1 << 31, 1 << 46, (1 << 62) + 3])
@pytest.mark.parametrize("exponent", [-8, -1, 0, 7])
def test_messages_beyond_every_type(bound: int, exponent: int) -> None:
    """Inputs may leave the range of their port; sums are exact in 32 bits whatever they are, and kept in lines."""
    rng = np.random.default_rng(bound % 1000)
    matrix = rng.choice([-256, -1, 1, 254], (3, 40))
    graph = joined(Source(shape=(40,)), DenseSynapse(in_shape=(40,), out_shape=(3,), weights=matrix, message_bits=24,
                                                     exponent=exponent),
                   lif(3, emit=Emit.STATE, du=np.array([0, 9, 4095]), dv=np.array([0, 4096, 50])),
                   ("in", "line"), ("line", "late"), late=Sink(shape=(40,)),
                   line=DelayLine(shape=(40,), steps=np.arange(40) % 3 + 1))
    small, large = rng.integers(-9, 10, (2, 3, 40)), rng.integers(-bound, bound, (2, 4, 40))
    large[:, 0], large[:, 1] = bound - 1, -bound
    engine, reference = (kind(graph, 2, record=recordable(graph)) for kind in (TorchEngine, NumpyEngine))
    for values in (small, large, small):
        assert_same_stretch(engine.advance({"in": values}, len(values[0])),
                            reference.advance({"in": values}, len(values[0])))
    at = reference.checkpoint()
    assert_same_checkpoint(engine.checkpoint(), at)
    ours, theirs = (kind(graph, 2, at=at) for kind in (TorchEngine, NumpyEngine))
    assert_same_stretch(ours.advance({"in": small}, 5), theirs.advance({"in": small}, 5))


def test_spikes_that_turn_out_to_be_numbers() -> None:
    """A port for spikes is given negative numbers and large ones: a synapse for spikes counts each as one."""
    graph = joined(Source(shape=(4,)), full(2, 4, 20), lif(2, vth=np.array([30, 50])), ("in", "line"), ("line", "late"),
                   ("late", "n"), line=DelayLine(shape=(4,), steps=np.array([1, 2, 3, 1])), late=full(2, 4, -6))
    rng = np.random.default_rng(8)
    engine, reference = (kind(graph, 3, record=recordable(graph)) for kind in (TorchEngine, NumpyEngine))
    for low, high in ((0, 1), (-1, 1), (0, 1), (0, 7), (-9, 1 << 40)):
        x = {"in": rng.integers(low, high, (3, 6, 4), endpoint=True)}
        assert_same_stretch(engine.advance(x, 6), reference.advance(x, 6))
    at = reference.checkpoint()
    ours, theirs = (kind(graph, 3, at=at) for kind in (TorchEngine, NumpyEngine))
    assert_same_stretch(ours.advance({}, 5), theirs.advance({}, 5))


@pytest.mark.parametrize("reach", [1, 100, (1 << 23) - 1])
@pytest.mark.parametrize("exponent", [-3, 0, 5])
def test_kernels_that_wrap_at_24_bits(reach: int, exponent: int) -> None:
    rng = np.random.default_rng(0)
    synapse = ConvSynapse(in_shape=(4, 7, 6), out_shape=(6, 5, 2), message_bits=24, exponent=exponent, groups=2,
                          kernel=rng.choice([-256, 0, 254], (6, 2, 3, 2)), padding=(2, 1), stride=(2, 3),
                          dilation=(1, 2))
    neuron = Compartment(shape=(6, 5, 2), du=np.array(4095), dv=np.array(4096), vth=np.array(0), emit=Emit.STATE,
                         stock=False)
    x = rng.choice([-reach, 0, reach], (3, 5, 4, 7, 6))
    assert_same(joined(Source(shape=(4, 7, 6), low=-reach, high=reach), synapse, neuron), {"in": x}, 5)


@pytest.mark.parametrize("reset", list(Reset))
@pytest.mark.parametrize("emit", list(Emit))
def test_states_that_wrap_and_saturate(reset: Reset, emit: Emit) -> None:
    """u leaves 24 and 32 bits, v runs into its ends, neurons spike always or never."""
    n = 6
    neuron = lif(n, reset=reset, emit=emit, vth=np.array([0, 0, 1, 1000, (1 << 17) - 1, (1 << 17) - 1]),
                 du=np.array([0, 4095, 7, 0, 0, 4095]), dv=np.array([0, 4096, 0, 1, 4095, 0]),
                 ibias_mant=np.array([4095, -4096, 0, 0, 4095, 0]), ibias_exp=np.array(7),
                 vbias_mant=np.array([4095, 0, -4096, 4095, 0, 0]), vbias_exp=np.array([7, 0, 7, 0, 3, 3]),
                 v_init=np.array([(1 << 23) - 1, -(1 << 23) + 1, 0, 5, -5, 1 << 40]), start=2)
    graph = joined(Source(shape=(9,), low=-1, high=1 << 22), full(n, 9, exponent=7, message_bits=24), neuron)
    x = np.random.default_rng(1).choice([-1, 0, 1, 1 << 22], (2, 30, 9))
    assert_same(graph, {"in": x}, 30)


@pytest.mark.parametrize("role", list(SdnRole))
@pytest.mark.parametrize(("spike_exp", "state_exp", "threshold"), [(0, 0, 0), (6, 6, 3), (31, 31, (1 << 31) - 1)])
def test_sigma_delta_neurons(role: SdnRole, spike_exp: int, state_exp: int, threshold: int) -> None:
    neuron = SigmaDeltaNeurons(shape=(4,), role=role, spike_exp=spike_exp, state_exp=state_exp, threshold=threshold,
                               bias=np.array([0, 3, -700, 1 << 20]))
    graph = joined(Source(shape=(5,), low=-99, high=99), full(4, 5, message_bits=24), neuron,
                   ("n", "back"), ("back", "n"), back=full(4, 4, 2, message_bits=24))
    assert_same(graph, {"in": np.random.default_rng(2).integers(-99, 100, (3, 25, 5))}, 25)


@pytest.mark.parametrize("choices", [
    {"low": 0, "high": 15, "shift": np.array(0)},
    {"low": -9, "high": 9, "shift": np.array([1, 2, 62, 0, 5, 9]), "multiplier": np.arange(6) - 2, "ties_even": True},
    {"low": 3, "high": 9, "addend": np.array(-50), "shift": np.array(4), "ties_even": True},
    {"low": -8, "high": 7, "thresholds": np.array([-900, -3, 0, 0, 0, 1000])},
    {"low": 0, "high": 6, "rise": 2, "thresholds": np.arange(18).reshape(6, 3) * 100},
    {"low": 4, "high": 4, "thresholds": np.zeros(0, dtype=np.int64)}])
@pytest.mark.parametrize("sigma", [False, True])
@pytest.mark.parametrize("vth", [None, 0, 3])
def test_activations(choices: dict[str, Any], sigma: bool, vth: int | None) -> None:
    neuron = Activation(shape=(6,), sigma=sigma, delta=vth is not None, vth=vth or 0, start=1, **choices)
    graph = joined(Source(shape=(5,), low=-9, high=9), full(6, 5, 3, message_bits=24), neuron,
                   ("n", "back"), ("back", "n"), back=full(6, 6, -1, message_bits=24, exponent=-3))
    assert_same(graph, {"in": np.random.default_rng(3).integers(-9, 10, (2, 12, 5))}, 12)


@pytest.mark.parametrize("steps", [np.array(1), np.array(9), np.array([1, 4, 30]), np.array([2, 2, 2])])
def test_lines_of_any_length_in_a_loop(steps: np.ndarray) -> None:
    graph = joined(Source(shape=(2,)), full(3, 2), lif(3, vth=np.array([100, 300, 900])), ("n", "line"),
                   ("line", "back"), ("back", "n"), line=DelayLine(shape=(3,), steps=steps), back=full(3, 3, -30))
    assert_same(graph, {"in": np.random.default_rng(4).integers(0, 2, (2, 50, 2))}, 50)


def test_a_large_sparse_matrix_stays_sparse() -> None:
    rng = np.random.default_rng(5)
    data = rng.integers(-127, 128, 3000) * 2
    rows, columns = np.sort(rng.integers(0, 600, 3000)), rng.integers(0, 700, 3000)
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=600))])
    synapse = SparseSynapse(in_shape=(700,), out_shape=(600,), data=data, indices=columns, indptr=ends, message_bits=24)
    for reach in (1, 1 << 22, 1 << 31):
        x = rng.choice([-reach, 0, reach], (3, 4, 700))
        engine = assert_same(joined(Source(shape=(700,), low=-reach, high=reach), synapse, lif(600)), {"in": x}, 4)
        assert type(engine._machine.products["w"]).__name__ == "SparseProduct"


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.uint8, np.int16, np.uint16, np.int64, np.float64])
def test_inputs_of_any_type_that_may_be_read_only(dtype: Any) -> None:
    x = np.random.default_rng(6).integers(0, 2, (3, 9, 4)).astype(dtype)
    x.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(joined(Source(shape=(4,)), full(2, 4), lif(2)), {"in": x}, 9)


def test_nothing_at_all() -> None:
    """No steps, no inputs, no elements, no populations."""
    graph = joined(Source(shape=(4,)), full(2, 4), lif(2, vbias_mant=np.array(100)))
    assert_same(graph, {"in": np.zeros((2, 0, 4), dtype=np.int64)}, 0)
    assert_same(graph, {}, 5)
    empty = joined(Source(shape=(4,)), full(0, 4), lif(0))
    assert_same(empty, {"in": np.ones((2, 3, 4), dtype=np.int64)}, 3)
    bare = HardwareGraph(nodes={"in": Source(shape=(2,)), "out": Sink(shape=(2,))},
                         edges=(Edge(src="in", dst="out"),), shapes={"in": (2,), "out": (2,)})
    assert_same(bare, {"in": np.ones((2, 3, 2), dtype=np.int64)}, 4)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long runs go in blocks, convolutions in pieces, large results over the host: the same integers."""
    from loihic.sim.tensors import machine, products, tape

    for seed in range(12):
        graph, inputs, steps = random_net(seed, steps=30)
        for bytes_of in (1, 3000, 20000):
            monkeypatch.setitem(machine.BLOCK_BYTES, "cpu", bytes_of)
            monkeypatch.setitem(products.COLUMN_BYTES, "cpu", bytes_of)
            monkeypatch.setattr(tape, "HELD_BYTES", bytes_of)
            assert_same(graph, inputs, steps, record=() if seed % 2 else None)


def test_progress_counts_up_to_all_steps() -> None:
    graph = joined(Source(shape=(4,)), full(2, 4), lif(2))
    seen: list[int] = []
    TorchEngine(graph, 2).advance({"in": np.ones((2, 100, 4), dtype=np.int64)}, 150, seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 150


def test_the_users_settings_neither_disturb_nor_are_disturbed() -> None:
    """bfloat16 and autocast would round messages; both are off for our products and on again afterwards."""
    x = np.random.default_rng(7).integers(-999, 1000, (64, 3, 60))
    graph = joined(Source(shape=(60,), low=-999, high=999), full(40, 60, message_bits=24), lif(40, emit=Emit.STATE))
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert_same(graph, {"in": x}, 3)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    if hasattr(torch.backends.mkldnn, "matmul"):
        torch.backends.cuda.matmul.fp32_precision = "tf32"  # after which torch does not tell its older setting
        try:
            assert_same(graph, {"in": x}, 3)
            assert torch.backends.cuda.matmul.fp32_precision == "tf32"
        finally:
            torch.backends.cuda.matmul.fp32_precision = "none"


def test_compiled_neurons(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch compiles computes the same, single steps of a loop and several steps at once; traced only, here."""
    import functools

    from loihic.sim.tensors import fuse

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    fuse._compiled.cache_clear()
    try:
        for seed in range(4):
            graph, inputs, steps = random_net(seed, steps=10, populations=2)
            engine = assert_same(graph, inputs, steps, record=(), fuse=True)
            assert engine._machine.fused.compiles
    finally:
        fuse._compiled.cache_clear()


def test_a_compiler_that_fails_costs_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    from loihic.sim.tensors import fuse

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", broken)
    fuse._compiled.cache_clear()
    with pytest.warns(UserWarning, match="RuntimeError: no compiler"):
        assert_same(*random_net(1, steps=19), record=(), fuse=True)


def test_begin_gives_it() -> None:
    graph, inputs, _ = random_net(3)
    assert isinstance(begin(graph, batch_of(inputs), engine="torch"), TorchEngine)


def test_devices_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = joined(Source(shape=(4,)), full(2, 4), lif(2))
    for name in ("cuda:77", "nonsense", "meta"):
        with pytest.raises(BackendError, match="LHC601"):
            TorchEngine(graph, 1, device=name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BackendError, match=r"loihic\[torch\]"):
        TorchEngine(graph, 1)
