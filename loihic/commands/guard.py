"""Nothing a user can cause ends in a traceback: every way out of a command, and its exit status."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from loihic.errors import Diagnostic, ExitCode, LoihicError

INTERRUPTED = 130  # what shells report for a command that Ctrl-C ended
WRITE_ERRORS = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT,
    errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EMFILE, errno.EEXIST})


class GuardedGroup(click.Group):
    """A group whose commands end in an exit status and, for every error, in diagnostics on stderr."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command named on the command line.

        Raises:
            click.exceptions.Exit: with the status of an error.
        """
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A node's name may hold what the terminal's encoding does not.
                stream.reconfigure(errors="backslashreplace")
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except LoihicError as error:
            _end(ctx, error.diagnostics, error.exit_code)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except OSError as error:
            if error.errno == errno.EPIPE:
                _drop_stdout()
                ctx.exit(0)  # the reader has seen enough, as in `loihic show model.nir | head`
            if error.errno not in WRITE_ERRORS:
                _end(ctx, [_internal(error)], ExitCode.INTERNAL)
            _drop_stdout()
            _end(ctx, [_unwritable(error)], ExitCode.MODEL)
        except MemoryError:
            _end(ctx, [Diagnostic(code="LHC900", message="out of memory", help="a machine with more memory, or fewer "
                                  "samples at once (--samples N)")], ExitCode.INTERNAL)
        except Exception as error:  # the last resort of the program
            _end(ctx, [_internal(error)], ExitCode.INTERNAL)
        return result


def _end(ctx: click.Context, diagnostics: Sequence[Diagnostic], status: int) -> NoReturn:
    """Print the diagnostics (and, under --json, an object that holds them) and leave with `status`."""
    from loihic.commands.output import diagnostics_json, print_diagnostics, print_json

    print_diagnostics(diagnostics)
    if ctx.meta.get("loihic.json"):
        with contextlib.suppress(OSError):
            print_json({"ok": False, "exit_code": status, "diagnostics": diagnostics_json(diagnostics)})
    ctx.exit(status)


def _unwritable(error: OSError) -> Diagnostic:
    target = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "the output"
    return Diagnostic(code="LHC112", message=f"cannot write {target}", param=error.strerror or str(error),
                      help="check the folder, its permissions and the free space")


def _internal(error: BaseException) -> Diagnostic:
    """LHC900, with the traceback in a file of its own so that the terminal stays readable."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="backslashreplace", prefix="loihic-", suffix=".txt", delete=False) as file:
            file.write(f"{sys.version}\n{' '.join(sys.argv)}\n\n{text}")
        place = file.name
    except OSError:
        place = "nowhere: the folder for temporary files cannot be written"
    summary = (str(error).splitlines() or [""])[0][:200]
    return Diagnostic(code="LHC900", message=f"internal error: {type(error).__name__}: {summary}",
                      param=f"traceback written to {place}", help="please report it together with that file")


def _drop_stdout() -> None:
    """Point stdout at nothing, so that what it still holds does not fail once more when Python ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())
        os.close(sink)
