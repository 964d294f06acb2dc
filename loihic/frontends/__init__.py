"""Readers of network files and objects."""

from loihic.frontends.flatten import flatten_subgraphs
from loihic.frontends.nir_file import read_nir_file
from loihic.frontends.nir_graph import from_nir_graph
from loihic.frontends.raw import RawGraph, RawNode

__all__ = ["RawGraph", "RawNode", "flatten_subgraphs", "from_nir_graph", "read_nir_file"]
