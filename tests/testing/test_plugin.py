"""The plug-in of pytest: where programs come from, what is cached, what users see when something is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from textwrap import dedent
from typing import Any

import nir
import numpy as np
import pytest

import loihic
from loihic import testing
from loihic.targets.lava import runner

pytest_plugins = ["pytester"]
INSTALLED = any(point.value == "loihic.pytest_plugin" for point in entry_points(group="pytest11"))
PLUGIN = () if INSTALLED else ("-p", "loihic.pytest_plugin")


def network() -> nir.NIRGraph:
    """Two inputs, three neurons."""
    one = np.ones(3)
    nodes = {"in": nir.Input({"input": np.array([2])}), "w": nir.Linear(np.array([[1.0, 0.5], [0.4, 1.0], [1.0, 1.0]])),
             "lif": nir.LIF(tau=4 * one, r=4 * one, v_leak=0 * one, v_threshold=one, v_reset=0 * one),
             "out": nir.Output({"output": np.array([3])})}
    return nir.NIRGraph(nodes=nodes, edges=[("in", "w"), ("w", "lif"), ("lif", "out")], type_check=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.nir and model.loihic; compiling here has imported all that the runs below will."""
    folder = tmp_path_factory.mktemp("files")
    nir.write(folder / "model.nir", network())
    program = loihic.compile(folder / "model.nir", dt=1.0)
    program.save(folder / "model.loihic")
    testing.assert_matches_golden(loihic.load(folder / "model.loihic"))
    testing.assert_matches_float(program, share=1.0)
    return folder


@pytest.fixture
def run(pytester: pytest.Pytester, files: Path) -> Iterator[Callable[..., pytest.RunResult]]:
    """Runs a file of tests in a folder with the models."""
    for file in files.iterdir():
        (pytester.path / file.name).write_bytes(file.read_bytes())

    def run(tests: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile("import pytest\nimport loihic\nfrom loihic.testing import *\n" + tests)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *PLUGIN, *arguments)

    before = testing.settings
    yield run
    assert testing.settings is before


Run = Callable[..., pytest.RunResult]


def test_marks_options_and_configuration_name_the_program(run: Run, pytester: pytest.Pytester) -> None:
    tests = dedent("""
        @pytest.mark.loihic("model.nir", dt=1.0, weight_bits=4)
        def test_mark(loihic_program):
            assert loihic_program.options["weight_bits"] == "4"
            assert_matches_golden(loihic_program)

        @pytest.mark.loihic("model.loihic")
        class TestProgram:
            def test_of_the_class(self, loihic_program):
                assert loihic_program.options["weight_bits"] == "8"

        def test_default(loihic_program):
            assert loihic_program.options["dt"] == WANTED

        @pytest.mark.loihic(dt=3.0)
        def test_options_alone(loihic_program):
            assert loihic_program.options["dt"] == 3.0
    """)
    run("WANTED = None\n" + tests, "--loihic-program", "model.nir").assert_outcomes(passed=4)
    pytester.makeini("[pytest]\nloihic_program = model.nir")
    run("WANTED = None\n" + tests).assert_outcomes(passed=4)
    result = run("WANTED = 1.0\n" + tests, "--loihic-program", "model.loihic")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*LHC702*model.loihic is compiled already*", "*options: dt*"])


def test_each_program_is_made_once(run: Run) -> None:
    run("""
from pathlib import Path
calls = []

def build():
    import nir
    calls.append(1)
    return nir.read("model.nir")

@pytest.mark.loihic(build, dt=1.0)
def test_one(loihic_program, loihic_compile):
    assert loihic_compile(build, dt=1.0) is loihic_program

@pytest.mark.loihic(build, dt=1.0)
@pytest.mark.parametrize("k", [1, 2])
def test_other(loihic_program, k):
    assert len(calls) == 1

@pytest.mark.parametrize("bits", [4, 8])
def test_factory(loihic_compile, bits):
    program = loihic_compile("model.nir", dt=1.0, weight_bits=bits)
    assert program is loihic_compile(Path("model.nir").resolve(), weight_bits=bits, dt=1.0)
    assert program is not loihic_compile("model.nir", dt=1.0, weight_bits=bits, input_range=(0.0, 3.0))
    with pytest.raises(loihic.LoihicError, match="LHC702"):
        loihic_compile("model.nir", dt=-1.0)
""").assert_outcomes(passed=5)


def test_a_model_that_does_not_compile_shows_its_diagnostics_alone(run: Run) -> None:
    result = run("""
@pytest.mark.loihic("model.nir", dt=100.0)
def test_it(loihic_program):
    pass
""")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["no program of model.nir:", "error?LHC301?: *"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*api.py*")


def test_what_is_missing_is_said(run: Run) -> None:
    result = run("""
def test_none(loihic_program): pass

@pytest.mark.loihic("other.nir")
def test_file(loihic_program): pass

@pytest.mark.loihic("model.nir", "model.nir")
def test_two(loihic_program): pass
""")
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines_random([
        "no program: give the test a mark*--loihic-program FILE*", "no file other.nir;*", "a mark has one model:*"])


def test_a_missing_lava_skips_or_fails(run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "lava_version", lambda: None)
    tests = """
def test_lava(loihic_program):
    assert_matches_lava(loihic_program)
"""
    given = ("--loihic-program", "model.loihic")
    result = run(tests, *given, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*Lava is not installed; `loihic doctor --install-lava` installs it"])
    result = run(tests, *given, "--loihic-require-lava")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *Lava is required here*"])
    result.stdout.fnmatch_lines([">*assert_matches_lava(loihic_program)"])  # the user's line, none of ours
    result.stdout.no_fnmatch_line("*require_lava:*")
    pytester.makeini("[pytest]\nloihic_require_lava = true")
    run(tests, *given).assert_outcomes(failed=1)


def test_a_time_limit_reaches_lava(run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[Any] = []

    def verify(program: loihic.Program, x: Any, *, against: str, timeout: float | None) -> Any:
        limits.append(timeout)
        return type("Agreed", (), {"agrees": True})

    monkeypatch.setattr(runner, "lava_version", lambda: "0")
    monkeypatch.setattr(loihic.Program, "verify", verify)
    tests = """
def test_lava(loihic_program):
    assert_matches_lava(loihic_program)
    assert_matches_lava(loihic_program, timeout=5.0)
"""
    run(tests, "--loihic-program", "model.loihic").assert_outcomes(passed=1)
    run(tests, "--loihic-program", "model.loihic", "--loihic-timeout", "90").assert_outcomes(passed=1)
    pytester.makeini("[pytest]\nloihic_timeout = 70")
    run(tests, "--loihic-program", "model.loihic").assert_outcomes(passed=1)
    assert limits == [None, 5.0, 90.0, 5.0, 70.0, 5.0]


def test_a_time_limit_that_is_no_number(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nloihic_timeout = soon")
    result = run("def test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*loihic_timeout = soon is no number of seconds"])


def test_it_costs_nothing_until_it_is_asked(tmp_path: Path) -> None:
    """A run of pytest that wants no program imports neither numpy nor the compiler."""
    (tmp_path / "test_it.py").write_text(dedent("""
        import sys

        def test_it():
            ours = {name for name in sys.modules if name.partition(".")[0] == "loihic"}
            assert ours == {"loihic", "loihic.pytest_plugin", "loihic.testing"}
            assert not {"numpy", "scipy", "nir", "h5py", "click", "torch"} & set(sys.modules)
    """))
    command = [sys.executable, "-m", "pytest", "-q", *PLUGIN, "-p", "no:cacheprovider", "-p", "no:hypothesispytest",
               "--strict-markers", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
