"""Reports: boards and curves to terminal, tables, figures and a page. Nothing is computed; no torch, no ray."""
