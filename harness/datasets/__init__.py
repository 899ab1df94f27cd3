"""Data sets: one file each; being in this folder registers it."""
