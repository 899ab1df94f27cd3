"""Runs in the trackers that a lab uses: mirrors of ended trials. The tables stay the truth."""
