"""Training and evaluation, the same for every system: the engine knows none by name."""
