"""Where programs go: chip limits and costs as data, and the Lava target."""
