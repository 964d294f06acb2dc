"""A Dask cluster finds what threads find, also if it loses a worker on the way."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import socket
import threading
from contextlib import suppress

import nir
import numpy as np
import pytest

from loihic.errors import BackendError, InputError
from loihic.evaluate import cluster as cluster_module
from loihic.evaluate import evaluate
from loihic.evaluate.shelf import Shelf
from loihic.evaluate.sweep import sweep, variants
from loihic.options import Options

HAS_DISTRIBUTED = importlib.util.find_spec("distributed") is not None
needs_distributed = pytest.mark.skipif(not HAS_DISTRIBUTED, reason="distributed is not installed")


@pytest.fixture(scope="module")
def cluster():
    """Two workers, each a process."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0",
                      silence_logs=50) as found:
        yield found


@needs_distributed
def test_cluster(cluster, spiking, spikes, network, tmp_path):
    address, whole = cluster.scheduler_address, evaluate(spiking, *spikes)
    found = evaluate(spiking, *spikes, shard=3, scheduler=address, shelf=Shelf(tmp_path / "p"))
    assert found.to_json() == whole.to_json()
    np.testing.assert_array_equal(found.answers, whole.answers)
    assert len(Shelf(tmp_path / "p")) == 8

    lost = []

    def lose_one(done: float, of: int) -> None:
        if done >= 2 and not lost:
            lost.append(next(iter(cluster.workers.values())).pid)
            os.kill(lost[0], signal.SIGKILL)

    found = evaluate(spiking, *spikes, shard=1, scheduler=address, progress=lose_one)
    assert lost
    assert found.to_json() == whole.to_json()

    x = spikes[0].copy()
    x[11] = 9
    with pytest.raises(InputError, match="LHC111") as caught:
        evaluate(spiking, x, spikes[1], shard=3, scheduler=address)
    assert caught.value.diagnostics[0].node == "input"
    assert "in step 0 of sample 11" in str(caught.value)

    nir.write(tmp_path / "net.nir", network)
    ways = variants(Options(), weight_bits=[8, 2], stock_only=[False])
    assert sweep(tmp_path / "net.nir", ways, *spikes, scheduler=address).to_json() == sweep(
        tmp_path / "net.nir", ways, *spikes).to_json()


@needs_distributed
def test_nobody_there(spiking, spikes):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(BackendError, match="LHC605"):
            evaluate(spiking, *spikes, scheduler=address)
    for address in ("nonsense", "http://127.0.0.1:8787", "https://127.0.0.1:8787"):
        with pytest.raises(BackendError, match="LHC605"):
            evaluate(spiking, *spikes, scheduler=address)


@needs_distributed
@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-OpenSSH_9.6\r\n"])
@pytest.mark.parametrize("protocol", ["tcp", "ws", "tls"])
def test_a_server_of_another_kind(spiking, spikes, monkeypatch, capfd, protocol, greeting):
    """It is refused in time, and nothing else is said, then or later."""
    monkeypatch.setattr(cluster_module, "PATIENCE", 0.5)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.05)
        done, held = threading.Event(), []

        def serve():
            while not done.is_set():
                with suppress(OSError):
                    held.append(server.accept()[0])
                    held[-1].sendall(greeting)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with pytest.raises(BackendError, match="LHC605"):
                evaluate(spiking, *spikes, scheduler=f"{protocol}://127.0.0.1:{server.getsockname()[1]}")
        finally:
            done.set()
            thread.join()
            for one in held:
                one.close()
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_not_installed(spiking, spikes, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "distributed" else
                        found(name, *rest))
    with pytest.raises(BackendError, match="LHC601") as caught:
        evaluate(spiking, *spikes, scheduler="tcp://127.0.0.1:8786")
    assert "loihic[distributed]" in str(caught.value)
