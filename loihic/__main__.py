"""`python -m loihic` is `loihic`."""

from __future__ import annotations

from loihic.cli import main

main(prog_name="loihic")
