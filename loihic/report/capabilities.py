"""docs/operators.md from the registry: what every operator does, and what becomes of it, found out by compiling it.

``python -m loihic.report.capabilities`` writes the page; with ``--check`` it exits with 1 if the page is out of date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from loihic.errors import LoihicError
from loihic.files import write_atomic
from loihic.ir.node import Node
from loihic.ir.registry import hardware_ops, source_ops
from loihic.ops.elementwise import Elementwise
from loihic.ops.matrix import Matrix
from loihic.ops.traits import ContinuousNeuron, NirNode, Reset
from loihic.ops.window_max import WindowMax
from loihic.options import Options
from loihic.report.specimens import processes_of

PAGE = Path("docs") / "operators.md"
HEAD = """\
# Operators

Written by `python -m loihic.report.capabilities` from the registry; `loihic ops` prints the same. The last columns were
found by compiling each operator in a small network and looking at the Lava Processes that came of it. Processes whose
name begins with `lava.` are Lava's own and have models for the chip; `loihic.Neuron` and `loihic.DelayLine` are ours,
bit-accurate in the simulators, and need microcode on a chip. `--stock-only` forbids them.

Which Process a population gets depends on its parameters: Lava's LIF takes one decay and one threshold for all of its
neurons and resets to zero; per-neuron parameters, other resets, biases of the current, several spikes a step and graded
outputs take ours. Between two populations there is one connection, whatever linear operators lie there in the model.
"""
GROUPS = {
    "NIR": "What a model may hold: every primitive of NIR 1.0.8, and nested `NIRGraph`s, which are inlined.",
    "without spikes": "What the readers of ONNX and PyTorch graphs build. Every linear operator of theirs becomes a "
                      "`Matrix`; functions and quantisers become thresholds, or a multiplication and a shift, of "
                      "`loihic.Activation`.",
    "inside the compiler": "What passes turn a model into on the way; still in real numbers.",
    "hardware": "What a compiled program consists of; integers only.",
}
WITHOUT_SPIKES = (Elementwise, Matrix, WindowMax)


def operator_groups() -> Mapping[str, Mapping[str, type[Node]]]:
    """Every registered operator by group (a key of `GROUPS`) and name."""
    source = source_ops()
    return {
        "NIR": {op: cls for op, cls in source.items() if issubclass(cls, NirNode)},
        "without spikes": {op: cls for op, cls in source.items() if issubclass(cls, WITHOUT_SPIKES)},
        "inside the compiler": {op: cls for op, cls in source.items()
                                if not issubclass(cls, (NirNode, *WITHOUT_SPIKES))},
        "hardware": dict(hardware_ops()),
    }


def page() -> str:
    """The text of docs/operators.md."""
    parts = [HEAD]
    for group, found in operator_groups().items():
        parts += [f"## {group[0].upper()}{group[1:]}\n", f"{GROUPS[group]}\n"]
        if group == "NIR":
            rows: list[tuple[str, ...]] = [
                (op, cls.summary, runs_as(op), runs_as(op, Reset.SUBTRACT) if _resets(cls) else "")
                for op, cls in found.items()]
            parts.append(_table(("operator", "what it does", "runs as", "with `--reset subtract`"), rows))
        else:
            parts.append(_table(("operator", "what it does"), [(op, cls.summary) for op, cls in found.items()]))
    return "\n".join(parts)


def runs_as(op: str, reset: Reset = Reset.ZERO) -> str:
    """The Lava Processes of an operator in a small network, for people."""
    try:
        kinds = processes_of(op, Options(reset=reset))
    except LoihicError as error:
        return f"does not compile: {error.diagnostics[0].code}"
    if kinds is None:
        return "see its own documentation"
    shown = [f"`{kind}`" for kind in kinds if kind not in ("input", "output")]
    if shown:
        return ", ".join(shown)
    return {"input": "an input port", "output": "an output port"}[kinds[0]] if kinds else "moves no data: costs nothing"


def _resets(cls: type[Node]) -> bool:
    return issubclass(cls, ContinuousNeuron) and cls.spiking


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [columns, tuple("---" for _ in columns), *((f"`{row[0]}`", *row[1:]) for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page below the current folder, or check it; the exit status."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page is out of date")
    parser.add_argument("path", nargs="?", type=Path, default=PAGE, help="the page's file")
    chosen = parser.parse_args(arguments)
    text = page()
    if chosen.check:
        try:
            current = chosen.path.read_text(encoding="utf-8")
        except OSError:
            current = ""
        if current != text:
            sys.stderr.write(f"{chosen.path} is out of date: python -m loihic.report.capabilities\n")
            return 1
        return 0
    try:
        write_atomic(chosen.path, lambda file: file.write(text.encode()))
    except LoihicError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
