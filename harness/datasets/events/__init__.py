"""Recordings of event cameras, and event sets made from images and clips."""
