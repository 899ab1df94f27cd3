"""Charts, each written once, in Vega-Altair: drawn by a page, or written as SVG, PDF and PNG."""
