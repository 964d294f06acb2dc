"""Files damaged at random: each must read, or fail as an error of ours, within a second."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from loihic.errors import LoihicError
from loihic.frontends.netx import read_netx
from loihic.frontends.nir_file import read_nir_file

READERS = {".nir": read_nir_file, ".net": read_netx}


def check_damaged(path: Path, folder: Path) -> None:
    """Damage a file 300 times, in a process of its own, so that a crash or a hang in HDF5 is seen as such."""
    subprocess.run(
        [sys.executable, "-c", "from damaged import damage; import sys; damage(sys.argv[1], sys.argv[2])",
         str(path), str(folder / f"damaged{path.suffix}")], check=True, timeout=120,
        cwd=Path(__file__).parent, env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )


def damage(source: str, target: str) -> None:
    """300 truncations and byte flips."""
    image, reader = Path(source).read_bytes(), READERS[Path(source).suffix]
    used = [i for i, byte in enumerate(image) if byte]  # most of the file is padding
    for seed in range(300):
        rng = random.Random(seed)
        changed = bytearray(image)
        if seed % 6 == 0:
            del changed[rng.randrange(len(image)) :]
        for _ in range(rng.choice([1, 2, 8, 32])):
            at = rng.choice(used) if rng.random() < 0.7 else rng.randrange(len(image))
            if at < len(changed):
                changed[at] = rng.choice([0, 255, changed[at] ^ (1 << rng.randrange(8))])
        Path(target).write_bytes(changed)
        begun = time.monotonic()
        try:
            reader(Path(target))
        except LoihicError as error:
            str(error).encode()
        if time.monotonic() - begun > 1:
            raise SystemExit(f"seed {seed} took too long")
