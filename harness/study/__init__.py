"""A study: plan, run, resume, status. The tables are the state; everything here is rebuilt from them."""

from harness.study.study import Study, StudySummary

__all__ = ["Study", "StudySummary"]
