"""What the commands print: diagnostics and progress to stderr, tables and JSON to stdout."""

from __future__ import annotations

import json
import logging
import math
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from loihic.errors import Diagnostic

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, TaskID
    from rich.table import Table

WIDE = 160  # columns where stdout is not a terminal: a table in a file should not wrap
PATIENCE = 1.0  # seconds before progress is shown
STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}


def console(*, stderr: bool = False) -> Console:
    """A console that prints names as they are: no markup, no emoji, no highlighting."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDE
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width, soft_wrap=False)


def plain(text: object) -> str:
    """Text without control characters: names come from files, and a terminal obeys what it is sent."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in str(text))


def print_diagnostics(diagnostics: Iterable[Diagnostic], *, stderr: bool = True) -> None:
    """One block a diagnostic, as `str(diagnostic)` but coloured on a terminal."""
    from rich.text import Text

    out = console(stderr=stderr)
    for item in diagnostics:
        kind = item.severity.value
        head, _, rest = plain(item).partition(": ")
        text = Text.assemble((head, STYLES[kind]), (": ", "bold"), rest)
        # soft_wrap: a path that is cut at the margin can no longer be copied.
        out.print(text, soft_wrap=True)


def diagnostics_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, str]]:
    """Diagnostics as plain data."""
    return [{"code": d.code, "severity": d.severity.value, "message": d.message, "node": d.node, "param": d.param,
             "help": d.help} for d in diagnostics]


def print_json(value: Any) -> None:
    """One JSON document; numbers that JSON lacks (infinity, NaN) become null."""
    click.echo(json.dumps(finite(value), indent=2, allow_nan=False))


def finite(value: Any) -> Any:
    """Plain data as JSON has it: infinity and NaN become null, numpy's scalars Python's."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "item"):  # a numpy scalar
        return finite(value.item())
    return value


def print_table(columns: Iterable[str], rows: Iterable[Iterable[object]], *, right: Iterable[str] = ()) -> None:
    """A borderless table; the columns named in `right` are aligned to the right."""
    out, table = console(), _table(columns, rows, frozenset(right))
    if out.is_terminal:
        out.print(table)
        return
    with out.capture() as captured:
        out.print(table)
    # rich pads every line to the table's width, which files and diffs do not want.
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _table(columns: Iterable[str], rows: Iterable[Iterable[object]], right: frozenset[str]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    return table


def say(text: str = "", *, stderr: bool = False) -> None:
    """A line of text, to stdout where nothing else is said."""
    click.echo(plain(text), err=stderr)


def ascii_only() -> bool:
    """Whether stdout cannot show blocks."""
    encoding: Any = getattr(sys.stdout, "encoding", None)
    try:
        "█".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return False


class Meter(AbstractContextManager["Meter"]):
    """Progress on stderr; only on a terminal, only once something has taken a second, gone when it is over.

    What the library logs of itself meanwhile (`loihic.sim` compiling its kernels) is shown until the next step is done.

    Args:
        label: what is being done.
        total: number of steps, or None if unknown.
        rate: whether to show the steps per second, and the time that is left.

    Attributes:
        base: is added to the steps that are reported; for work that consists of several runs.
    """

    def __init__(self, label: str, total: int | None = None, *, rate: bool = False) -> None:
        self.label = label
        self.total = total
        self.rate = rate
        self.base = self.done = 0
        self.shown: Progress | None = None
        self.task: TaskID | None = None
        self.timer = threading.Timer(PATIENCE, self._show)
        self.timer.daemon = True
        self.notices = _Notices(self)

    def __enter__(self) -> Meter:
        if sys.stderr.isatty():
            self.timer.start()
            self.notices.begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self.timer.ident is not None:
            self.notices.end()
            self.timer.cancel()
            self.timer.join()
        if self.shown is not None:
            self.shown.stop()

    def steps(self, done: int) -> None:
        """Report the number of steps done."""
        self.done = self.base + done
        if self.shown is not None and self.task is not None:
            self.shown.update(self.task, completed=self.done, description=self.label)

    def stage(self, name: str) -> None:
        """Report what is being done now."""
        self.label = name
        self.notice(name)

    def notice(self, text: str) -> None:
        """Show `text` instead of the stage until the next step."""
        if self.shown is not None and self.task is not None:
            self.shown.update(self.task, description=text)

    def _show(self) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn()]
        bar = Progress(*columns, *(_rate_columns() if self.rate else ()), console=console(stderr=True), transient=True)
        # What was done before is no speed: a run that is resumed begins in the middle.
        self.task = bar.add_task(self.notices.last or self.label, total=self.total, completed=self.done)
        bar.start()
        self.shown = bar


class _Notices(logging.Handler):
    """Shows the notices of the library's logger on a meter."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(logging.INFO)
        self.meter, self.last = meter, ""
        self.logger = logging.getLogger("loihic")

    def begin(self) -> None:
        """Listen."""
        self.level_before = self.logger.level
        self.logger.setLevel(logging.INFO)
        self.logger.addHandler(self)

    def end(self) -> None:
        """Listen no longer."""
        self.logger.removeHandler(self)
        self.logger.setLevel(self.level_before)

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()
        self.meter.notice(self.last)


def _rate_columns() -> list[ProgressColumn]:
    """Steps per second over the last half minute, and the time left at that speed."""
    from rich.progress import ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f} steps/s")

    return [Rate(), TimeRemainingColumn(), TextColumn("left")]


Command = Callable[..., Any]


def json_option(command: Command) -> Command:
    """--json, remembered so that errors know of it too."""

    def remember(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
        ctx.meta["loihic.json"] = value
        return value

    return click.option("--json", "as_json", is_flag=True, callback=remember, is_eager=True,
                        help="Print exactly one JSON object.")(command)
