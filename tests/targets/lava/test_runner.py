"""However a run ends, it ends soon, with the right error, and no process is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from loihic.errors import BackendError, InputError
from loihic.targets.lava import runner
from loihic.targets.lava.network import LavaConnection, LavaNetwork, LavaProcess, LavaTap
from loihic.targets.lava.runner import default_timeout, lava_version, run_network, run_script

needs_lava = pytest.mark.skipif(lava_version() is None, reason="Lava is not installed")
REPOSITORY = Path(runner.__file__).resolve().parents[3]


def chain(kind: str, args: dict, ports: tuple[str, str] = ("a_in", "s_out")) -> LavaNetwork:
    """Input "in" of 2 values, into one process that is recorded."""
    return LavaNetwork(
        processes=(LavaProcess(name="in", kind="input", args={"shape": (2,)}),
                   LavaProcess(name="p", kind=kind, args=args)),
        connections=(LavaConnection(src="in", src_port="s_out", dst="p", dst_port=ports[0]),),
        taps=(LavaTap(key="y", process="p", port=ports[1]),))


NEURON = chain("loihic.Neuron", {"shape": (2,), "vth": 1})
# Lava's own check of the delays fails in the child process of the model, at the first step.
CRASHING = chain("lava.proc.dense.process.DelayDense", {"weights": np.eye(2, dtype=int), "delays": 64 * np.ones(
    (2, 2), dtype=int)}, ("s_in", "a_out"))
ZEROS = {"in": np.zeros((1, 4, 2), dtype=int)}


def live_members(group: int) -> list[int]:
    """Processes of a group, without those that ended and only wait to be reaped."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, of_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except (OSError, ValueError):
                continue
            if int(of_group) == group and state != "Z":
                found.append(int(entry.name))
    return found


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The process groups that the runner starts; at the end of the test none of them has a live member."""
    started: list[int] = []

    class Recorded(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)  # type: ignore[call-overload]
            started.append(self.pid)

    monkeypatch.setattr(runner.subprocess, "Popen", Recorded)
    return started


def abandoned_memory() -> set[str]:
    """Shared memory that no process has open: other tests may be running on Lava at the same time."""
    names = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            names.discard(Path(os.readlink(link)).name)
    return names


def assert_no_more_is_abandoned(before: set[str]) -> None:
    """At once, or as soon as another run has opened, or removed, what it has just made, or closed."""
    deadline = time.monotonic() + 10
    while abandoned_memory() - before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not abandoned_memory() - before


@needs_lava
def test_progress_is_reported_and_nothing_is_left(groups: list[int]) -> None:
    lines: list[str] = []
    result = run_network(NEURON, {"in": np.zeros((2, 4, 2), dtype=int)}, 4, timeout=60, on_progress=lines.append)
    assert result["y"].shape == (2, 4, 2)
    assert [re.sub(r": [0-9.]+ s$", "", line) for line in lines] == ["sample 1/2", "sample 2/2"]
    assert groups
    assert not live_members(groups[0])


@needs_lava
def test_crash_in_a_child_of_lava_ends_the_run_at_once(groups: list[int]) -> None:
    before, begin = abandoned_memory(), time.monotonic()
    with pytest.raises(BackendError, match=r"Lava failed: ValueError: DelayDense Process 'delays' expects") as caught:
        run_network(CRASHING, ZEROS, 1000, timeout=300)
    assert caught.value.diagnostics[0].code == "LHC602"
    assert time.monotonic() - begin < 30
    assert not live_members(groups[0])
    assert_no_more_is_abandoned(before)


@needs_lava
def test_crash_of_the_worker_itself(groups: list[int]) -> None:
    with pytest.raises(BackendError, match=r"'p' .* cannot be built") as caught:
        run_network(chain("lava.proc.lif.process.LIF", {"nonsense": 1}), ZEROS, 4, timeout=60)
    assert caught.value.diagnostics[0].code == "LHC602"
    assert not live_members(groups[0])


@needs_lava
@pytest.mark.parametrize("kind", ["os.system", "lava.magma.runtime.runtime.Runtime"])
def test_only_processes_of_lava_are_built(kind: str) -> None:
    with pytest.raises(BackendError, match=r"neither below lava\.proc"):
        run_network(chain(kind, {}), ZEROS, 4, timeout=60)


@needs_lava
def test_conv_beyond_eight_bits_is_refused() -> None:
    """Lava itself would take 128 groups for -128."""
    args = {"weight": np.ones((128, 1, 1, 1), dtype=int), "input_shape": (1, 1, 128), "groups": 128}
    with pytest.raises(BackendError, match="groups = 128 exceeds 127"):
        run_network(chain("lava.proc.conv.process.Conv", args, ("s_in", "a_out")), ZEROS, 4, timeout=60)


@needs_lava
def test_timeout_in_the_middle_of_a_run(groups: list[int]) -> None:
    before = abandoned_memory()
    with pytest.raises(BackendError, match="did not finish within") as caught:
        run_network(NEURON, ZEROS, 10**6, timeout=6)
    assert caught.value.diagnostics[0].code == "LHC603"
    assert not live_members(groups[0])
    assert_no_more_is_abandoned(before)


@needs_lava
def test_hardware_without_lava_loihi_says_so() -> None:
    with pytest.raises(BackendError, match="lava-loihi"):
        run_network(NEURON, ZEROS, 4, timeout=60, hardware=True)


def test_hang_with_stubborn_children_is_killed(groups: list[int]) -> None:
    """Children that ignore SIGTERM go too."""
    program = ("import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.fork(); os.fork(); "
               "time.sleep(600)")
    with pytest.raises(BackendError) as caught:
        run_script([sys.executable, "-c", program], timeout=1.0)
    assert caught.value.diagnostics[0].code == "LHC603"
    assert not live_members(groups[0])


def test_a_beat_that_raises_ends_the_run(groups: list[int]) -> None:
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1
        if beats == 2:
            raise KeyError("enough")

    begin = time.monotonic()
    with pytest.raises(KeyError, match="enough"):
        run_script([sys.executable, "-c", "import os, time; os.fork(); time.sleep(600)"], timeout=60, beat=beat)
    assert time.monotonic() - begin < 20
    assert not live_members(groups[0])


def test_a_time_limit_holds_while_there_are_beats(groups: list[int]) -> None:
    with pytest.raises(BackendError, match="did not finish within"):
        run_script([sys.executable, "-c", "import time; time.sleep(600)"], timeout=0.5, beat=lambda: None)
    assert not live_members(groups[0])


def test_children_of_a_failed_leader_are_killed(groups: list[int]) -> None:
    program = "import os, time\nif os.fork() == 0:\n    time.sleep(600)\nraise SystemExit('the reason')"
    with pytest.raises(BackendError, match="the reason"):
        run_script([sys.executable, "-c", program], timeout=60)
    assert not live_members(groups[0])


@needs_lava
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_survives_the_process_that_started_the_run(number: signal.Signals) -> None:
    """Ctrl-C, or even SIGKILL, of the user's own process."""
    program = ("import subprocess, numpy as np\n"
               "from loihic.targets.lava import runner\n"
               "from loihic.targets.lava.network import *\n"
               "network = LavaNetwork(processes=(LavaProcess(name='p', kind='loihic.Neuron', args={'shape': (2,)}),),\n"
               "                      connections=(), taps=(LavaTap(key='y', process='p', port='s_out'),))\n"
               "class Recorded(subprocess.Popen):\n"
               "    def __init__(self, *args, **options):\n"
               "        super().__init__(*args, **options)\n"
               "        print(self.pid, flush=True)\n"
               "subprocess.Popen = Recorded\n"
               "runner.run_network(network, {}, 10**6, timeout=600)\n")
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          cwd=REPOSITORY) as parent:
        assert parent.stdout is not None
        group = int(parent.stdout.readline())
        deadline = time.monotonic() + 240  # Lava takes its time to start where several suites run at once
        while len(live_members(group)) < 4 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(live_members(group)) >= 4
        parent.send_signal(number)
        parent.wait(timeout=20)
    while live_members(group) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not live_members(group)


def test_missing_lava(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "lava_version", lambda: None)
    with pytest.raises(BackendError) as caught:
        run_network(NEURON, ZEROS, 4, timeout=1)
    assert caught.value.diagnostics[0].code == "LHC601"
    assert "--install-lava" in caught.value.diagnostics[0].help


@needs_lava
@pytest.mark.parametrize(("inputs", "code"), [
    ({}, "LHC110"), ({"in": np.zeros((1, 4, 2))}, "LHC110"), ({"in": np.zeros((4, 2), dtype=int)}, "LHC110"),
    ({"in": np.full((1, 4, 2), 2**31)}, "LHC111")])
def test_inputs_are_checked(inputs: dict[str, np.ndarray], code: str) -> None:
    with pytest.raises(InputError) as caught:
        run_network(NEURON, inputs, 4, timeout=60)
    assert caught.value.diagnostics[0].code == code


def test_default_timeout_grows_with_the_work() -> None:
    assert default_timeout(8, 1000, 1) > 10 * 8 * 1000 * 0.26e-3
    assert default_timeout(8, 1000, 10) > default_timeout(8, 1000, 1)
