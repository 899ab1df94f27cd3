"""Pipelines of "Rethinking Pretraining as a Bridge from ANNs to SNNs" (arXiv 2203.01158), and plain ones."""
