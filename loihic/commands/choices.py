"""The options of a compilation as the command line spells them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loihic.errors import InputError, fail
from loihic.files import check_replaceable

if TYPE_CHECKING:
    from loihic.options import Options

Command = Callable[..., Any]
SPIKES = {"binary": "spike", "multi": "multi"}
ARTEFACT = ".loihic"
HEADER_BRACE = 8  # a safetensors file begins with the header's length in eight bytes, then the header's brace

_OPTIONS = (
    click.option("--dt", type=float, default=None,
                 help="Time step of the training, in the unit of the file's time constants.  [default: from the file, "
                      "or 1 for neurons that count in steps, or 1e-4]"),
    click.option("--reset", type=click.Choice(["zero", "subtract"]), default="zero", show_default=True,
                 help="What a spike does to the voltage."),
    click.option("--scheme", type=click.Choice(["euler", "exponential"]), default="euler", show_default=True,
                 help="How decays are discretised: 1 - dt/tau or exp(-dt/tau)."),
    click.option("--spikes", type=click.Choice(list(SPIKES)), default="binary", show_default=True,
                 help="At most one spike a step, or as many as the threshold fits (sinabs)."),
    click.option("--calibration", metavar="X.npz", default=None,
                 help="Sample inputs (.npy, .npz); ranges are observed on them."),
    click.option("--clip", metavar="max|mse|PERCENT", default="max", show_default=True,
                 help="Where calibrated ranges of real inputs and graded voltages end: at the largest value, where the "
                      "squared error is least, or at a percentile such as 99.9."),
    click.option("--weight-bits", metavar="BITS|RULES|FILE.toml", default="8", show_default=True,
                 help="How weights are stored: 1 to 8 bits; 9 to 16 in two synapses; 8f with two exponents, of which "
                      "each weight takes one; auto; or rules for nodes, as in conv2=4,lif*=8,auto. A .toml file is one "
                      "that --dump-bits wrote."),
    click.option("--budget", metavar="WHAT=N", multiple=True,
                 help="What auto may spend: words=N (64-bit words of synapses), cores=N or energy=J per step; may be "
                      "given several times.  [default: the words that 8 bits everywhere would take]"),
    click.option("--max-error", type=float, default=None, metavar="E",
                 help="Let auto take the fewest words with which the outputs err by at most E (relative root mean "
                      "square, spike trains filtered over 10 steps, on the calibration data)."),
    click.option("--rounding", type=click.Choice(["adaptive", "nearest"]), default="adaptive", show_default=True,
                 help="Whether errors of a neuron's weights are made to cancel on the calibration data."),
    click.option("--input-range", type=float, nargs=2, metavar="LO HI", default=None,
                 help="Least and greatest input.  [default: 0 1]"),
    click.option("--input-bits", type=int, default=0, show_default=True,
                 help="Bits to which real inputs are rounded; 0 for inputs that are whole already."),
    click.option("--target", metavar="NAME|FILE.toml", default="loihi2", show_default=True,
                 help="The chip, or a file with numbers of your own; `loihic targets` lists the names."),
    click.option("--system", metavar="NAME|FILE.toml", default=None,
                 help="The system that the chips sit in.  [default: chips of the target]"),
    click.option("--chips", type=int, default=None, metavar="N",
                 help="Chips that the program may use.  [default: all of the system; without one, as few "
                      "as hold the network]"),
    click.option("--cores", type=int, default=None, metavar="N",
                 help="Cores that the program may use.  [default: all of the chips]"),
    click.option("--objective", type=click.Choice(["balanced", "cores", "latency", "energy"]), default="balanced",
                 show_default=True, help="What to save when the network is cut into cores and placed."),
    click.option("--placement", type=click.Choice(["auto", "linear", "hilbert", "cut", "anneal"]), default="auto",
                 show_default=True, help="How cores find their places on the chips; auto takes the best."),
    click.option("--encoder/--no-encoder", default=True, show_default=True,
                 help="Whether neurons in the input layer of a .net file are part of the program; without them the "
                      "input is their spikes."),
    click.option("--activation", type=click.Choice(["graded", "sigma-delta"]), default="graded", show_default=True,
                 help="How networks without spikes send their levels: in each step, or their changes only."),
    click.option("--delta-threshold", type=int, default=0, metavar="LEVELS",
                 help="With sigma-delta, the least change that is sent.  [default: 0, which loses nothing]"),
    click.option("--strict", is_flag=True, help="Every difference from the trained network is an error."),
    click.option("--neuron-scales/--population-scales", default=None,
                 help="A scale per neuron, which needs loihic's own Process, or one per population. "
                      "[default: per neuron only where Lava's LIF cannot serve anyway]"),
    click.option("--stock-only", is_flag=True, help="Use only Processes that Lava ships."),
    click.option("--allow-loop-delay", is_flag=True,
                 help="Let a loop through several connections answer later than trained; goes into the ledger."),
)


def compile_options(command: Command) -> Command:
    """Give a command the options of a compilation; it receives them as keyword arguments for `options`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def options(*, reset: str, scheme: str, spikes: str, activation: str, calibration: str | None, weight_bits: str,
            budget: tuple[str, ...], max_error: float | None, **plain: Any) -> Options:
    """The options object for what was typed.

    Raises:
        InputError: LHC101 for the calibration file, LHC702 for a value out of its range.
    """
    from loihic.api import load_inputs
    from loihic.ops.activation import Coding
    from loihic.ops.traits import Emit, Reset, Scheme
    from loihic.options import Options
    from loihic.quant.budget import Budget
    from loihic.quant.widths import Widths

    samples: dict[str, Any] = {}
    if calibration is not None:
        loaded = load_inputs(calibration)
        # A single array belongs to the only input, whatever that is called.
        samples = loaded if isinstance(loaded, dict) else {"array": loaded}
    widths = Widths.read(Path(weight_bits)) if weight_bits.endswith(".toml") else Widths.parse(weight_bits)
    return Options(reset=Reset(reset), scheme=Scheme(scheme), spikes=Emit(SPIKES[spikes]),
                   activation=Coding(activation), calibration=samples, weight_bits=widths,
                   budget=Budget.parse(budget, max_error), **plain)


def is_artefact(path: str) -> bool:
    """Whether a file is a compiled program rather than a model; by its name, else by how it begins."""
    if path.endswith(ARTEFACT):
        return True
    try:
        with open(path, "rb") as file:
            return file.read(HEADER_BRACE + 1)[HEADER_BRACE:] == b"{"
    except OSError:
        return False  # the model reader says what is wrong


def output_path(wanted: str | None, default: str, *inputs: str | None) -> Path:
    """Where a command writes; found out before the work is done rather than after.

    Raises:
        InputError: LHC112 for a folder that is not there and for what is no file, LHC702 if an input would be
            overwritten.
    """
    if wanted == "":
        fail("LHC112", "cannot write to ''", param="the name is empty", help="give a file's name", error=InputError)
    path = Path(wanted if wanted is not None else default)
    check_replaceable(path)
    if not path.parent.is_dir():
        fail("LHC112", f"cannot write {path}", param=f"there is no folder {path.parent}", help="create it first",
             error=InputError)
    for given in inputs:
        if given is not None and path.exists() and Path(given).exists() and path.samefile(given):
            fail("LHC702", f"{path} is an input and would be overwritten", help="give the output another name",
                 error=InputError)
    return path
