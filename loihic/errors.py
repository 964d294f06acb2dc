"""Diagnostics: what went wrong, at which node and parameter, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn


class Severity(str, Enum):
    """How much a diagnostic matters: an error stops the phase, the others do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class ExitCode:
    """The exit status of the command line, by whose fault it was."""

    MODEL = 1
    USAGE = 2
    UNSUPPORTED = 3
    DOES_NOT_FIT = 4
    INTERNAL = 70


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnostic:
    """One finding about the user's model, file or input.

    Attributes:
        code: a key of `loihic.codes.CODES`, such as ``LHC204``.
        message: what is wrong, in one line.
        node: the node it concerns, with its operator and origin, if any.
        param: the parameter, its value and the limit it breaks, if any.
        help: what the user can do about it.
        severity: errors end the phase; warnings and notes are shown.
    """

    code: str
    message: str
    node: str = ""
    param: str = ""
    help: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        lines = [f"{self.severity.value}[{self.code}]: {self.message}"]
        for label, text in (("node", self.node), ("param", self.param), ("help", self.help)):
            if text:
                lines.append(f"  {label:<7} {text}")
        return "\n".join(lines)


class LoihicError(Exception):
    """Base of everything that loihic raises for a cause the user can act on.

    Attributes:
        diagnostics: all the findings of the phase that failed, in order.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(d) for d in self.diagnostics))

    def __reduce__(self) -> tuple[type[LoihicError], tuple[tuple[Diagnostic, ...]]]:
        return type(self), (self.diagnostics,)  # what travels between processes keeps its diagnostics

    @property
    def exit_code(self) -> int:
        """The status with which the command line ends: the gravest of the codes' own."""
        from loihic.codes import CODES

        return max((CODES[d.code].exit_code for d in self.diagnostics if d.code in CODES), default=ExitCode.MODEL)


class CompileError(LoihicError):
    """The model cannot be compiled; every problem found in the phase is listed."""


class InputError(LoihicError):
    """A file or array handed to loihic is not what it should be."""


class BackendError(LoihicError):
    """A backend is missing, failed or ran out of time."""


def fail(
    code: str, message: str, *, node: str = "", param: str = "", help: str = "",
    error: type[LoihicError] = CompileError,
) -> NoReturn:
    """Raise `error` with a single diagnostic."""
    raise error([Diagnostic(code=code, message=message, node=node, param=param, help=help)])
