"""Reports: boards and curves to terminal, tables, figures and a page; where a study stands. No torch, no ray."""
