"""Reports: boards and curves to terminal, tables, figures, page; where a study stands. No torch, no ray."""
