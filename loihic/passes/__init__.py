"""Passes, one file each, and the manager that checks their contracts."""
