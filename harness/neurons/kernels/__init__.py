"""The equations of neurons over whole sequences: written out, and compiled."""
