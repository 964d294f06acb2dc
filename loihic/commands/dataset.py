"""What the commands that run over data sets have in common: their options, their files, their progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loihic.commands.choices import output_path
from loihic.commands.output import Meter
from loihic.errors import InputError, fail

if TYPE_CHECKING:
    from loihic.evaluate.shelf import Shelf

Command = Callable[..., Any]
PLOTS = (".png", ".svg")
BAR = 1000  # steps of the progress bar

_OPTIONS = (
    click.option("--labels", metavar="FILE|KEY", default=None,
                 help="Labels or targets: a .npy file, or the name of an array in DATA.  [default: labels, label, "
                      "targets, target or y in DATA, if there is one]"),
    click.option("--metric", type=click.Choice(["auto", "accuracy", "regression"]), default="auto", show_default=True,
                 help="auto: whole numbers are labels, others targets."),
    click.option("--readout", type=click.Choice(["auto", "sum", "mean", "last", "max", "each"]), default="auto",
                 show_default=True,
                 help="How an answer is read out of the steps; each: every step is a question of its own. auto: each "
                      "if there is a label or target for each step, else the sum for labels, the mean for targets."),
    click.option("--of", "answering", metavar="OUTPUT", default=None,
                 help="The output that answers.  [default: the only one]"),
    click.option("--float", "with_float", is_flag=True, help="Run the float network as well, and compare with it."),
    click.option("--backend", type=click.Choice(["sim", "lava", "torch"]), default="sim", show_default=True,
                 help="The bit-accurate simulator, Lava's simulator, or the former on torch. All give the same."),
    click.option("--device", metavar="DEVICE", default="cpu", show_default=True,
                 help="Of torch: cpu, cuda, cuda:1."),
    click.option("--samples", type=click.IntRange(min=1), metavar="N", default=None,
                 help="Only the first N samples and labels; of a single long run of a network that answers each step, "
                      "the first N steps."),
    click.option("--workers", type=click.IntRange(min=1), metavar="N", default=None,
                 help="Pieces of work at once.  [default: all cores; 1 with torch]"),
    click.option("--scheduler", metavar="ADDRESS", default=None,
                 help="Let the workers of this Dask scheduler do it, as in tcp://192.168.0.7:8786; needs "
                      "loihic[distributed]."),
    click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", default=None,
                 help="Time limit for one run on Lava.  [default: generous, by its size]"),
    click.option("--resume", is_flag=True,
                 help="Go on from what an earlier run with the same -o had finished when it ended."),
)


def dataset_options(command: Command) -> Command:
    """Give a command the options of an evaluation; it receives them as keyword arguments."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def results_path(wanted: str | None, kinds: tuple[str, ...], *inputs: str | None) -> Path | None:
    """Where results are written, if at all; what is wrong with it is found out before the work is done.

    Raises:
        InputError: LHC702 for an ending that is not of `kinds`, or as for `output_path`.
    """
    if wanted is None:
        return None
    if Path(wanted).suffix.lower() not in kinds:
        fail("LHC702", f"-o {wanted} is of no known kind", help=f"its name ends in {' or '.join(kinds)}",
             error=InputError)
    return output_path(wanted, "", *inputs)


def plot_path(plot_file: str | None, *inputs: str | None) -> Path | None:
    """Where to draw, if at all.

    Raises:
        InputError: LHC702 for an unknown kind, or as for `output_path`.
        BackendError: LHC601 without matplotlib.
    """
    if plot_file is None:
        return None
    from loihic.report.plots import require_matplotlib

    if Path(plot_file).suffix.lower() not in PLOTS:
        fail("LHC702", f"--plot {plot_file} is of no known kind", error=InputError,
             help=f"its name ends in {' or '.join(PLOTS)}")
    target = output_path(plot_file, plot_file, *inputs)
    require_matplotlib('a plot', 'pip install "loihic[plot]"')
    return target


@contextmanager
def shelved(target: Path | None, resume: bool, what: str) -> Iterator[Shelf | None]:
    """The folder of what is finished, beside `target`; gone when all is done, kept and told of when it is not.

    Args:
        target: the file of results.
        resume: whether to go on from what is there.
        what: lies in it: shards or points.

    Raises:
        InputError: LHC702 for --resume without a file of results.
    """
    if target is None:
        if resume:
            fail("LHC702", "--resume goes on from what lies beside the results", help="name them with -o",
                 error=InputError)
        yield None
        return
    from loihic.evaluate.shelf import Shelf

    shelf = Shelf(target.with_name(f"{target.name}.partial"), resume=resume)
    if not resume and len(shelf):
        click.echo(f"{shelf.folder} holds {len(shelf)} {what} of an earlier run; --resume would use those that fit",
                   err=True)
    try:
        yield shelf
    except BaseException:
        if len(shelf):
            click.echo(f"finished {what} are kept in {shelf.folder}; --resume goes on from them", err=True)
        raise
    shelf.clear()


def teller(meter: Meter, label: str, what: str) -> Callable[[float, int], None]:
    """A progress callback for (done, of): moves the bar, and says how many are done and how fast."""
    begun, before = time.monotonic(), -1

    def tell(done: float, of: int) -> None:
        nonlocal before
        if before < 0:
            before = int(done)  # by an earlier run: no speed of this one
        speed = max(done - before, 0.0) / max(time.monotonic() - begun, 1e-9)
        meter.stage(f"{label}: {int(done)} of {of} {what}, {speed:.3g} {what}/s")
        meter.steps(round(BAR * done / max(of, 1)))

    return tell
