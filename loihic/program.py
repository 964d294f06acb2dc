"""A compiled program: integers, float reference, ledger and provenance; what `loihic.compile` returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loihic.encoding import InputEncoder
from loihic.errors import InputError, fail
from loihic.golden import fit_inputs
from loihic.ir.graph import HardwareGraph, SourceGraph
from loihic.ir.node import Array, Shape
from loihic.ledger import Ledger
from loihic.ops.population import Population
from loihic.ops.source import Sink, Source
from loihic.partition.plan import Plan
from loihic.quant.proofs import StateProof
from loihic.sim.run import run

if TYPE_CHECKING:
    from loihic.evaluate import Evaluation
    from loihic.report.compare import Comparison
    from loihic.sim.stream import Piece
    from loihic.verify import Verdict

BACKENDS = ("sim", "torch", "lava", "loihi2")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run gave.

    Attributes:
        outputs: per output node, (N, T, *shape), aligned unless `raw`: index t answers input step t.
        recorded: per (node, state), (N, steps, *shape), never aligned.
        latency: in steps, per output.
    """

    outputs: dict[str, Array]
    recorded: dict[tuple[str, str], Array] = field(default_factory=dict)
    latency: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Program:
    """An exact integer program with everything needed to run, check and explain it.

    Attributes:
        graph: the timed hardware graph.
        source: the fused float graph it was lowered from, rewritten for stock Processes where that was asked for.
        ledger: every difference from what was trained.
        options: the options it was compiled with, as plain data.
        provenance: the model's name and digest, versions, dt and where it came from.
        proofs: what is known of every state's range.
        golden: the golden input per Source, integers (T, *shape).
        golden_output: what the simulator answered to it, per Sink, aligned.
        plan: where on the chips everything lies; it changes no bit.
    """

    graph: HardwareGraph
    source: SourceGraph
    ledger: Ledger
    options: Mapping[str, Any]
    provenance: Mapping[str, Any]
    proofs: tuple[StateProof, ...] = ()
    golden: Mapping[str, Array] = field(default_factory=dict)
    golden_output: Mapping[str, Array] = field(default_factory=dict)
    plan: Plan | None = None

    @property
    def inputs(self) -> dict[str, Source]:
        """Input ports by name."""
        return {name: node for name, node in self.graph.nodes.items() if isinstance(node, Source)}

    @property
    def outputs(self) -> dict[str, Sink]:
        """Output ports by name."""
        return {name: node for name, node in self.graph.nodes.items() if isinstance(node, Sink)}

    @property
    def input_shapes(self) -> dict[str, Shape]:
        """Shape of one step of each input."""
        return {name: node.shape for name, node in self.inputs.items()}

    @property
    def answers_each_step(self) -> bool:
        """Whether every input step is a question of its own, as in networks without neurons that remember."""
        from loihic.ops.activation import Activation

        kinds = [node for name, node in self.graph.nodes.items()
                 if isinstance(node, Population) and name in self.source.nodes]  # not relays that split a fan-in
        return bool(kinds) and all(isinstance(node, Activation) for node in kinds)

    @property
    def latency(self) -> int:
        """Steps from an input to the slowest output that answers it."""
        return max((sink.latency for sink in self.outputs.values()), default=0)

    def encode(self, x: Array | Mapping[str, Array]) -> dict[str, Array]:
        """Integers (N, T, *shape) per Source from a user's arrays.

        Raises:
            InputError: LHC110 for shapes and names, LHC111 for values outside the compiled range.
        """
        return InputEncoder(self.inputs).encode(fit_inputs(x, self.input_shapes))

    def run(self, x: Array | Mapping[str, Array] | None = None, *, backend: str = "sim", raw: bool = False,
            record: Iterable[tuple[str, str]] = (), timeout: float | None = None,
            progress: Callable[[int], None] | None = None, engine: str = "auto", threads: int | None = None,
            device: str = "cpu") -> Result:
        """Run the program; without `x`, on its golden input.

        Args:
            x: (T, *shape) or (N, T, *shape), or such arrays by input name; samples are independent runs.
            backend: ``sim``, ``torch``, ``lava`` or ``loihi2``; all give the same integers.
            raw: leave the latency in the outputs.
            record: (node, state) pairs to keep: u, v or out of a population.
            timeout: seconds, for Lava.
            progress: called with the number of steps done (sim and torch only).
            engine: of sim: ``auto``, ``flat`` (compiled kernels) or ``numpy``.
            threads: over which sim spreads the samples; all cores by default.
            device: of torch: ``cpu``, ``cuda``, ``cuda:1``.

        Raises:
            InputError: the input does not fit.
            BackendError: the backend is missing or failed.
        """
        encoded = {n: g[None] for n, g in self.golden.items()} if x is None else self.encode(x)
        length = next(iter(encoded.values())).shape[1]
        steps = length + self.latency
        wanted = self.known_records(record)
        if backend in ("sim", "torch"):
            stretch = run(self.graph, encoded, steps, engine=engine if backend == "sim" else backend, record=wanted,
                          progress=progress, threads=threads, device=device)
            outputs, recorded = stretch.outputs, stretch.recorded
        elif backend in BACKENDS:
            from loihic.targets.lava.backend import run_on_lava

            outputs, recorded = run_on_lava(
                self.graph, encoded, steps, record=wanted, timeout=timeout, hardware=backend == "loihi2")
        else:
            fail("LHC702", f"unknown backend {backend!r}", error=InputError, help=f"one of {', '.join(BACKENDS)}")
        latency = {name: sink.latency for name, sink in self.outputs.items()}
        if not raw:
            outputs = {n: values[:, latency[n] : latency[n] + length] for n, values in outputs.items()}
        return Result(outputs=outputs, recorded=recorded, latency=latency)

    def known_records(self, record: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """The (node, state) pairs of `record`, all of which can be recorded.

        Raises:
            InputError: LHC701, with the list of those that can.
        """
        wanted = list(dict.fromkeys(record))
        states = {name: (*node.states, "out") for name, node in self.graph.nodes.items()
                  if isinstance(node, Population)}
        for node, state in wanted:
            if state not in states.get(node, ()):
                listed = ", ".join(f"{name} ({', '.join(those)})" for name, those in states.items())
                fail("LHC701", f"nothing to record is called {node}.{state}", error=InputError,
                     help=f"populations and what there is of each: {listed}")
        return wanted

    def stream(self, chunks: Iterable[Array | Mapping[str, Array]], **options: Any) -> Iterator[Piece]:
        """Run on chunks of input as they come, in bounded memory; see `loihic.sim.stream`."""
        from loihic.sim.stream import stream

        return stream(self, chunks, **options)

    def evaluate(self, x: Array | Mapping[str, Array], labels: Array | None = None, **options: Any) -> Evaluation:
        """Run on a data set, and say how well it does and how active it is; see `loihic.evaluate.evaluate`."""
        from loihic.evaluate import evaluate

        return evaluate(self, x, labels, **options)

    def run_float(self, x: Array | Mapping[str, Array] | None = None) -> dict[str, Array]:
        """The float reference on the same inputs (as rounded for the program): per output (N, T, *shape), aligned."""
        from loihic.sim.reference import run_reference

        return run_reference(self.source, self.real_inputs(x))

    def real_inputs(self, x: Array | Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Inputs (N, T, *shape) as the program sees them, rounded, in real units; without `x`, the golden input."""
        encoded = {n: g[None] for n, g in self.golden.items()} if x is None else self.encode(x)
        return {name: self.inputs[name].real(values) for name, values in encoded.items()}

    def dequantise(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs in the trained network's units."""
        return {name: self.outputs[name].real(values) for name, values in outputs.items()}

    def verify(self, x: Array | Mapping[str, Array] | None = None, *, against: str = "lava",
               timeout: float | None = None) -> Verdict:
        """Compare the simulator with Lava, the float reference or the golden output; see `loihic.verify`."""
        from loihic.verify import verify

        return verify(self, x, against=against, timeout=timeout)

    def save_bits(self, path: str | Path) -> Path:
        """Write the formats and scales as TOML, for `--weight-bits`; see `loihic.quant.widths`."""
        from loihic.ops.compartment import Compartment
        from loihic.ops.mapping import Map
        from loihic.quant.formats import Format
        from loihic.quant.scales import scales_of
        from loihic.quant.widths import write_widths

        formats = {name: str(Format.parse(node.bits)) for name, node in self.source.nodes.items()
                   if isinstance(node, Map)}
        scales = {name: scales_of(node) for name, node in self.graph.nodes.items() if isinstance(node, Compartment)}
        return write_widths(Path(path), str(self.provenance.get("model", "")), formats, scales)

    def compare(self, x: Array | Mapping[str, Array] | None = None, *, tau: float = 10.0, tolerance: float = 0.01,
                progress: Callable[[str, float], None] | None = None) -> Comparison:
        """Float against integer, per node and per step: see `loihic.report.compare`.

        Args:
            x: inputs as for `run`; the golden input by default.
            tau: time constant of the van Rossum distance, in steps.
            tolerance: by which graded outputs may differ before they diverge, relative to the greatest so far.
            progress: called with what is being done and how much of everything is done, 0 to 1.
        """
        from loihic.report.compare import compare

        return compare(self, x, tau=tau, tolerance=tolerance, progress=progress)

    def save(self, path: str | Path) -> Path:
        """Write the program to one file; see `loihic.artifact`."""
        from loihic.artifact import save

        return save(self, Path(path))
