"""One attempt of one trial: the loop, its clocks, metrics, probes and checkpoints."""
