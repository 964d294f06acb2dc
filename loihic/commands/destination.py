"""Where the results of a run go: an .npz that is written at the end, or .npy files that are filled as it goes on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from loihic.commands.arrays import check_names, results, write_npz
from loihic.commands.choices import output_path
from loihic.commands.npy_file import NpyFile, part_of
from loihic.commands.row_digest import Left
from loihic.errors import InputError, fail
from loihic.ir.node import Array
from loihic.program import Result

if TYPE_CHECKING:
    from loihic.program import Program
    from loihic.sim.stream import Piece

Recorded = tuple[str, str]


class Destination(ABC):
    """Takes what the pieces of a run gave.

    Args:
        program: what runs.
        path: the file or folder to write.
        record: (node, state) pairs that are kept.
        dequantise: whether outputs are written in real units.
    """

    resumable = True

    def __init__(self, program: Program, path: Path, record: Iterable[Recorded], *, dequantise: bool) -> None:
        self.program, self.path, self.record, self.dequantise = program, path, tuple(record), dequantise

    @abstractmethod
    def open(self, samples: int, steps: int, recorded: int, *, traced: bool = False, left: Left | None = None) -> None:
        """Make room for outputs of so many `samples` and `steps`, and for so many `recorded` steps.

        Args:
            samples: N of all arrays.
            steps: of the outputs.
            recorded: of the recorded states.
            traced: whether `digests` will be asked for.
            left: what to go on with.

        Raises:
            InputError: LHC112; LHC116 where what is `left` is not there.
        """

    @abstractmethod
    def put(self, sample: int, piece: Piece) -> None:
        """Take a piece of the run of the samples from `sample` on."""

    @abstractmethod
    def finish(self) -> Result:
        """Write everything; returns it, outputs as they were written."""

    def paths(self) -> list[Path]:
        """All files that will be written, those that are renamed at the end as well."""
        return [self.path]

    @abstractmethod
    def sync(self) -> None:
        """Let what was written survive a loss of power."""

    def digests(self) -> dict[str, str]:
        """Of what was written to each array, by name."""
        return {}

    @abstractmethod
    def abandon(self, *, keep: bool) -> None:
        """End a run that is not complete; `keep` what it has written so far for another."""

    def latency(self) -> dict[str, int]:
        """Of each output."""
        return {name: sink.latency for name, sink in self.program.outputs.items()}


class Memory(Destination):
    """Arrays that become an .npz at the end, or nothing where there is no path."""

    resumable = False

    def open(self, samples: int, steps: int, recorded: int, *, traced: bool = False, left: Left | None = None) -> None:
        shapes = self.program.graph.shapes
        self.outputs = {name: np.zeros((samples, steps, *sink.shape), dtype=np.int64)
                        for name, sink in self.program.outputs.items()}
        self.recorded = {key: np.zeros((samples, recorded, *shapes[key[0]]), dtype=np.int64) for key in self.record}

    def put(self, sample: int, piece: Piece) -> None:
        for name, values in piece.outputs.items():
            self.outputs[name][sample : sample + len(values), piece.first : piece.first + values.shape[1]] = values
        for key, values in piece.recorded.items():
            steps = slice(piece.first_recorded, piece.first_recorded + values.shape[1])
            self.recorded[key][sample : sample + len(values), steps] = values

    def finish(self) -> Result:
        result = Result(outputs=self.outputs, recorded=self.recorded, latency=self.latency())
        write_npz(self.path, results(self.program, result, dequantise=self.dequantise))
        return result

    def sync(self) -> None:
        pass  # nothing is written before the end

    def abandon(self, *, keep: bool) -> None:
        pass


class Files(Destination):
    """A .npy file, or a folder with one for each output and recorded state."""

    def __init__(self, program: Program, path: Path, record: Iterable[Recorded], *, dequantise: bool, folder: bool
                 ) -> None:
        super().__init__(program, path, record, dequantise=dequantise)
        self.folder, self.files = folder, dict[str | Recorded, NpyFile]()

    def open(self, samples: int, steps: int, recorded: int, *, traced: bool = False, left: Left | None = None) -> None:
        self._check_names(left)
        try:
            if self.folder and left is None:
                self.path.mkdir(exist_ok=True)
            for key, name in self._names().items():
                is_recorded = not isinstance(key, str)
                shape = self.program.graph.shapes[key if isinstance(key, str) else key[0]]
                self.files[key] = NpyFile(
                    self._file(name), (samples, recorded if is_recorded else steps, *shape),
                    np.float64 if self.dequantise and not is_recorded else np.int64, traced=traced,
                    left=None if left is None else left.rows(name, recorded=is_recorded))
        except OSError as error:
            fail("LHC112", f"cannot write {self.path}", param=error.strerror or str(error), error=InputError)
        except BaseException:
            self.abandon(keep=left is not None)
            raise

    def put(self, sample: int, piece: Piece) -> None:
        outputs = self.program.dequantise(piece.outputs) if self.dequantise else piece.outputs
        for name, values in outputs.items():
            self.files[name].put(sample, piece.first, values)
        for key, values in piece.recorded.items():
            self.files[key].put(sample, piece.first_recorded, values)

    def sync(self) -> None:
        for file in self.files.values():
            file.sync()

    def digests(self) -> dict[str, str]:
        kept = {name: self.files[key].digest for key, name in self._names().items()}
        return {name: digest.hexdigest() for name, digest in kept.items() if digest is not None}

    def finish(self) -> Result:
        for file in self.files.values():
            file.finish()
        mapped = {key: _mapped(file.path) for key, file in self.files.items()}
        return Result(outputs={key: array for key, array in mapped.items() if isinstance(key, str)},
                      recorded={key: array for key, array in mapped.items() if not isinstance(key, str)},
                      latency=self.latency())

    def abandon(self, *, keep: bool) -> None:
        for file in self.files.values():
            file.close(remove=not keep)

    def paths(self) -> list[Path]:
        files = [self._file(name) for name in self._names().values()]
        return [*files, *map(part_of, files)]

    def _names(self) -> dict[str | Recorded, str]:
        """What the array of each output and recorded state is called."""
        return {**{name: name for name in self.program.outputs}, **{key: ".".join(key) for key in self.record}}

    def _check_names(self, left: Left | None) -> None:
        """Check that the interrupted run wrote these arrays."""
        own = set(self._names().values())
        if left is not None and own != left.digests.keys():
            fail("LHC116", "the interrupted run wrote other arrays", error=InputError,
                 param=f"{', '.join(sorted(left.digests))}; this one writes {', '.join(sorted(own))}",
                 help="give the same --record as to the interrupted run, or begin anew")

    def _file(self, name: str) -> Path:
        """The file of an output or state; names come from models, and may hold anything."""
        return self.path / f"{quote(name, safe=' ')}.npy" if self.folder else self.path


def destination(program: Program, output: str | None, record: Iterable[Recorded], inputs: Iterable[str], stem: str, *,
                dequantise: bool, files: bool) -> Destination:
    """Where `-o` wants the results.

    Args:
        program: what runs.
        output: a .npy file, a folder (with a slash at its end, if it is to be made), or the name of an .npz.
        record: (node, state) pairs that are kept.
        inputs: files that must not be overwritten.
        stem: of the name without `output`.
        dequantise: whether outputs are written in real units.
        files: whether .npy files are preferred without `output`.

    Raises:
        InputError: LHC112 or LHC702 for a path that cannot be written, LHC701 for names that are alike.
    """
    record = tuple(record)
    single = len(program.outputs) == 1 and not record
    if output is None:
        output = f"{stem}.out.npz" if not files else f"{stem}.out.npy" if single else f"{stem}.out/"
    check_names(program, record)
    inputs = tuple(inputs)
    if output.endswith("/") or (output and Path(output).is_dir()):
        return _folder(program, Path(output), record, inputs, dequantise)
    path = output_path(output, "", *inputs)
    if path.suffix.lower() != ".npy":
        return Memory(program, path, record, dequantise=dequantise)
    if not single:
        fail("LHC702", f"{path.name} holds one array, and this run gives several", error=InputError,
             param=", ".join([*program.outputs, *(".".join(key) for key in record)]),
             help=f"-o {path.stem}/ writes a folder with a .npy for each, -o {path.stem}.npz one file")
    output_path(str(part_of(path)), "", *inputs)
    return Files(program, path, record, dequantise=dequantise, folder=False)


def _folder(program: Program, path: Path, record: Iterable[Recorded], inputs: Iterable[str], dequantise: bool
            ) -> Files:
    made = Files(program, path, record, dequantise=dequantise, folder=True)
    if path.is_dir():
        for file in made.paths():
            output_path(str(file), "", *inputs)
    else:
        output_path(str(path), "", *inputs)
        if path.exists():
            fail("LHC112", f"cannot write {path}/", param="it is a file", help="name a folder", error=InputError)
    return made


def _mapped(path: Path) -> Array:
    try:
        mapped: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        fail("LHC101", f"cannot read {path.name}", param=str(error), error=InputError)
    return mapped


def write_at_once(target: Destination, result: Result) -> None:
    """Write a result that is there as a whole.

    Raises:
        InputError: LHC112.
    """
    from loihic.sim.stream import Piece

    samples, steps = next(iter(result.outputs.values())).shape[:2]
    recorded = next((values.shape[1] for values in result.recorded.values()), 0)
    target.open(samples, steps, recorded)
    try:
        target.put(0, Piece(first=0, outputs=result.outputs, recorded=result.recorded))
        target.finish()
    except BaseException:
        target.abandon(keep=False)
        raise

