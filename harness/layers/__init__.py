"""Layers: normalisation, delays, what is folded over time."""
