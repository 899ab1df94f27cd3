"""Event streams: generators, readers, binning. Nothing here knows a study or a store."""
