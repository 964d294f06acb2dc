"""The import hook for Lava on Python 3.11 and later; needs no Lava."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from loihic.targets.lava import compat

SOURCE = '''\
from __future__ import annotations
from dataclasses import dataclass, InitVar

@dataclass
class ByteEncoder:
    base: int = 0

@dataclass
class CoreEncoder:
    x: ByteEncoder = ByteEncoder()
    y: ByteEncoder = ByteEncoder()
'''


def test_rewrite_makes_defaults_factories() -> None:
    namespace: dict[str, object] = {"__name__": __name__}
    exec(compat.rewrite(SOURCE), namespace)
    core = namespace["CoreEncoder"]
    assert callable(core)
    first, second = core(), core()
    assert first.x.base == 0
    assert first.x is not second.x


def test_rewrite_leaves_other_sources_alone() -> None:
    mended = SOURCE.replace("ByteEncoder()", "None")
    assert compat.rewrite(mended) == mended


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the hook is for 3.11 and later")
def test_hook_loads_the_module_once_installed_and_writes_no_bytecode(tmp_path: Path) -> None:
    package = tmp_path / "lava" / "magma" / "compiler"
    package.mkdir(parents=True)
    (package / "var_model.py").write_text(SOURCE)
    program = ("import sys; sys.path[:0] = sys.argv[1:]; import compat; compat.install(); compat.install(); "
               "print(sum(hasattr(f, 'loihic_lava') for f in sys.meta_path)); "
               "from lava.magma.compiler.var_model import CoreEncoder; print(CoreEncoder().x.base)")
    folder = str(Path(compat.__file__).parent)
    done = subprocess.run([sys.executable, "-S", "-c", program, str(tmp_path), folder], capture_output=True, text=True,
                          check=True)
    assert done.stdout.split() == ["1", "0"]
    assert not (package / "__pycache__").exists()
