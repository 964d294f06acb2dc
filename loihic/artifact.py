"""The artefact: a .loihic file is a safetensors file whose header carries the program as JSON.

One file, no pickle, no paths; the same model and options give the same bytes. A digest over everything tells a damaged
file from a whole one.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from loihic.errors import InputError, fail
from loihic.files import write_atomic
from loihic.ir.codec import Decoder, Encoder
from loihic.ir.graph import Fact
from loihic.ir.node import Array, Shape
from loihic.ir.validate import validate_hardware, validate_source
from loihic.ir.verify import MalformedGraphError, verify_graph
from loihic.ledger import Ledger
from loihic.ops.quantiser import Rounding
from loihic.ops.sigma_delta import SdnRole
from loihic.ops.source import Sink, Source
from loihic.ops.synapse import SignMode
from loihic.ops.traits import Emit, Reset
from loihic.partition.plan_codec import decode_plan, encode_plan
from loihic.program import Program
from loihic.quant.proofs import StateProof

FORMAT_VERSION = 4
KEY = "loihic"
ENUMS = {cls.__name__: cls for cls in (Reset, Emit, SignMode, Rounding, SdnRole)}
HEADER_LIMIT = 100_000_000  # bytes; safetensors' own limit


def save(program: Program, path: Path) -> Path:
    """Write `program` to `path`, atomically.

    Raises:
        InputError: LHC112.
    """
    encoded = dumps(program)
    return write_atomic(path, lambda file: file.write(encoded))


def dumps(program: Program) -> bytes:
    """The bytes of the artefact."""
    from safetensors.numpy import save as save_tensors

    encoder = Encoder()
    body = {
        "graph": encoder.graph(program.graph, "graph"),
        "source": encoder.graph(program.source, "source"),
        "ledger": program.ledger.to_json(),
        "proofs": [proof.to_json() for proof in program.proofs],
        "options": dict(program.options),
        "provenance": dict(program.provenance),
        "golden": {name: encoder.value(array, f"golden/{name}") for name, array in program.golden.items()},
        "golden_output": {
            name: encoder.value(array, f"golden_output/{name}") for name, array in program.golden_output.items()},
        "plan": None if program.plan is None else encode_plan(program.plan, encoder),
    }
    text = json.dumps(body, sort_keys=False, separators=(",", ":"), ensure_ascii=True)
    tensors = dict(sorted(encoder.tensors.items()))
    head = {"version": FORMAT_VERSION, "digest": _digest(text, tensors), "body": text}
    return bytes(save_tensors(tensors, metadata={KEY: json.dumps(head, separators=(",", ":"))}))


def load(path: Path) -> Program:
    """Read a program.

    Raises:
        InputError: LHC101 if it is no artefact, LHC106 if damaged, LHC107 if of another version.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        fail("LHC101", f"cannot read {path.name or path}", param=error.strerror or str(error), error=InputError)
    return loads(content, path.name)


def loads(content: bytes, name: str) -> Program:
    """Read a program from the bytes of its artefact; `name` is what errors call it.

    Raises:
        InputError: as for `load`.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as load_tensors

    head = _header(name, content)
    if head["version"] != FORMAT_VERSION:
        fail("LHC107", f"{name} is of format version {head['version']}", error=InputError,
             param=f"this loihic reads version {FORMAT_VERSION}", help="compile the model again")
    try:
        tensors = load_tensors(content)
        if _digest(head["body"], dict(sorted(tensors.items()))) != head["digest"]:
            fail("LHC106", f"{name} does not match its checksum", error=InputError, help="compile it again")
        return _program(json.loads(head["body"]), tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError,
            OverflowError, MalformedGraphError) as error:
        fail("LHC106", f"{name} is damaged", param=f"{type(error).__name__}: {error}"[:300], error=InputError,
             help="compile the model again")


def _header(name: str, content: bytes) -> dict[str, Any]:
    """The JSON in the safetensors header, read before any tensor."""
    try:
        (length,) = struct.unpack_from("<Q", content)
        if length > min(HEADER_LIMIT, len(content) - 8):
            raise ValueError("the header is longer than the file")
        head = json.loads(json.loads(content[8 : 8 + length].decode("utf8"))["__metadata__"][KEY])
        return {"version": int(head["version"]), "digest": str(head["digest"]), "body": str(head["body"])}
    except (struct.error, ValueError, KeyError, TypeError, RecursionError):
        fail("LHC101", f"{name} is not a loihic artefact", error=InputError,
             help="`loihic compile MODEL -o OUT.loihic` writes one")


def _digest(text: str, tensors: Mapping[str, Array]) -> str:
    """SHA-256 of the JSON and of every tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(text.encode())
    for name, array in tensors.items():
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _program(body: Mapping[str, Any], tensors: Mapping[str, Array]) -> Program:
    decoder = Decoder(tensors, ENUMS)
    graph, source = decoder.graph(body["graph"]), decoder.graph(body["source"])
    if Fact.TIMED not in graph.facts or Fact.FUSED not in source.facts:
        raise ValueError("the graphs are not those of a finished program")
    verify_graph(graph)
    verify_graph(source)
    validate_hardware(graph)
    validate_source(source)
    golden, answers = ({name: decoder.value(value) for name, value in body[key].items()}
                       for key in ("golden", "golden_output"))
    _check_golden(golden, {name: node.shape for name, node in graph.nodes.items() if isinstance(node, Source)})
    _check_golden(answers, {name: node.shape for name, node in graph.nodes.items() if isinstance(node, Sink)})
    return Program(
        graph=graph, source=source, ledger=Ledger.from_json(body["ledger"]), options=body["options"],
        provenance=body["provenance"], proofs=tuple(StateProof.from_json(one) for one in body.get("proofs", ())),
        golden=golden, golden_output=answers,
        plan=None if body["plan"] is None else decode_plan(body["plan"], decoder, graph))


def _check_golden(found: Mapping[str, Array], ports: Mapping[str, Shape]) -> None:
    """Check that every port has its whole numbers, (T, *shape), and all equally many steps."""
    if set(found) != set(ports) or len({len(values) for values in found.values()}) > 1 or not all(
            values.shape == (len(values), *ports[name]) and values.dtype.kind in "iu" and values.shape[0]
            for name, values in found.items()):
        raise ValueError("the golden input or output does not fit its ports")
