"""Shards: a data set in pieces of a few seconds' work, what is done with one, and how the results come together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from math import prod
from threading import Lock

import numpy as np

import loihic
from loihic.encoding import InputEncoder
from loihic.evaluate.activity import counted_run
from loihic.evaluate.questions import read_out
from loihic.golden import fit_inputs
from loihic.ir.node import Array
from loihic.ops.activation import Activation
from loihic.ops.delay import StepDelay
from loihic.ops.population import Population
from loihic.ops.synapse import Synapse
from loihic.partition.resources import SYNOPS
from loihic.program import Program

MEMORY = 1 << 28  # bytes that the arrays of a shard may take
EVENTS = 1 << 30  # neuron updates and synaptic operations of a shard: a few seconds on one core
GPU_EVENTS = 1 << 31
START_EVENTS = 128  # per weight, at least: about what it takes to lay it out for the kernels
LAVA_SAMPLES = 16  # a run on Lava takes seconds to start, and a tenth of a second or more a sample
GUESSED_SYNOPS = 64  # per neuron and step, where no plan says more
_DECODING = Lock()


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How shards are run.

    Attributes:
        output, readout: what is read out; see `loihic.evaluate.questions`.
        backend, device, timeout: as for `Program.run`.
        threads: of the engine; None for all cores.
        with_float: whether the float network runs as well.
        shards: that there are; what is worth its start is decided for all of them together.
    """

    output: str
    readout: str
    backend: str = "sim"
    device: str = "cpu"
    threads: int | None = None
    timeout: float | None = None
    with_float: bool = False
    shards: int = 1


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A piece of a data set: samples [first, last), of them steps [start, stop)."""

    first: int
    last: int
    start: int
    stop: int

    def of(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Its part of the arrays (N, T, *shape), in memory."""
        return {name: np.ascontiguousarray(values[self.first : self.last, self.start : self.stop])
                for name, values in inputs.items()}


Job = tuple[Setting, Shard, dict[str, Array]]


@dataclass(frozen=True, kw_only=True)
class ShardResult:
    """What a shard gave.

    Attributes:
        read: what was read out of the integers, (n, elements) or (n, T, elements).
        floats: the same of the float network, if it ran.
        sent: messages of each element per Source and population, (size,).
    """

    read: Array
    sent: dict[str, Array]
    floats: Array | None = None


def run_shard(program: Program | bytes, job: Job, beat: Callable[[float], None]) -> ShardResult:
    """Run one shard.

    Args:
        program: itself, or the bytes of its artefact.
        job: the setting, the shard, and its arrays (n, T, *shape) per input.
        beat: called with the share that is done; may raise to end it.

    Raises:
        InputError: the input does not fit.
        BackendError: the backend is missing or failed.
    """
    if isinstance(program, bytes):
        with _DECODING:
            program = _decoded(program)
    setting, shard, arrays = job
    encoder = InputEncoder(program.inputs, step=shard.start, first_sample=shard.first)
    encoded = encoder.encode(fit_inputs(arrays, program.input_shapes))
    outputs, sent = counted_run(program, encoded, backend=setting.backend, threads=setting.threads,
                                device=setting.device, timeout=setting.timeout, progress=beat, runs=setting.shards)
    read = read_out(outputs[setting.output], setting.readout, program.outputs[setting.output].scale)
    floats = None
    if setting.with_float:
        floats = read_out(program.run_float(arrays)[setting.output], setting.readout)
    return ShardResult(read=read, sent=sent, floats=floats)


@lru_cache(maxsize=2)
def _decoded(content: bytes) -> Program:
    """One program for all shards of a process, so that its tables are laid out once."""
    from loihic.artifact import loads

    return loads(content, "the program")


