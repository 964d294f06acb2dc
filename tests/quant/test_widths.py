"""The rules of --weight-bits, and the TOML file that holds a whole choice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import loihic
from loihic.errors import InputError
from loihic.ops.compartment import Compartment
from loihic.ops.synapse import Synapse
from loihic.quant.formats import Format
from loihic.quant.widths import Widths, write_widths

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


def test_the_last_rule_that_fits_counts_and_the_nameless_one_is_for_the_rest() -> None:
    widths = Widths.parse("conv2=4,auto,lif*=8f,lif9=12")
    assert widths.of(["conv2"]) == Format(bits=4)
    assert widths.of(["lif3"]) == Format(bits=8, split=True)
    assert widths.of(["lif9"]) == Format(bits=12)
    assert widths.of(["other"]) is None
    assert widths.of(["other", "conv2"]) == Format(bits=4)
    assert Widths.parse("3").of(["any"]) == Format(bits=3)
    assert Widths.parse("a=2").of(["b"]) == Format(bits=8)


@pytest.mark.parametrize("text", ["", "x=", "=8", "8,=4", "conv=17", "conv=8x", "auto=auto=8f=9f", "99"])
def test_rules_that_mean_nothing(text: str) -> None:
    with pytest.raises(InputError, match="LHC702"):
        Widths.parse(text)


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.sampled_from(["1", "8", "8f", "16"]), max_size=4),
       st.dictionaries(st.text(min_size=1, max_size=8),
                       st.one_of(st.floats(1e-6, 1e9), st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=3)),
                       max_size=3))
def test_what_is_written_is_read(formats: dict[str, str], scales: dict[str, float | list[float]]) -> None:
    """Whatever the nodes are called, control characters, quotes and brackets included."""
    import tempfile

    arrays = {name: np.asarray(scale) for name, scale in scales.items()}
    with tempfile.TemporaryDirectory() as folder:
        found = Widths.read(write_widths(Path(folder) / "bits.toml", "a\nmodel", formats, arrays))
    for name, bits in formats.items():
        assert found.of([name]) == Format.parse(bits)
    assert found.scales.keys() == arrays.keys()
    for name, scale in arrays.items():
        np.testing.assert_array_equal(found.scales[name], scale)


@pytest.mark.parametrize("content", [
    "nonsense", "[synapses]\na = 3", "[synapses.a]\nbits = 1.5", "[synapses.a]\nbits = true", "other = 1",
    "[populations.a]\nscale = -1", "[populations.a]\nscale = [[1]]", "[populations.a]\nscale = 'x'",
    "[populations.a]\nscale = inf", "synapses = 3", "default = []", "[synapses.a]\nbits = '99'"])
def test_files_that_are_none(content: str, tmp_path: Path) -> None:
    file = tmp_path / "bits.toml"
    file.write_text(content)
    with pytest.raises(InputError):
        Widths.read(file)


@pytest.mark.parametrize("bits", ["8", "6f", "12", "fc1=4,auto"])
def test_a_dumped_choice_gives_the_same_program(bits: str, tmp_path: Path) -> None:
    model = DIGITS / "digits_recurrent.nir"
    first = loihic.compile(model, weight_bits=bits)
    second = loihic.compile(model, weight_bits=Widths.read(first.save_bits(tmp_path / "bits.toml")))
    assert [type(node) for node in first.graph.nodes.values()] == [type(node) for node in second.graph.nodes.values()]
    for name, node in first.graph.nodes.items():
        other = second.graph.nodes[name]
        if isinstance(node, Compartment):
            np.testing.assert_allclose(node.unit, other.unit, rtol=1e-12)
        if isinstance(node, Synapse):
            assert (node.exponent, node.num_weight_bits) == (other.exponent, other.num_weight_bits)
    np.testing.assert_array_equal(first.run().outputs["output"], second.run().outputs["output"])


def test_a_scale_that_does_not_fit_the_population() -> None:
    widths = Widths(scales={"lif": np.ones(3)})
    with pytest.raises(InputError, match="scale of lif"):
        loihic.compile(DIGITS / "digits_mlp.nir", weight_bits=widths)


@pytest.mark.parametrize("widths", [Widths.parse("conv*=4"), Widths(scales={"nowhere": np.ones(1)})])
def test_names_that_are_not_in_the_network(widths: Widths) -> None:
    with pytest.raises(InputError, match="LHC701"):
        loihic.compile(DIGITS / "digits_mlp.nir", weight_bits=widths)
