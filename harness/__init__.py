"""A Ray-distributed hyperparameter and benchmark harness for spiking neural networks."""

__version__ = "0.1.0"