def forgetful(program: Program) -> bool:
    """Whether the answer to a step depends on the input of that step alone, so that a run can be cut between steps."""
    populations = [node for node in program.graph.nodes.values() if isinstance(node, Population)]
    delayed = any(edge.delay for edge in program.source.edges) or any(
        isinstance(node, StepDelay) for node in program.source.nodes.values())
    return not delayed and bool(populations) and not any(node.delta for node in program.inputs.values()) and all(
        isinstance(node, Activation) and not (node.sigma or node.delta) for node in populations)


def cut(program: Program, samples: int, steps: int, *, size: int | None = None, backend: str = "sim") -> list[Shard]:
    """Cut a data set into shards.

    A single long run of a network that remembers nothing is cut between its steps, everything else between samples.
    How it is cut does not depend on the workers, so that another number of them finds finished shards again.

    Args:
        program: that is to run.
        samples: of the data set.
        steps: of each.
        size: samples (or steps) of a shard; by default alike, as many as take a few seconds and little memory.
        backend: where it runs.
    """
    if samples == 1 and forgetful(program):
        size = size or _alike(steps, shard_size(program, 1, backend))
        return [Shard(first=0, last=1, start=at, stop=min(at + size, steps)) for at in range(0, steps, size)]
    size = size or _alike(samples, shard_size(program, steps, backend))
    return [Shard(first=at, last=min(at + size, samples), start=0, stop=steps) for at in range(0, samples, size)]


def _alike(number: int, most: int) -> int:
    """The size of as few pieces of about the same size as will do."""
    return -(-number // -(-number // most))


def shard_size(program: Program, steps: int, backend: str) -> int:
    """How many samples of so many steps make a shard."""
    if backend == "lava":
        return max(1, LAVA_SAMPLES * 32 // max(steps, 32)) if steps > 1 else LAVA_SAMPLES * 32
    shapes = program.graph.shapes
    neurons = sum(prod(shapes[name]) for name, node in program.graph.nodes.items() if isinstance(node, Population))
    ports = sum(prod(shapes[name]) for name in (*program.inputs, *program.outputs))
    synops = GUESSED_SYNOPS * neurons if program.plan is None else float(program.plan.figures.work[:, SYNOPS].sum())
    memory = 8 * (3 * ports * steps + 8 * neurons)  # int64, with what encoding and reading out hold in between
    events = (synops + neurons + ports) * (steps + program.latency)
    worthwhile = max(GPU_EVENTS if backend == "torch" else EVENTS, START_EVENTS * _weights(program))
    return max(1, int(min(MEMORY / max(memory, 1), worthwhile / max(events, 1.0))))


def _weights(program: Program) -> int:
    """Numbers that synapses hold."""
    return sum(np.size(getattr(node, field.name)) for node in program.graph.nodes.values() if isinstance(node, Synapse)
               for field in fields(node) if isinstance(getattr(node, field.name), np.ndarray))


def gathered(results: Sequence[ShardResult]) -> ShardResult:
    """All shards, in their order, as one."""
    steps = all(result.read.ndim == 3 for result in results)
    # Shards of one long run hold a sample each; the questions lie in order either way.
    flat = [result.read.reshape(-1, result.read.shape[-1]) if steps else result.read for result in results]
    floats = [result.floats.reshape(-1, result.floats.shape[-1]) for result in results if result.floats is not None]
    sent = {name: np.sum([result.sent[name] for result in results], axis=0) for name in results[0].sent}
    return ShardResult(read=np.concatenate(flat), sent=sent, floats=np.concatenate(floats) if floats else None)


def shard_key(program_digest: str, setting: Setting, arrays: Mapping[str, Array]) -> str:
    """A digest of everything that a shard's result depends on: program, what is read out, and the arrays themselves."""
    parts = (loihic.__version__, program_digest, setting.output, setting.readout, setting.backend, setting.with_float)
    return arrays_digest(arrays, "|".join(map(str, parts)))


def arrays_digest(arrays: Mapping[str, Array], what: str = "") -> str:
    """SHA-256 of names, types, shapes and bytes, after some text."""
    digest = hashlib.sha256(what.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"|{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
