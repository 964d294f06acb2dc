"""Operators, one file each: everything the compiler knows about it."""
