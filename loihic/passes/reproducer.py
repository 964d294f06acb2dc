"""What a crashed pass leaves behind: the graph before it and the pipeline, as text."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import Any

from loihic.ir.graph import Graph
from loihic.ir.text import graph_text


def write_reproducer(graph: Graph[Any], failed: str, pipeline: Sequence[str]) -> str:
    """Write a file into the temporary folder and return its path, or a reason why there is none."""
    lines = [f"failed: {failed}", f"pipeline: {' | '.join(pipeline)}", "", graph_text(graph), ""]
    try:
        handle, path = tempfile.mkstemp(prefix="loihic-crash-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf8") as file:
            file.write("\n".join(lines))
    except OSError as error:
        return f"nothing: the reproducer could not be written ({error.strerror})"
    return path
