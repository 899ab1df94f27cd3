"""Spoken words: spikes of cochlea models, spectra."""
