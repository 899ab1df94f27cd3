"""Reports: pure functions from the tables to values, then figures, tables and a page. No torch, no ray."""
