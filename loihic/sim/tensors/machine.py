"""A graph on a device: node by node over a block of steps where nothing loops, step by step where something does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.ops.delay_line import DelayLine
from loihic.ops.population import Population
from loihic.ops.source import Sink, Source
from loihic.ops.synapse import Synapse
from loihic.sim.engine import ARRIVING, LINE, Checkpoint, Stretch, Wanted
from loihic.sim.order import groups, senders
from loihic.sim.tensors.bounds import Bounds, greatest_message
from loihic.sim.tensors.exact import carrier
from loihic.sim.tensors.fuse import STEPS_TOGETHER, Fused
from loihic.sim.tensors.lines import Line
from loihic.sim.tensors.neurons import States, dynamics
from loihic.sim.tensors.products import Product, product
from loihic.sim.tensors.tape import Feed, Tape, on_device, reach

BLOCK_BYTES = {"cpu": 1 << 26, "cuda": 1 << 32}  # of what a block of steps may keep at a time
LONGEST_BLOCK = 8 * STEPS_TOGETHER
KEPT = 3  # blocks that exist at once for each element: messages, sums, and one on its way between


class Machine:
    """The state of a batch on a device. What each cell (Source, population, DelayLine) sends in a block of steps is a
    tensor (steps, samples, elements).

    Args:
        graph, batch, record, count, at: as for an `Engine`.
        device: where everything is kept.
        fuse: whether to have torch compile the neurons.
    """

    def __init__(self, graph: HardwareGraph, batch: int, record: Wanted, count: bool, at: Checkpoint | None,
                 device: torch.device, fuse: bool) -> None:
        self.graph, self.batch, self.device, self.record = graph, batch, device, tuple(dict.fromkeys(record))
        self.step = 0 if at is None else at.step
        self.cells = [name for name, node in graph.nodes.items() if isinstance(node, Population | Source | DelayLine)]
        self.sizes = {name: prod(graph.shapes[name]) for name in self.cells}
        self.populations = {n: node for n, node in graph.nodes.items() if isinstance(node, Population)}
        self.dynamics = {name: dynamics(node, device) for name, node in self.populations.items()}
        self.order = groups(graph, {name: index for index, name in enumerate(self.cells)})
        feeding = {name: [edge.src for edge in graph.incoming[name]] for name in self.populations}
        self.heard = {name: [(src, graph.incoming[src][0].src) for src in feeds
                             if isinstance(graph.nodes[src], Synapse)] for name, feeds in feeding.items()}
        # Sources that are heard without a synapse, in the same step.
        self.heard_now = {name: [src for src in feeds if isinstance(graph.nodes[src], Source)]
                          for name, feeds in feeding.items()}
        self.fused = Fused(fuse)
        self.bounds = Bounds(graph)
        self.states: dict[str, States] = {}
        self.arriving: dict[str, Tensor] = {}
        self.lines: dict[str, Line] = {}
        self._restore(at)
        self.products: dict[str, Product] = {}
        self._plan()
        self.counts = {name: torch.zeros(self.sizes[name], dtype=torch.int64, device=device) for name in self.cells
                       if not isinstance(graph.nodes[name], DelayLine)} if count else {}

    def advance(self, inputs: Mapping[str, Array], steps: int, progress: Callable[[int], None] | None) -> Stretch:
        """See `Engine.advance`."""
        feeds = {name: Feed(values, self.device) for name, values in inputs.items()
                 if isinstance(self.graph.nodes.get(name), Source)}
        if {name for name, feed in feeds.items() if self.bounds.raise_to(name, feed.bound, feed.signed)}:
            self._plan()
        shapes = self.graph.shapes
        outputs = {name: Tape(self.batch, steps, shapes[name]) for name, node in self.graph.nodes.items()
                   if isinstance(node, Sink)}
        recorded = {key: Tape(self.batch, steps, shapes[key[0]]) for key in self.record}
        block = self._block()
        for first in range(0, steps, block):
            number = min(block, steps - first)
            sent = self._take(feeds, first, number, recorded)
            for name, tape in outputs.items():
                tape.add(first, sent[self.graph.incoming[name][0].src])
            for (name, state), tape in recorded.items():
                if state == "out":
                    tape.add(first, sent[name])
            for name, counts in self.counts.items():
                counts += torch.count_nonzero(sent[name], dim=(0, 1))
            self.step += number
            if progress is not None:
                progress(first + number)
        return Stretch(outputs={name: tape.settle() for name, tape in outputs.items()},
                       recorded={key: tape.settle() for key, tape in recorded.items()})

    def checkpoint(self) -> Checkpoint:
        """See `Engine.checkpoint`."""
        found: dict[str, dict[str, Array]] = {}
        for name, node in self.populations.items():
            held = {**dict(zip(self.dynamics[name].names, self.states[name], strict=True)),
                    ARRIVING: self.arriving[name]}
            found[name] = {key: values.to(torch.int64).cpu().numpy().reshape(self.batch, *node.shape).copy()
                           for key, values in held.items()}
        for name, line in self.lines.items():
            found[name] = {LINE: line.snapshot().reshape(-1, self.batch, *self.graph.shapes[name])}
        return Checkpoint(step=self.step, states=found)

    def sent_so_far(self) -> dict[str, Array]:
        """Messages per cell that is counted, (size,) int64."""
        return {name: np.array(counts.cpu()) for name, counts in self.counts.items()}

    def _restore(self, at: Checkpoint | None) -> None:
        """States, sums and lines at the beginning, or at a checkpoint, with the bounds that follow from it."""
        for name, node in self.populations.items():
            held = {ARRIVING: np.zeros((1, *node.shape), dtype=np.int64), **node.initial(1)}
            held = held if at is None else dict(at.states[name])
            self.states[name] = tuple(self._spread(name, held[key]) for key in self.dynamics[name].names)
            self.arriving[name] = self._spread(name, held[ARRIVING])
            self.bounds.least[name] = reach(held[ARRIVING])
            if "told" in held:
                self.bounds.raise_to(name, greatest_message(node, reach(held["told"])))
        for name in self.cells:
            line = self.graph.nodes[name]
            if isinstance(line, DelayLine):
                longest = int(line.steps.max(initial=1))
                content = np.zeros((longest, self.batch, self.sizes[name]), dtype=np.int8) if at is None else (
                    at.states[name][LINE].reshape(longest, self.batch, self.sizes[name]))
                bound = reach(content)
                self.bounds.raise_to(name, bound, bool(np.any(content < 0)))
                self.lines[name] = Line(line, on_device(content, bound, self.device))

    def _spread(self, name: str, values: Array) -> Tensor:
        """A state (samples, or 1 for all alike, *shape) of a population as (samples, neurons) int64."""
        flat = on_device(values.reshape(len(values), self.sizes[name]), None, self.device)
        return flat.expand(self.batch, self.sizes[name]).contiguous()

    def _plan(self) -> None:
        """Products whose arithmetic is exact for the bounds of now."""
        self.bounds.settle()
        for name, node in self.graph.nodes.items():
            if isinstance(node, Synapse):
                heard, known = self.bounds.heard(name), self.products.get(name)
                if known is None or known.heard != heard:
                    self.products[name] = product(node, heard, self.device)
                self.products[name].binary = self.bounds.is_binary(name)
        self.carriers = {name: carrier(self.bounds.sent[name]) for name in self.cells}
        self.sum_carriers = {name: carrier(self.bounds.total(name)) for name in self.populations}
        self.arriving = {name: values.to(self.sum_carriers[name]) for name, values in self.arriving.items()}

    def _block(self) -> int:
        """Steps that are taken together."""
        each = KEPT * self.batch * sum(size * self.carriers[name].itemsize for name, size in self.sizes.items())
        room = BLOCK_BYTES.get(self.device.type, BLOCK_BYTES["cpu"])
        if self.device.type == "cuda":
            room = min(room, int(torch.cuda.mem_get_info(self.device)[0]) // 4)
        fitting: int = max(1, min(room // max(each, 1), LONGEST_BLOCK))
        return fitting // STEPS_TOGETHER * STEPS_TOGETHER or fitting

    def _take(self, feeds: Mapping[str, Feed], first: int, number: int,
              recorded: Mapping[tuple[str, str], Tape]) -> dict[str, Tensor]:
        """Take `number` steps from step `first` of the stretch on; returns what every cell sent."""
        sent: dict[str, Tensor] = {}
        for group in self.order:
            name = group[0]
            if len(group) > 1 or name in senders(self.graph, name):
                self._loop(group, sent, first, number, recorded)
            elif name in self.lines:
                line = self.lines[name]
                line.begin(number, self.carriers[name])
                line.take(0, sent[self.graph.incoming[name][0].src])
                sent[name] = line.give(0, number)
                line.end(number)
            elif name in self.populations:
                sums = self._sums(name, self.heard[name], sent)
                sent[name] = torch.empty((number, self.batch, self.sizes[name]), dtype=self.carriers[name],
                                         device=self.device)
                self._run(name, sums, self._now(name, sent, 0, number), sent[name], first, 0, recorded)
                self.arriving[name] = torch.zeros_like(self.arriving[name]) if sums is None else sums[-1].clone()
            elif name in feeds:
                sent[name] = feeds[name].block(first, number, self.carriers[name])
            else:
                sent[name] = torch.zeros((1, 1, 1), dtype=self.carriers[name], device=self.device).expand(
                    number, self.batch, self.sizes[name])
        return sent

    def _loop(self, group: Sequence[str], sent: dict[str, Tensor], first: int, number: int,
              recorded: Mapping[tuple[str, str], Tape]) -> None:
        """The cells of a loop, step by step; what comes from outside is multiplied for all steps at once."""
        inside = set(group)
        heard = {name: [pair for pair in self.heard[name] if pair[1] in inside] for name in group
                 if name in self.populations}
        outside = {name: self._sums(name, [pair for pair in self.heard[name] if pair[1] not in inside], sent)
                   for name in heard}
        lines = {name: self.graph.incoming[name][0].src for name in group if name in self.lines}
        for name in group:
            sent[name] = torch.empty((number, self.batch, self.sizes[name]), dtype=self.carriers[name],
                                     device=self.device)
        for name in lines:
            self.lines[name].begin(number, self.carriers[name])
        for k in range(number):
            for name in lines:
                sent[name][k] = self.lines[name].give(k, 1)[0]
            for name in heard:
                self._run(name, None, self._now(name, sent, k, 1), sent[name][k : k + 1], first, k, recorded)
            for name, source in lines.items():
                self.lines[name].take(k, sent[source][k : k + 1])
            for name, pairs in heard.items():
                own = self._sums(name, pairs, {source: sent[source][k : k + 1] for _, source in pairs})
                beyond = outside[name]
                whole = [part for part in (own, None if beyond is None else beyond[k : k + 1]) if part is not None]
                self.arriving[name] = whole[0][0] if len(whole) == 1 else whole[0][0] + whole[1][0]
        for name in lines:
            self.lines[name].end(number)

    def _sums(self, name: str, pairs: Sequence[tuple[str, str]], sent: Mapping[str, Tensor]) -> Tensor | None:
        """What synapses deliver to a population for blocks of messages, one step later: (steps, samples, neurons)."""
        total: Tensor | None = None
        for synapse, source in pairs:
            block = sent[source]
            rows = block.reshape(len(block) * self.batch, self.sizes[source])
            part = self.products[synapse](rows).to(self.sum_carriers[name])
            total = part if total is None else total.add_(part)
        return None if total is None else total.view(len(total) // max(self.batch, 1), self.batch, self.sizes[name])

    def _now(self, name: str, sent: Mapping[str, Tensor], first: int, number: int) -> Tensor | None:
        """What a population hears of Sources in the same steps, `number` of them from `first` of the block on."""
        parts = [sent[source][first : first + number].to(self.sum_carriers[name]) for source in self.heard_now[name]]
        return sum(parts[1:], start=parts[0]) if parts else None

    def _run(self, name: str, sums: Tensor | None, now: Tensor | None, out: Tensor, first: int, done: int,
             recorded: Mapping[tuple[str, str], Tape]) -> None:
        """Step a population through `out` (steps, samples, neurons), which is filled.

        Args:
            name: the population.
            sums: what is delivered in the steps after the first one; None if nothing.
            now: what Sources send in the steps themselves; None if nothing.
            out: what it sends.
            first: step of the stretch at which the block begins.
            done: steps of the block before `out`.
            recorded: the tapes that are wanted.
        """
        node, own = self.populations[name], self.dynamics[name]
        wanted = [(own.names.index(state), tape) for (n, state), tape in recorded.items() if n == name
                  and state != "out"]
        k = 0
        while k < len(out):
            number = 1
            if node.rests(self.step + done + k):
                out[k] = 0
            else:
                arriving = self.arriving[name] if k == 0 else self._later(name, sums, k, 1)[0]
                arriving = arriving if now is None else arriving + now[k]
                together = self.fused.compiles and not wanted and k + STEPS_TOGETHER <= len(out)
                if together or (self.fused.compiles and len(out) == 1):
                    number = STEPS_TOGETHER if together else 1
                    later = self._later(name, sums, k + 1, number - 1) if together else None
                    later = later if now is None or later is None else later + now[k + 1 : k + number]
                    self.states[name], out[k : k + number] = self.fused(own, self.states[name], arriving, later,
                                                                        out.dtype)
                else:
                    self.states[name], out[k] = own.step(self.states[name], arriving.to(torch.int64))
            for index, tape in wanted:
                tape.add(first + done + k, self.states[name][index][None])
            k += number

    def _later(self, name: str, sums: Tensor | None, step: int, number: int) -> Tensor:
        """What is delivered from `step` of a block on, after its first: what was sent one step before each."""
        if sums is not None:
            return sums[step - 1 : step - 1 + number]
        return torch.zeros_like(self.arriving[name]).expand(number, *self.arriving[name].shape)
