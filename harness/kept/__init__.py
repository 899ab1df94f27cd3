"""Kept networks in use: which one is meant, built again, read data, predict, evaluate, export."""
