"""The grid of a sweep: combinations of the options of a compilation, as the command line spells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import click

from loihic.commands.choices import compile_options, options
from loihic.errors import InputError, fail

if TYPE_CHECKING:
    from loihic.evaluate.sweep import Variant

YES, NO, DEFAULT = ("yes", "true", "on"), ("no", "false", "off"), "default"


@click.command("sweep --grid")
@compile_options
def _reader(**typed: Any) -> None:
    """Reads options exactly as `compile` does."""


def grid_variants(specs: Sequence[str], base: Mapping[str, Any]) -> list[Variant]:
    """Every combination of the values in specs such as ``weight-bits=8,6,4``.

    Values are separated by commas, or by semicolons if there is one: ``budget=words=900,cores=2;words=500``. The two
    numbers of an option that takes two are separated by a blank, a switch is ``yes`` or ``no``, and ``default`` leaves
    an option out.

    Args:
        specs: of different options.
        base: the options that do not vary, as click gives them.

    Raises:
        InputError: LHC701 for an unknown option, LHC702 for one given twice or without values.
        click.UsageError: for a value of the wrong kind.
    """
    from loihic.evaluate.sweep import Variant

    columns: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for spec in specs:
        option, texts = _parsed(spec)
        name = option.opts[0].lstrip("-")
        if name in columns:
            fail("LHC702", f"--grid {name} is given twice", help=f"--grid {name}=FIRST,SECOND", error=InputError)
        columns[name] = [(text, _typed(option, text)) for text in texts]
    found = []
    for combination in product(*columns.values()):
        typed = dict(base)
        for _, one in combination:
            typed |= one
        shown = dict(zip(columns, (text for text, _ in combination), strict=True))
        found.append(Variant(choices=shown, make=lambda typed=typed: options(**typed)))  # type: ignore[misc]
    return found


def _parsed(spec: str) -> tuple[click.Option, list[str]]:
    """The option of a spec, and its values."""
    name, _, values = spec.partition("=")
    wanted = "--" + name.strip().lstrip("-").replace("_", "-")
    known = [param for param in _reader.params if isinstance(param, click.Option)]
    option = next((param for param in known if wanted in param.opts), None)
    if option is None:
        names = ", ".join(param.opts[0].lstrip("-") for param in known)
        fail("LHC701", f"--grid {spec}: no option of `compile` is called {wanted}", error=InputError,
             help=f"as in --grid weight-bits=8,6,4; options are {names}")
    texts = [text.strip() for text in values.split(";" if ";" in values else ",") if text.strip()]
    if not texts:
        fail("LHC702", f"--grid {spec} has no values", help="as in --grid weight-bits=8,6,4", error=InputError)
    return option, texts


def _typed(option: click.Option, text: str) -> dict[str, Any]:
    """What click makes of an option's value, by the name of the parameter."""
    name = str(option.name)
    if text == DEFAULT:
        arguments: list[str] = []
    elif option.is_flag:
        if text.lower() not in (*YES, *NO):
            fail("LHC702", f"--grid {option.opts[0].lstrip('-')}={text} has no meaning", help="yes or no",
                 error=InputError)
        if text.lower() in NO and not option.secondary_opts:
            return {name: False}
        arguments = [(option.opts if text.lower() in YES else option.secondary_opts)[0]]
    else:
        arguments = [option.opts[0], *(text.split() if option.nargs > 1 else [text])]
    return {name: _reader.make_context("loihic sweep --grid", arguments).params[name]}
