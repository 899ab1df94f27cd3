"""Time series: readers, gaps, windows."""
