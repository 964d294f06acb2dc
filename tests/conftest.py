"""Where the shared data lies, and how hypothesis behaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Compiling takes as long as it takes: a deadline would only make slow machines fail.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of files from other exporters and chips; tests that want it are skipped where it is missing."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LOIHIC_SHARED_DATA") or beside)
    if not folder.is_dir():
        pytest.skip("no shared data: set LOIHIC_SHARED_DATA to its folder")
    return folder
