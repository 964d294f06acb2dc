"""What is installed, and how Lava gets there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from loihic import doctor
from loihic.cli import main
from loihic.errors import BackendError
from loihic.targets.lava.runner import lava_version


@pytest.fixture
def unprobed(monkeypatch):
    """No interpreter is started."""
    monkeypatch.setattr(doctor, "_probe", lambda code: "")


def test_pip_commands_per_python():
    (stock,) = doctor.lava_commands((3, 10))
    assert stock == [sys.executable, "-m", "pip", "install", "lava-nc==0.10.0", "numpy<2"]
    for version in ((3, 11), (3, 12)):
        needs, lava = doctor.lava_commands(version)
        assert needs[4:] == ["numpy<2", "scipy<1.17", "scikit-learn<1.8", "networkx<=2.8.7", "asteval<0.10"]
        assert lava[4:] == ["--no-deps", "--ignore-requires-python", "lava-nc==0.10.0"]
    with pytest.raises(BackendError, match="LHC601"):
        doctor.lava_commands((3, 13))


def test_findings(unprobed):
    found = {item.name: item for item in doctor.examine()}
    assert set(found) == {"python", "numpy", "scipy", "h5py", "safetensors", "nir", "numba", "onnx", "torch",
                          "matplotlib", "distributed", "lava-nc", "lava-loihi"}
    assert found["numpy"].status == doctor.OK
    assert all(item.remedy for item in found.values() if item.status != doctor.OK)


def test_what_is_missing_comes_with_what_to_type(unprobed, monkeypatch):
    monkeypatch.setattr(doctor, "version_of", lambda package: None)
    found = {item.name: item for item in doctor.examine()}
    assert found["lava-nc"].remedy == "loihic doctor --install-lava"
    assert "pip install torch" in found["torch"].remedy
    assert not doctor.healthy(list(found.values()))
    assert CliRunner().invoke(main, ["doctor"]).exit_code == 1


def test_numpy_2_is_reported(unprobed, monkeypatch):
    monkeypatch.setattr(doctor, "version_of", lambda package: "2.4.0")
    found = {item.name: item for item in doctor.examine()}
    assert found["numpy"].status == doctor.BROKEN
    assert "numpy<2" in found["numpy"].remedy


def test_a_lava_that_does_not_import(monkeypatch):
    monkeypatch.setattr(doctor, "version_of", lambda package: "1.0")
    monkeypatch.setattr(doctor, "PROBE_LAVA", "raise ValueError('mutable default')")
    found = {item.name: item for item in doctor.examine()}
    assert found["lava-nc"].status == doctor.BROKEN
    assert "ValueError: mutable default" in found["lava-nc"].found


def test_a_lava_that_hangs(monkeypatch):
    monkeypatch.setattr(doctor, "PROBE_SECONDS", 0.1)
    assert "does not answer" in doctor._probe("import time; time.sleep(60)")


@pytest.mark.skipif(lava_version() is None, reason="Lava is not installed")
def test_lava_imports_here():
    assert doctor._probe(doctor.PROBE_LAVA) == ""


def test_json_is_one_object(unprobed):
    found = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).stdout)
    assert {item["status"] for item in found["findings"]} <= {"ok", "missing", "broken"}


def test_install_asks_then_runs_then_examines(unprobed, monkeypatch):
    ran = []

    def run(command, **options):
        ran.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    refused = CliRunner().invoke(main, ["doctor", "--install-lava"], input="n\n")
    assert refused.exit_code == 1
    assert "lava-nc==0.10.0" in refused.stderr
    assert not ran
    assert CliRunner().invoke(main, ["doctor", "--install-lava", "--yes"]).exit_code == 0
    assert ran == doctor.lava_commands()


def test_pip_that_fails(unprobed, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda command, **options: subprocess.CompletedProcess(command, 1))
    result = CliRunner().invoke(main, ["doctor", "--install-lava", "--yes"])
    assert result.exit_code == 3
    assert "LHC601" in result.stderr
