"""Pipelines of TS-LIF (arXiv 2503.05108), their ANN counterparts and trivial forecasts."""
