"""The Lava target: emits a network description, runs it in a worker of its own, exports it as a script."""
