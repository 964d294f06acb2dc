"""A Dask cluster as an executor: jobs done by the workers of a scheduler that somebody has started.

Whoever runs the cluster is trusted: Dask sends functions and results as pickles.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn

from loihic.errors import BackendError, Diagnostic, InputError, LoihicError, fail
from loihic.evaluate.executors import AHEAD, Beat, J, R, S

PATIENCE = 15.0  # seconds to wait for the scheduler, and then for its first worker
PROTOCOLS = ("", "tcp", "tls", "ws", "wss", "ucx", "inproc")
UNKNOCKED = ("ucx", "inproc")  # that are not a host's ports
LOGGERS = ("distributed", "tornado", "asyncio")  # of Dask and what it stands on
RETRIES = 2  # of a job that fails on a worker; a worker that is lost counts with the cluster's own allowed-failures
REMEDY = "`dask scheduler` starts one, `dask worker ADDRESS` gives it workers; see `loihic explain LHC605`"
INSTALL = 'pip install "loihic[distributed]"'


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A diagnosis as a job's result: exceptions that carry diagnostics do not survive the way back."""

    diagnostics: tuple[Diagnostic, ...]
    is_backend: bool


def done_there(work: Callable[[S, J, Beat], R], shared: S, job: J) -> R | Refusal:
    """Do a job on a worker."""
    try:
        return work(shared, job, lambda share: None)
    except LoihicError as error:
        return Refusal(diagnostics=error.diagnostics, is_backend=isinstance(error, BackendError))


def same(value: S) -> S:
    """What all jobs share, as the result of a task: a worker that has lost it can compute it again."""
    return value


class Cluster:
    """An `Executor` of Dask workers.

    Args:
        address: of the scheduler, as in ``tcp://192.168.0.7:8786``.

    Raises:
        BackendError: LHC601 without distributed, LHC605 if no scheduler or no worker is there.
    """

    remote = True

    def __init__(self, address: str) -> None:
        if importlib.util.find_spec("distributed") is None:
            fail("LHC601", "--scheduler needs distributed, which is not installed", help=INSTALL, error=BackendError)
        distributed: Any = importlib.import_module("distributed")
        _knock(address)
        self.address, self.quiet = address, _Quiet()
        try:
            _greet(address)
            self.client: Any = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
        except Exception as error:  # whatever a server that is no scheduler may bring about
            self.quiet.end()
            _unreachable(address, error)
        try:
            self.client.wait_for_workers(1, timeout=PATIENCE)
        except (TimeoutError, OSError):
            self.close()
            fail("LHC605", f"the Dask scheduler at {address} has no workers", error=BackendError,
                 help=f"dask worker {address}")

    @property
    def workers(self) -> int:
        """Jobs at once, at the moment; at least one."""
        return max(1, sum(int(threads) for threads in self.client.nthreads().values()))

    def results(self, work: Callable[[S, J, Beat], R], shared: S, jobs: Iterable[J], progress: Beat | None = None
                ) -> Iterator[tuple[int, R]]:
        dask: Any = importlib.import_module("dask")
        as_completed: Any = importlib.import_module("distributed").as_completed
        numbered = enumerate(jobs)
        places: dict[Any, int] = {}
        done = 0
        # Jobs carry their arrays; only a few are under way, so that the scheduler never holds many.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
            common = self.client.submit(same, shared, pure=False)
            finished = as_completed(loop=self.client.loop)

            def submit() -> None:
                for place, job in islice(numbered, max(0, AHEAD * self.workers - len(places))):
                    future = self.client.submit(done_there, work, common, job, pure=False, retries=RETRIES)
                    places[future.key] = place
                    finished.add(future)

            try:
                submit()
                while places:
                    future = next(finished)
                    result = self._result(future)
                    place = places.pop(future.key)
                    future.release()
                    if isinstance(result, Refusal):
                        raise (BackendError if result.is_backend else InputError)(result.diagnostics)
                    done += 1
                    if progress is not None:
                        progress(float(done))
                    yield place, result
                    submit()
            except (OSError, StopIteration) as error:
                self._lost(error)
            finally:
                if self.client.status == "running":
                    self.client.cancel([common, *finished.futures], force=True)

    def _result(self, future: Any) -> Any:
        killed: type[Exception] = importlib.import_module("distributed").KilledWorker
        try:
            return future.result()
        except killed as error:
            fail("LHC606", "the workers that took up a piece of work were lost, one after another", error=BackendError,
                 param=_line(error), help="most often memory: fewer samples at once "
                 "(--shard N of evaluate, --samples N of sweep); --resume goes on")
        except OSError as error:
            self._lost(error)
        except Exception as error:  # whatever a worker raised, or has not installed
            if type(error).__name__.endswith("CancelledError"):
                self._lost(error)
            fail("LHC606", f"a worker failed: {type(error).__name__}", param=_line(error), error=BackendError,
                 help="workers need this version of loihic and of its dependencies; their own log tells more")

    def _lost(self, error: BaseException) -> NoReturn:
        fail("LHC605", f"the connection to the scheduler at {self.address} was lost", param=_line(error),
             help="--resume goes on from what was finished", error=BackendError)

    def close(self) -> None:
        """Leave the cluster; it goes on running."""
        try:
            self.client.close(timeout=PATIENCE)
        finally:
            self.quiet.end()


class _Quiet:
    """Keeps distributed's own logs from the terminal until `end`: a worker lost is told once, by us, if it matters."""

    def __init__(self) -> None:
        self.levels = {name: logging.getLogger(name).level for name in (*LOGGERS, *logging.root.manager.loggerDict)
                       if name.partition(".")[0] in LOGGERS}
        for name in self.levels:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def end(self) -> None:
        for name, level in self.levels.items():
            logging.getLogger(name).setLevel(level)


def _knock(address: str) -> None:
    """Whether anything listens at a host and port; Dask itself would try for long, and leave a client behind."""
    protocol, _, place = address.rpartition("://")
    if protocol not in PROTOCOLS:
        fail("LHC605", f"{address} is no address of a Dask scheduler", param=f"it begins with {protocol}://",
             help=f"addresses begin with {'://, '.join(PROTOCOLS[1:])}://; `dask scheduler` prints its own",
             error=BackendError)
    if protocol in UNKNOCKED:
        return
    host, _, port = place.strip("/").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
    except (OSError, ValueError, OverflowError) as error:
        _unreachable(address, error)


def _greet(address: str) -> None:
    """Shake hands, in time: Dask's client would wait for ever for a server that says nothing.

    It is done in a thread of its own, for the caller's may run an event loop.
    """
    comm: Any = importlib.import_module("distributed.comm")
    security: Any = importlib.import_module("distributed.security")

    async def greet() -> None:
        arguments = security.Security().get_connection_args("client")
        try:
            met = await asyncio.wait_for(comm.connect(address, timeout=PATIENCE, **arguments), PATIENCE)
        except asyncio.TimeoutError as error:
            raise OSError(f"what listens there did not answer as a scheduler does in {PATIENCE:g} s") from error
        met.abort()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(greet())).result()


def _unreachable(address: str, error: BaseException) -> NoReturn:
    fail("LHC605", f"no Dask scheduler answers at {address}", param=_line(error), help=REMEDY, error=BackendError)


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
