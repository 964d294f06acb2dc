"""The engine of compiled kernels: a graph as flat tables, stepped event by event."""
