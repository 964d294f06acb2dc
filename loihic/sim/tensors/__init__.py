"""The parts of `loihic.sim.torch_engine`; importing them needs torch."""
