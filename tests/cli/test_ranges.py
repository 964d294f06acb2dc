"""What compile and show say of the proofs."""

from __future__ import annotations

import json
import re


def test_compile_says_in_one_line_what_is_proven(call, model):
    line = next(line for line in call("compile", model).stdout.splitlines() if line.startswith("ranges: "))
    assert re.match(r"ranges: \d+ states proven, \d+ observed.*, 0 may overflow$", line)
    assert "last v saturates beyond +-" in line  # an IF without leak behind negative weights


def test_show_lists_every_state(call, program):
    text = call("show", program).stdout
    assert "ranges, in integers" in text
    proofs = json.loads(call("show", program, "--json").stdout)["proofs"]
    assert {(proof["node"], proof["state"]) for proof in proofs} == {
        ("fc", "sum"), ("hidden.lif", "sum"), ("hidden.lif", "u"), ("hidden.lif", "v"),
        ("out", "sum"), ("last", "sum"), ("last", "u"), ("last", "v")}
    for proof in proofs:
        assert proof["verdict"] in ("proven", "observed", "may overflow")
        assert proof["effect"] == ("saturates" if proof["state"] == "v" else "wraps")
        assert proof["low"] <= proof["observed"][0] <= proof["observed"][1] <= proof["high"]


def test_strict_names_the_states_that_are_not_proven(call, model):
    result = call("compile", model, "--strict", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)["diagnostics"]
    assert any(item["node"] == "last" and item["param"].startswith("v: ") for item in found)
