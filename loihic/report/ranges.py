"""What is known of a program's ranges, as rows and in one line."""

from __future__ import annotations

import numpy as np

from loihic.ops.population import Population
from loihic.program import Program
from loihic.quant.proofs import StateProof, Verdict

RANGE_COLUMNS = ("node", "state", "verdict", "low", "high", "limit", "observed", "beyond", "nearest")
NAMED = 3  # states of one verdict that the line names


def range_rows(program: Program) -> list[tuple[str, ...]]:
    """For `RANGE_COLUMNS`, in integers; the last is the element that comes closest to the limit."""
    return [(proof.node, proof.state, proof.verdict.value, f"{proof.low:.6g}", f"{proof.high:.6g}",
             f"{proof.limit:.6g}", "" if proof.observed is None else "{:.6g}..{:.6g}".format(*proof.observed),
             proof.effect, ",".join(map(str, proof.index))) for proof in program.proofs]


def range_line(program: Program) -> str:
    """How many states are proven, observed or may overflow, and which are not proven, limits in real units."""
    parts = []
    for verdict in Verdict:
        found = [proof for proof in program.proofs if proof.verdict is verdict]
        part = f"{len(found)} states proven" if verdict is Verdict.PROVEN else f"{len(found)} {verdict.value}"
        if found and verdict is not Verdict.PROVEN:
            named = "; ".join(f"{proof.node} {proof.state} {proof.effect} beyond +-{_real_limit(program, proof):.4g}"
                              for proof in found[:NAMED])
            part += f" ({named}{'; ...' if len(found) > NAMED else ''})"
        parts.append(part)
    return f"ranges: {', '.join(parts)}"


def _real_limit(program: Program, proof: StateProof) -> float:
    """The limit in the trained network's units, for a population; in integers for an accumulator."""
    node = program.graph.nodes[proof.node]
    if not isinstance(node, Population):
        return proof.limit
    return proof.limit * float(np.broadcast_to(node.unit, node.shape)[proof.index])
