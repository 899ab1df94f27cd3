"""Pipelines of "Learning Delays in SNNs" (arXiv 2306.17670)."""
