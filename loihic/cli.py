"""The command line: `loihic COMMAND`. Thin: parse, call the Python interface, print.

Nothing heavy is imported before a command runs (no numpy, no rich), so that `loihic --help` is instant.
"""

from __future__ import annotations

import click

import loihic
from loihic.commands import about, build, compare, execute, inspect, targets
from loihic.commands.evaluate import evaluate
from loihic.commands.guard import GuardedGroup
from loihic.commands.import_ import import_
from loihic.commands.map import map_
from loihic.commands.sweep import sweep

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(cls=GuardedGroup, context_settings=CONTEXT, no_args_is_help=True)
@click.version_option(loihic.__version__, prog_name="loihic")
def main() -> None:
    """Compile trained networks (NIR, ONNX, PyTorch, lava-dl) to exact integer programs for Intel's Loihi 2.

    \b
    loihic compile model.nir                 writes model.loihic
    loihic run model.loihic                  runs it on the input that it carries along
    loihic evaluate model.loihic data.npz    accuracy or error, and activity, over a data set
    loihic map model.loihic                  shows which core holds what
    loihic verify model.loihic               compares the simulator with Lava, bit for bit
    """  # noqa: D301 - click takes the character \b for "do not wrap"


for _command in (
    build.check, build.compile_, execute.run, execute.verify, compare.compare, evaluate, sweep, inspect.show,
    inspect.where, map_, import_, execute.export, about.explain, about.passes, about.ops, targets.targets, about.doctor,
):
    main.add_command(_command)
