"""How long a command takes from the start of its process, imports included: `loihic run` of a small program.

Usage: python startup.py

Prints the least and the median of some runs, and how many times a bare `python -c pass` that is. The first run is not
counted: it fills the disk's cache.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODEL = Path(__file__).resolve().parents[2] / "examples" / "digits" / "digits_mlp.nir"
RUNS = 7


def seconds(*command: str) -> list[float]:
    """The times of some runs of a command, the first left out."""
    found = []
    for _ in range(RUNS + 1):
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found.append(time.perf_counter() - begun)
    return found[1:]


def main() -> None:
    """Prints a line per command."""
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "digits.loihic")
        loihic = (sys.executable, "-m", "loihic")
        subprocess.run((*loihic, "compile", str(MODEL), "-o", program), check=True, stdout=subprocess.DEVNULL)
        bare = min(seconds(sys.executable, "-c", "pass"))
        commands = {"loihic --help": ("--help",), "loihic run digits.loihic": ("run", program)}
        for name, arguments in commands.items():
            times = seconds(*loihic, *arguments)
            print(f"{name}: {min(times):.2f} s at least, {statistics.median(times):.2f} s in the median; "
                  f"{min(times) / bare:.0f} times a bare python")


if __name__ == "__main__":
    main()
