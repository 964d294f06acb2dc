"""The table of ONNX operators: what a function that reads one is given, and how it is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loihic.errors import Diagnostic, Severity
from loihic.frontends.network import NetworkBuilder
from loihic.frontends.onnx_file import OnnxLimits, TensorStore
from loihic.frontends.onnx_operands import Constant, NodeError, Operand, Tensor
from loihic.ir.node import Array


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OnnxNode:
    """A node as the file has it.

    Attributes:
        op: the operator's name.
        domain: of the operator; the standard one is "".
        label: the node's name, or its first output's.
        inputs: names of tensors; empty for those left out.
        outputs: likewise.
        attributes: by name; texts are str, arrays are messages.
        proto: the message.
    """

    op: str
    domain: str
    label: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    proto: Any

    @property
    def shown(self) -> str:
        """For diagnostics."""
        return f"{self.label} ({self.op})"


@dataclass(kw_only=True, slots=True, eq=False)
class Reading:
    """What the nodes of one graph share while they are read.

    Attributes:
        builder: of the source graph.
        store: reads arrays.
        opset: version of the standard operators.
        batch: the file's batch size; 0 if it leaves it open.
        limits: what the file may ask for.
        notes: diagnostics that are no errors.
        spent: elements the network is built of so far.
    """

    builder: NetworkBuilder
    store: TensorStore
    opset: int
    batch: int
    limits: OnnxLimits
    notes: list[Diagnostic] = field(default_factory=list)
    spent: int = 0

    def spend(self, *elements: int) -> None:
        """Account for tensors and tables of so many elements, before they are made.

        Raises:
            NodeError: LHC103, one of them or all together are too many.
        """
        for count in elements:
            self.spent += count
            if count < 1:
                raise NodeError("LHC202", "the node gives an empty tensor")
            if count > self.limits.tensor_elements or self.spent > self.limits.total_elements:
                raise NodeError("LHC103", "the network is too large", param=f"{count} elements; the limit is "
                                f"{self.limits.tensor_elements}, and {self.limits.total_elements} altogether")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Call:
    """One node with its operands; what is asked for and not there is a NodeError."""

    node: OnnxNode
    operands: Sequence[Operand | None]
    reading: Reading

    @property
    def label(self) -> str:
        """The node's name."""
        return self.node.label

    @property
    def builder(self) -> NetworkBuilder:
        """Of the source graph."""
        return self.reading.builder

    def has(self, index: int) -> bool:
        """Whether an input is given."""
        return index < len(self.operands) and self.operands[index] is not None

    def operand(self, index: int) -> Operand:
        found = self.operands[index] if index < len(self.operands) else None
        if found is None:
            raise NodeError("LHC103", f"input {index} is missing")
        return found

    def tensor(self, index: int) -> Tensor:
        """An input that depends on the network's input, as real numbers or as integers."""
        found = self.operand(index)
        if isinstance(found, Constant):
            raise NodeError("LHC401", f"input {index} is a constant, where a tensor of the network is expected")
        return found

    def real(self, index: int) -> Tensor:
        """An input that depends on the network's input, and that ONNX has as real numbers."""
        found = self.tensor(index)
        if found.integer:
            raise NodeError("LHC401", f"input {index} is a tensor of integers", help="dequantise it first")
        return found

    def array(self, index: int) -> Array:
        """A constant input."""
        found = self.operand(index)
        if not isinstance(found, Constant):
            raise NodeError("LHC401", f"input {index} depends on the network's input, and must be a constant",
                            help="export the trained network for inference, with its parameters as constants")
        return found.array

    def floats(self, index: int) -> Array:
        """A constant input of finite numbers, as float64."""
        try:
            values = self.array(index).astype(np.float64)
        except (TypeError, ValueError) as error:
            raise NodeError("LHC103", f"input {index} does not hold numbers") from error
        if not np.isfinite(values).all():
            raise NodeError("LHC104", f"input {index} holds numbers that are not finite")
        return values

    def ints(self, index: int) -> list[int]:
        """A constant input of whole numbers, flat."""
        values = self.array(index)
        if values.dtype.kind not in "iu":
            raise NodeError("LHC103", f"input {index} does not hold whole numbers")
        return [int(v) for v in values.reshape(-1)]

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute, or its default; of the default's type, where that is not None.

        Raises:
            NodeError: LHC103, it is of another type.
        """
        value = self.node.attributes.get(name)
        if value is None:
            return default
        if isinstance(default, float) and isinstance(value, int):
            return float(value)
        if default is not None and not isinstance(value, type(default)):
            raise NodeError("LHC103", f"attribute {name} is of the wrong type", param=f"{type(value).__name__}")
        if isinstance(value, float) and not np.isfinite(value):
            raise NodeError("LHC104", f"attribute {name} is not a finite number")
        return value

    def integers(self, name: str, default: Sequence[int]) -> list[int]:
        """An attribute that lists whole numbers."""
        values = self.attribute(name, list(default))
        if not all(isinstance(v, int) for v in values):
            raise NodeError("LHC103", f"attribute {name} does not hold whole numbers")
        return list(values)

    def warn(self, message: str, *, param: str = "", help: str = "") -> None:
        """Report something that stops nothing."""
        self.reading.notes.append(Diagnostic(code="LHC401", message=message, node=self.node.shown, param=param,
                                             help=help, severity=Severity.WARNING))


Read = Callable[[Call], Operand | tuple[Operand, ...]]
_OPERATORS: dict[tuple[str, str], Read] = {}

QONNX_DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
CONTRIBUTED = "com.microsoft"


def operator(*names: str, domains: Sequence[str] = ("",)) -> Callable[[Read], Read]:
    """Enter a function into the table, for every name and domain."""
    def enter(read: Read) -> Read:
        _OPERATORS.update({(domain, name): read for domain in domains for name in names})
        return read

    return enter


def operator_of(node: OnnxNode) -> Read | None:
    """The function that reads a node, if there is one."""
    return _OPERATORS.get((node.domain, node.op))


def operator_names() -> tuple[str, ...]:
    """All operators in the table, those of other domains with them."""
    return tuple(sorted(f"{domain}.{name}" if domain else name for domain, name in _OPERATORS))

