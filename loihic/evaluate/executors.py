"""Executors: what does many pieces of work at once, here by threads; on a cluster see `loihic.evaluate.cluster`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeVar

S = TypeVar("S")
J = TypeVar("J")
R = TypeVar("R")
Beat = Callable[[float], None]
AHEAD = 2  # jobs that are made ready for each worker


class Executor(Protocol):
    """Does jobs.

    Attributes:
        remote: whether jobs are done by other processes, so that what they share should be bytes.
    """

    @property
    def remote(self) -> bool: ...

    @property
    def workers(self) -> int:
        """Jobs at once."""
        ...

    def results(self, work: Callable[[S, J, Beat], R], shared: S, jobs: Iterable[J], progress: Beat | None = None
                ) -> Iterator[tuple[int, R]]:
        """Do every job, each once, and yield its place and result as it is finished.

        Args:
            work: a function of a module, called with `shared`, a job, and something to call with the share of the job
                that is done.
            shared: what all jobs need.
            jobs: taken a few at a time.
            progress: called with the number of jobs done, those under way counted by their shares.

        Raises:
            LoihicError: the first that a job raised; no further jobs are then begun.
        """
        ...


class StoppedError(Exception):
    """Raised in a job whose result nobody waits for any more."""


@dataclass(frozen=True)
class Threads:
    """An `Executor` of threads of this process; the kernels and numpy let them run side by side."""

    workers: int
    remote: bool = False

    def results(self, work: Callable[[S, J, Beat], R], shared: S, jobs: Iterable[J], progress: Beat | None = None
                ) -> Iterator[tuple[int, R]]:
        tally = _Tally(progress)
        if self.workers == 1:
            for place, job in enumerate(jobs):
                yield place, work(shared, job, tally.beat(place))
                tally.finish(place)
            return
        numbered = enumerate(jobs)
        with ThreadPoolExecutor(self.workers, thread_name_prefix="loihic") as pool:
            running: dict[Future[R], int] = {}
            try:
                while True:
                    for place, job in islice(numbered, AHEAD * self.workers - len(running)):
                        running[pool.submit(work, shared, job, tally.beat(place))] = place
                    if not running:
                        return
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        place = running.pop(future)
                        tally.finish(place)
                        yield place, future.result()
            finally:
                tally.stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)


class _Tally:
    """How much is done, by all threads together."""

    def __init__(self, progress: Beat | None) -> None:
        self.progress, self.stopped, self.done = progress, threading.Event(), 0
        self.shares: dict[int, float] = {}
        self.lock = threading.Lock()

    def beat(self, place: int) -> Beat:
        def told(share: float) -> None:
            if self.stopped.is_set():
                raise StoppedError
            self._tell(place, share)

        return told

    def finish(self, place: int) -> None:
        with self.lock:
            self.shares.pop(place, None)
            self.done += 1
        self._tell(None, 0.0)

    def _tell(self, place: int | None, share: float) -> None:
        if self.progress is None:
            return
        with self.lock:
            if place is not None:
                self.shares[place] = min(share, 1.0)
            total = self.done + sum(self.shares.values())
        self.progress(total)


def executor(workers: int | None = None, scheduler: str | None = None, *, alone: bool = False) -> Executor:
    """Threads of this machine, or a cluster.

    Args:
        workers: jobs at once; all cores by default. A cluster has its own number.
        scheduler: the address of a Dask scheduler.
        alone: whether one job has the machine for itself by default, because it spreads its work itself.

    Raises:
        BackendError: LHC601 without distributed, LHC605 if nothing answers there.
    """
    if scheduler is not None:
        from loihic.evaluate.cluster import Cluster

        return Cluster(scheduler)
    return Threads(workers or (1 if alone else cores()))


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def close(used: Any) -> None:
    """Let go of a cluster's connection."""
    if hasattr(used, "close"):
        used.close()
