"""Study and cluster files: read, check every leaf, and turn into values."""
