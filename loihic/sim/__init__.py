"""The bit-accurate simulator, and the float reference."""
