"""What ``import harness`` offers: studies, results and registration, for notebooks and scripts."""
