"""Words of synaptic memory: against Lava's own bit count, and against the tables that Intel's compiler printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loihic.ir.linear import ConvMap, DenseMap, IdentityMap, LinearMap, SparseMap, as_matrix
from loihic.ops.conv import conv_map
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import SignMode, Synapse
from loihic.partition.words import (
    axon_words,
    chained_words,
    conv_words,
    dense_words,
    map_words,
    sparse_words,
    stored_bits,
    stored_width,
    synapse_words,
)
from loihic.targets.lava import compat
from loihic.targets.lava.runner import lava_version
from loihic.targets.limits import chip_limits

RANGES = {SignMode.MIXED: (-256, 255), SignMode.EXCITATORY: (0, 255), SignMode.INHIBITORY: (-255, 0)}
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def weightutils() -> Any:
    """Lava's module that counts the bits; it needs no process of Lava's, only its import."""
    if lava_version() is None:
        pytest.skip("Lava is not installed")
    compat.install()
    return pytest.importorskip("lava.utils.weightutils")


@st.composite
def mantissas(draw: st.DrawFn) -> tuple[np.ndarray, SignMode]:
    """Integers that a sign mode allows, often with zeros in their last bits or close to a power of two."""
    mode = draw(st.sampled_from(list(SignMode)))
    low, high = RANGES[mode]
    shift = draw(st.integers(0, 8))
    near = {sign * (2**power + off) for power in range(9) for off in (-1, 0, 1) for sign in (1, -1)}
    edges = sorted(value for value in near if low <= value <= high)
    values = draw(st.lists(st.integers(low, high) | st.sampled_from(edges), min_size=1, max_size=6))
    kept = [value for value in (value >> shift << shift for value in values) if low <= value <= high]
    return np.array(kept or [0]), mode


@given(case=mantissas())
@example(case=(np.array([255, -1]), SignMode.MIXED))
@example(case=(np.array([-256]), SignMode.MIXED))
@example(case=(np.array([127, -128]), SignMode.MIXED))
def test_stored_bits_are_those_of_lava(weightutils: Any, case: tuple[np.ndarray, SignMode]) -> None:
    weights, mode = case
    found = weightutils.optimize_weight_bits(weights.copy(), weightutils.SignMode[mode.name]).num_weight_bits
    assert stored_bits(weights, mode) == stored_width(max(int(found), 1))


def test_every_single_weight_has_the_bits_of_lava(weightutils: Any) -> None:
    for mode, (low, high) in RANGES.items():
        for value in range(low, high + 1):
            weights = np.array([[value, 0]])
            found = weightutils.optimize_weight_bits(weights.copy(), weightutils.SignMode[mode.name]).num_weight_bits
            assert stored_bits(weights, mode) == stored_width(max(int(found), 1)), (mode, value)


def test_bits_of_nothing() -> None:
    for mode in SignMode:
        assert stored_bits(np.zeros((3, 4), dtype=np.int32), mode) == 1
        assert stored_bits(np.zeros((0, 4), dtype=np.int64), mode) == 1


@pytest.mark.parametrize(("value", "mode"), [
    (256, SignMode.MIXED), (-257, SignMode.MIXED), (-1, SignMode.EXCITATORY), (1, SignMode.INHIBITORY),
    (-256, SignMode.INHIBITORY)])
def test_mantissas_outside_their_sign_mode_are_refused(value: int, mode: SignMode) -> None:
    with pytest.raises(ValueError, match=mode.value):
        stored_bits(np.array([value]), mode)


# ---------------------------------------------------------------------------------------- what Intel's compiler prints

# (layer of network.net, neurons of the printed core): AxonIn, Neurons and Synapses of netx/pilotnet_snn/benchmark.ipynb
PILOTNET_DENSE = {"10": (10, 1, 10), "9": (50, 10, 150), "8": (100, 50, 1300)}
PILOTNET_CONV = {"5": 2880, "4": 2160, "3": 1620, "2": 864, "1": 81}


def sign_mode_of(weights: np.ndarray) -> SignMode:
    if weights.min() >= 0:
        return SignMode.EXCITATORY
    return SignMode.INHIBITORY if weights.max() <= 0 else SignMode.MIXED


def bits_of(path: Path, layer: str) -> tuple[np.ndarray, int]:
    with h5py.File(path) as file:
        weights = np.rint(file[f"layer/{layer}/weight"][()]).astype(np.int64)
    return weights, stored_bits(weights, sign_mode_of(weights))


@pytest.mark.parametrize("layer", PILOTNET_DENSE)
def test_dense_rows_of_pilotnet(shared_data: Path, layer: str) -> None:
    n_in, n_out, printed = PILOTNET_DENSE[layer]
    weights, bits = bits_of(shared_data / "netx" / "pilotnet_lif" / "network.net", layer)
    assert weights.size == n_in * n_out
    assert dense_words(n_out, n_in, bits) == printed


@pytest.mark.parametrize("layer", PILOTNET_CONV)
def test_conv_rows_of_pilotnet(shared_data: Path, layer: str) -> None:
    weights, bits = bits_of(shared_data / "netx" / "pilotnet_lif" / "network.net", layer)
    assert conv_words(weights.shape, bits) == PILOTNET_CONV[layer]


def test_the_split_dense_row_of_pilotnet_is_a_mean(shared_data: Path) -> None:
    """2560 to 100 on 12 cores is printed as 8 neurons and 7253 words: 11 cores of 9 neurons and one of 1.

    The compiler printed its way there: 61440 words on one core are 6 times the limit of 12000 (of that version), the
    12800 words of a sixth are twice as much as fits.
    """
    _, bits = bits_of(shared_data / "netx" / "pilotnet_lif" / "network.net", "7")
    assert dense_words(100, 2560, bits) == 61440
    assert dense_words(17, 2560, bits) == 12800
    split = [dense_words(9, 2560, bits)] * 11 + [dense_words(1, 2560, bits)]
    assert sum(split) // 12 == 7253


def test_percentages_of_mnist(shared_data: Path) -> None:
    """Synapses and total of 784-128-64-10 in per cent, the first on cores of 50 neurons: netx/mnist/run.ipynb."""
    limits = chip_limits()
    rows = []
    for layer, n_in, n_out in (("0", 784, 50), ("1", 128, 64), ("2", 64, 10)):
        _, bits = bits_of(shared_data / "netx" / "mnist" / "trained_mnist_network.net", layer)
        words = dense_words(n_out, n_in, bits)
        total = n_in + 1 + n_out + words + n_out  # axons in, one neuron group, states, synapses, axon map
        rows.append((f"{100 * words / limits.synapse_words:.2f}", f"{100 * total / limits.pool_words:.2f}"))
    assert rows == [("78.40", "67.14"), ("16.80", "14.72"), ("1.60", "1.71")]


# --------------------------------------------------------------------------------------------- widths beyond a synapse

@pytest.mark.parametrize(("bits", "widths"), [
    (1, [1]), (6, [6]), (7, [8]), (8, [8]), (9, [8, 1]), (14, [8, 6]), (15, [8, 8]), (16, [8, 8])])
def test_wide_weights_are_chained(bits: int, widths: list[int]) -> None:
    asked: list[int] = []

    def words(width: int) -> int:
        asked.append(width)
        return width

    assert chained_words(words, bits) == sum(widths)
    assert asked == widths
    assert dense_words(30, 7, bits) == sum(dense_words(30, 7, width) for width in widths)
    assert conv_words((24, 3, 3, 3), bits) == sum(conv_words((24, 3, 3, 3), width) for width in widths)
    assert sparse_words(100, 7, bits) == sum(sparse_words(100, 7, width) for width in widths)


@pytest.mark.parametrize("bits", [0, 17, -1])
def test_widths_that_no_synapse_has(bits: int) -> None:
    with pytest.raises(ValueError, match="1 to 16 bits"):
        dense_words(1, 1, bits)


def test_more_bits_never_take_fewer_words() -> None:
    for taken in ([dense_words(37, 11, bits) for bits in range(1, 17)],
                  [conv_words((20, 3, 5, 5), bits) for bits in range(1, 17)],
                  [sparse_words(90, 8, bits) for bits in range(1, 17)]):
        assert taken == sorted(taken)


# ----------------------------------------------------------------------------------------------------- groups and maps

def test_a_sparse_axon_costs_like_a_dense_one() -> None:
    """The model of sparse memory is that of dense memory, with only the weights that are there."""
    assert axon_words(np.array([5, 0, 5]), 4) == dense_words(5, 2, 4)
    assert sparse_words(50, 10, 6) == dense_words(5, 10, 6)
    assert sparse_words(13, 4, 8) == axon_words(np.array([3, 3, 3, 4]), 8)
    assert sparse_words(0, 5, 8) == sparse_words(0, 0, 8) == 0


def synapse_of(linear: LinearMap, bits: int) -> Synapse:
    """A synapse of that structure whose integers need so many bits, mixed."""
    common: dict[str, Any] = {"in_shape": linear.in_shape, "out_shape": linear.out_shape}
    pattern = np.array([2 ** (bits - 1) - 1, -(2 ** (bits - 1))])
    if isinstance(linear, ConvMap):
        kernel = np.resize(pattern, linear.kernel.shape)
        return ConvSynapse(kernel=kernel, stride=linear.stride, groups=linear.groups, **common)
    if isinstance(linear, DenseMap):
        return DenseSynapse(weights=np.resize(pattern, linear.matrix.shape), **common)
    assert isinstance(linear, SparseMap)
    matrix = linear.matrix
    data = np.resize(pattern, matrix.data.shape)
    return SparseSynapse(data=data, indices=matrix.indices, indptr=matrix.indptr, **common)


@st.composite
def conv_maps(draw: st.DrawFn) -> ConvMap:
    """Convolutions with zeros in the kernel, uneven sizes, strides, dilation, padding and groups."""
    rng = np.random.default_rng(draw(SEEDS))
    groups = draw(st.integers(1, 3))
    shape = (groups * draw(st.integers(1, 2)), draw(st.integers(3, 9)), draw(st.integers(3, 9)))
    kernel = rng.normal(size=(groups * draw(st.integers(1, 5)), shape[0] // groups, draw(st.integers(1, 3)),
                              draw(st.integers(1, 3))))
    kernel[rng.random(kernel.shape) < draw(st.sampled_from([0.0, 0.3, 0.9]))] = 0.0
    pairs = st.tuples(st.integers(1, 2), st.integers(1, 2))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    dilation = draw(pairs) if min(shape[1:]) >= 5 else (1, 1)
    return conv_map(shape, kernel, draw(pairs), padding, dilation, groups)


@given(linear=conv_maps(), bits=st.integers(1, 16))
def test_an_unrolled_convolution_is_counted_without_unrolling(linear: ConvMap, bits: int) -> None:
    assert map_words(linear, bits, conv=False) == map_words(as_matrix(linear), bits, conv=False)


@given(linear=conv_maps(), bits=st.integers(2, 8))
def test_a_map_takes_the_words_of_its_synapse(linear: ConvMap, bits: int) -> None:
    if linear.kernel.size >= 2:
        assert map_words(linear, bits, conv=True) == synapse_words(synapse_of(linear, bits))
    matrix = as_matrix(linear)
    if matrix.to_csr().nnz >= 2:
        assert map_words(matrix, bits, conv=False) == synapse_words(synapse_of(matrix, bits))


def test_grouped_kernels() -> None:
    assert conv_words((6, 1, 3, 3), 8, groups=6) == 6 * 9
    assert conv_words((64, 8, 3, 3), 4, groups=2) == 2 * conv_words((32, 8, 3, 3), 4)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 50])
def test_one_to_one(size: int) -> None:
    linear = IdentityMap(in_shape=(size,), out_shape=(size,))
    assert map_words(linear, 8, conv=True) == map_words(as_matrix(linear), 8, conv=False)
    assert map_words(linear, 8, conv=False) == (dense_words(size, size, 8) if size <= 3 else size)


def test_unknown_synapse() -> None:
    class Other(Synapse):
        def accumulate(self, message: np.ndarray) -> np.ndarray:
            return message

    with pytest.raises(TypeError, match="Other"):
        synapse_words(Other(in_shape=(1,), out_shape=(1,)))
