"""Fixed-point formats, ranges, scales: how numbers become integers."""
