"""Results on disk: versioned Parquet tables, the study lock, checkpoints. The only writer below results/."""
