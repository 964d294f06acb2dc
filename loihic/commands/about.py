"""explain, passes, ops and doctor: about loihic itself."""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from typing import Any

import click

from loihic.commands.output import json_option, plain, print_json, print_table, say
from loihic.errors import InputError, fail


@click.command(short_help="Explain a diagnostic code.")
@click.argument("code", required=False)
@json_option
def explain(code: str | None, as_json: bool) -> None:
    """Explain a diagnostic CODE such as LHC301; without CODE, list them all."""
    from loihic.codes import CODES

    chosen = list(CODES)
    if code is not None:
        found = re.sub(r"^(LHC)?[-_ ]?", "LHC", code.strip().upper())
        if found not in CODES:
            near = [name for name in CODES if name[:4] == found[:4]] or list(CODES)
            fail("LHC701", f"there is no code {code}", help=f"there are {', '.join(near)}", error=InputError)
        chosen = [found]
    if as_json:
        print_json({"ok": True, "codes": [
            {"code": name, "title": CODES[name].title, "exit_code": CODES[name].exit_code, "text": CODES[name].text}
            for name in chosen]})
    elif code is None:
        print_table(("code", "exit", "title"), [(name, CODES[name].exit_code, CODES[name].title) for name in chosen])
    else:
        entry = CODES[chosen[0]]
        say(f"{chosen[0]}: {entry.title} (exit status {entry.exit_code})")
        say()
        say(click.wrap_text(entry.text, width=100))


@click.command(short_help="List the passes of the compiler.")
@json_option
def passes(as_json: bool) -> None:
    """List the passes of the compiler in the order in which they run, and any others that are registered."""
    from dataclasses import fields

    from loihic.options import Options
    from loihic.passes.manager import PASSES
    from loihic.passes.pipeline import float_pipeline, integer_pipeline

    pipeline = [item.name for item in (*float_pipeline(Options(), 1.0), *integer_pipeline(Options()))]
    found: list[dict[str, Any]] = []
    for name in [*pipeline, *(other for other in PASSES if other not in pipeline)]:
        cls = PASSES[name]
        found.append({
            "name": name, "in_pipeline": name in pipeline, "options": [item.name for item in fields(cls)],
            "needs": sorted(fact.value for fact in cls.needs), "gives": sorted(fact.value for fact in cls.gives),
            "text": inspect.cleandoc(cls.__doc__ or "")})
    if as_json:
        print_json({"ok": True, "passes": found})
        return
    for item in found:
        options = f"{{{', '.join(option.replace('_', '-') for option in item['options'])}}}" if item["options"] else ""
        say(f"{item['name']}{options}   needs: {', '.join(item['needs']) or 'nothing'}; "
            f"gives: {', '.join(item['gives']) or 'nothing'}")
        say("    " + item["text"].replace("\n", "\n    ").replace("\n    \n", "\n\n"))
        say()


@click.command(short_help="List the operators that loihic knows.")
@json_option
def ops(as_json: bool) -> None:
    """List every operator that loihic knows: what a model may hold, what the compiler makes, what the chip runs."""
    from loihic.report.capabilities import operator_groups

    groups = operator_groups()
    if as_json:
        print_json({"ok": True, "operators": {
            group: [{"op": op, "summary": cls.summary} for op, cls in found.items()]
            for group, found in groups.items()}})
        return
    for number, (group, found) in enumerate(groups.items()):
        if number:
            say()
        say(group)
        print_table(("operator", "what it does"), [(op, cls.summary) for op, cls in found.items()])


@click.command(short_help="Show what is installed and what to type for the rest.")
@click.option("--install-lava", is_flag=True, help="Print the pip commands that install Lava, and run them.")
@click.option("--yes", is_flag=True, help="Do not ask before running them.")
@json_option
@click.pass_context
def doctor(ctx: click.Context, install_lava: bool, yes: bool, as_json: bool) -> None:
    """Show what is installed, what of it works, and what to type for the rest.

    Exits with 1 if loihic itself cannot work.
    """
    from dataclasses import asdict

    from loihic.doctor import examine, healthy

    if install_lava:
        _install_lava(ask=not yes)
    findings = examine()
    if as_json:
        print_json({"ok": healthy(findings), "findings": [asdict(item) for item in findings]})
    else:
        rows = [(item.name, item.status, item.found, item.purpose, item.remedy) for item in findings]
        print_table(("what", "status", "found", "for", "what to type"), rows)
    ctx.exit(0 if healthy(findings) else 1)


def _install_lava(*, ask: bool) -> None:
    """Everything here goes to stderr, pip's words too: stdout is for the findings."""
    from loihic.doctor import install_lava, lava_commands

    commands = lava_commands()
    for command in commands:
        click.echo(plain(shlex.join(command)), err=True)
    if ask:
        click.confirm("run this?", abort=True, err=True)
    install_lava(commands, output=sys.stderr)
