"""targets: the chips and systems that programs can be compiled for."""

from __future__ import annotations

import click

from loihic.commands.output import json_option, print_json, print_table, say


@click.command(short_help="List chips and systems, and where their numbers come from.")
@click.argument("name", required=False)
@json_option
def targets(name: str | None, as_json: bool) -> None:
    """List the chips and systems that --target and --system take.

    With NAME, a chip, a system or a TOML file of your own: every number with unit, interval, confidence and source.
    """
    if name is None:
        _overview(as_json)
    else:
        _numbers(name, as_json)


def _overview(as_json: bool) -> None:
    from loihic.report.targets import CHIP_COLUMNS, SYSTEM_COLUMNS, chip_rows, system_rows
    from loihic.targets.limits import chip_limits, known_chips
    from loihic.targets.systems import known_systems, system

    if as_json:
        print_json({
            "ok": True,
            "chips": [{"name": item.target, "chip": item.chip, "cores": item.cores}
                      for item in map(chip_limits, known_chips())],
            "systems": [{"name": item.name, "chip": item.limits.target, "chips": item.chips,
                         "chip_columns": item.chip_columns, "cores": item.cores}
                        for item in map(system, known_systems())]})
        return
    print_table(CHIP_COLUMNS, chip_rows(), right=CHIP_COLUMNS[2:])
    say()
    print_table(SYSTEM_COLUMNS, system_rows(), right=("chips", "cores"))
    say()
    say("loihic targets NAME      every number with its source")
    say('A TOML file that begins with base = "loihi2" overrides numbers: --target FILE.toml')


def _numbers(name: str, as_json: bool) -> None:
    from loihic.report.plan_words import plural
    from loihic.report.targets import NUMBER_COLUMNS, rows
    from loihic.targets.numbers import CONFIDENCES
    from loihic.targets.systems import system

    found = system(name)
    if as_json:
        print_json({"ok": True, "name": found.name, "chip": found.limits.chip, "chips": found.chips,
                    "chip_columns": found.chip_columns, "cores": found.cores,
                    "numbers": [row.plain() for row in rows(found)]})
        return
    say(f"{found.name}: {plural(found.chips, 'chip')} ({found.limits.chip}), {found.cores} cores")
    say()
    print_table(NUMBER_COLUMNS, [row.cells() for row in rows(found)], right=("value",))
    say()
    say("confidence: " + ", ".join(f"{key} {text}" for key, text in CONFIDENCES.items()))
